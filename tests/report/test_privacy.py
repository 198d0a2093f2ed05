"""Photographs stay on this machine: figures with faces go to no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.core.tracking import Tracker, is_local
from benchmark.data.registry import SOURCES, source_class
from benchmark.report.files import FACES, FILES


class Client:
    """Keeps what is logged to it."""

    def __init__(self) -> None:
        self.logged: list[str] = []

    def log_artifact(self, run: str, path: str, place: str) -> None:
        self.logged.append(Path(path).name)

    def log_batch(self, *_: Any) -> None: ...

    def set_terminated(self, *_: Any) -> None: ...


@pytest.mark.parametrize(
    ("uri", "everything"),
    [
        ("", True),
        ("sqlite:////tmp/mlflow.db", True),
        ("file:///tmp/mlruns", True),
        ("/tmp/mlruns", True),
        ("http://localhost:5000", False),
        ("https://tracking.example.org", False),
        ("databricks", False),
        ("databricks://profile", False),
        ("postgresql://host/db", False),
        ("file://another-machine/share", False),
    ],
)
def test_figures_with_private_faces_are_logged_to_no_server(
    uri: str, everything: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    else:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client: Any = Client()
    tracker = Tracker(tmp_path, "plan", "title", [], dict, "command")
    tracker._client = client
    files = {name: tmp_path / file for name, file in FILES.items()}
    tracker.finish(files, {}, FACES)
    assert is_local(uri) is everything
    faces = {FILES[name] for name in FACES}
    assert faces & set(client.logged) == (faces if everything else set())
    assert set(FILES.values()) - faces <= set(client.logged)


def test_all_figures_but_the_curves_show_faces() -> None:
    pictures = {file for file in FILES.values() if file.endswith(".png")}
    assert {FILES[name] for name in FACES} == pictures - {"losses.png"}


def test_all_photographs_are_somebodys() -> None:
    assert {name: source_class(name).licensed for name in SOURCES} == {
        "rendered": False, "rafd": True, "cfee": True, "folder": True
    }  # fmt: skip
