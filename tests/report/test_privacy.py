"""Photographs stay on this machine: figures with faces go to no server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.core.mlflow_session import Session, SuiteLog, is_local
from benchmark.data.registry import SOURCES, source_class
from benchmark.report.files import FACES, FILES, files_with_faces


@pytest.mark.parametrize(
    ("uri", "local"),
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
def test_what_stays_on_this_machine(uri: str, local: bool) -> None:
    assert is_local(uri) is local


class Client:
    """Keeps what is logged to it."""

    def __init__(self, location: str) -> None:
        self.logged: list[str] = []
        self._run = SimpleNamespace(info=SimpleNamespace(artifact_uri=location), data=SimpleNamespace(metrics={}))

    def get_run(self, _run: str) -> SimpleNamespace:
        return self._run

    def log_artifact(self, run: str, path: str, name: str) -> None:
        self.logged.append(Path(path).name)

    def set_experiment_tag(self, *_: Any) -> None: ...

    def set_terminated(self, *_: Any) -> None: ...


@pytest.mark.parametrize(
    ("uri", "location", "everything"),
    [
        ("", "file://{}/mlflow-files/run", True),
        ("sqlite:////tmp/mlflow.db", "{}/mlflow-files/run", True),
        ("sqlite:////tmp/mlflow.db", "file:///tmp/mlruns/run", False),
        ("sqlite:////tmp/mlflow.db", "{}/../mlruns/run", False),
        ("sqlite:////tmp/mlflow.db", "{}/outside/run", False),
        ("sqlite:////tmp/mlflow.db", "s3://bucket/run", False),
        ("file:///tmp/mlruns", "/tmp/mlruns", False),
        ("http://localhost:5000", "file://{}/mlflow-files/run", False),
        ("http://localhost:5000", "mlflow-artifacts:/run", False),
    ],
)
def test_figures_with_private_faces_stay_below_the_output_folder(
    uri: str, location: str, everything: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    out = tmp_path / "out"
    out.mkdir()
    (out / "outside").symlink_to(tmp_path)
    client: Any = Client(location.format(out))
    session = object.__new__(Session)
    session._out, session._client, session._experiment_id = out, client, "1"
    session._log = SuiteLog(
        "plan", "title", "command", {}, [], "reports/r", dict(FILES), sorted(FACES), {}, {"": "run"}
    )
    session.suite()
    faces = {FILES[name] for name in FACES}
    assert faces & set(client.logged) == (faces if everything else set())
    assert set(FILES.values()) - faces <= set(client.logged)


def test_all_figures_but_the_curves_show_faces() -> None:
    pictures = {file for file in FILES.values() if file.endswith(".png")}
    assert {FILES[name] for name in FACES} == pictures - {"losses.png", "plane.png"}


def test_the_page_shows_faces_where_it_was_asked_to() -> None:
    assert files_with_faces(False) == FACES
    assert files_with_faces(True) == {*FACES, "web page"}


def test_all_photographs_are_somebodys() -> None:
    assert {name: source_class(name).licensed for name in SOURCES} == {
        "rendered": False, "rafd": True, "cfee": True, "folder": True
    }  # fmt: skip
