"""The demo: what it answers, what it refuses, and that it keeps nothing."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from baselines.ganimation import GANimationSettings
from baselines.stargan import StarGANSettings
from benchmark import demo
from benchmark.config.reference import INDEX, Index, StoredRow, StoredSeed, StoredSuite, stored_weights
from benchmark.core.artifacts import MANIFEST, File, Manifest
from benchmark.core.errors import UserError
from benchmark.core.hashes import sha256_of
from benchmark.core.models import dump
from benchmark.editing.demo import sources
from benchmark.editing.demo.app import make_app
from benchmark.editing.demo.models import GuideRequest, Models, finished_trainings, open_models
from benchmark.editing.demo.sources import Face, Uploads, rendered_faces
from benchmark.editing.guides import EditTarget, prototype_units
from benchmark.protocol import EXPRESSIONS
from benchmark.training.judge import Judge, JudgeSettings, _network
from tests.browser import accessibility_faults
from tests.editing.test_synthesize import untrained

SIZE = 32
HOME = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two models and a judge, none of which has learned anything."""
    out = tmp_path_factory.mktemp("runs")
    for name, settings in (
        ("ganimation", GANimationSettings(width=0.0625, initial_deviation=0.2)),
        ("stargan", StarGANSettings(width=0.0625)),
    ):
        folder = out / "train" / f"train-{name}"
        folder.mkdir(parents=True)
        untrained(folder, name, settings)  # type: ignore[arg-type]
    judge = out / "judge" / "judge-fp-0"
    judge.mkdir(parents=True)
    Judge(_network(JudgeSettings(), 0), SIZE, JudgeSettings()).save(judge)
    return out


@pytest.fixture(scope="module")
def models(store: Path) -> Models:
    return open_models([str(folder) for folder in finished_trainings(store)], store, "cpu")


@pytest.fixture(scope="module")
def rendered() -> dict[str, Face]:
    return rendered_faces()


@pytest.fixture(scope="module")
def client(models: Models, rendered: dict[str, Face]) -> TestClient:
    return TestClient(make_app(models, rendered, Uploads()), base_url=HOME)


def png(picture: np.ndarray | Image.Image) -> bytes:
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, "PNG")
    return stream.getvalue()


def decoded(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def named(rendered: dict[str, Face], expression: str) -> str:
    return next(name for name, face in rendered.items() if face.expression == expression)


def test_rendered_faces_are_of_test_people(rendered: dict[str, Face]) -> None:
    assert {face.expression for face in rendered.values()} == set(EXPRESSIONS)
    assert len({face.identity for face in rendered.values()}) == sources.PEOPLE
    assert len(rendered) == 8 * sources.PEOPLE


def test_an_edit_is_the_editors_own(client: TestClient, models: Models, rendered: dict[str, Face]) -> None:
    name = named(rendered, "neutral")
    for model, target in (
        ("stargan", EditTarget("happy", "T", EXPRESSIONS.index("happy"), 0)),
        ("ganimation", EditTarget("happy", "R", EXPRESSIONS.index("happy"), 0, units=prototype_units("happy"))),
    ):
        answer = client.post("/edits", json={"model": model, "source": name, "target": "happy"})
        assert answer.status_code == 200
        editor = models.models[model].editor
        portrait = rendered[name].portrait(SIZE, editor.framing)
        edit = editor.edit(portrait, target)
        content = answer.json()
        np.testing.assert_array_equal(decoded(content["edit"]), edit)
        np.testing.assert_array_equal(decoded(content["source"]), portrait.image)
        assert content["judge"] == pytest.approx(
            dict(zip(EXPRESSIONS, models.judges[SIZE].predict(edit[None])[0].tolist(), strict=True))
        )
        assert models.identity is not None
        own, other = models.identity.describe(np.stack([portrait.image, edit]), portrait.landmarks[None].repeat(2, 0))
        assert content["identity"] == pytest.approx(1 - np.linalg.norm(own - other), abs=1e-5)
        assert content["seconds"] < 1


def test_references_and_units_guide_where_the_method_takes_them(client: TestClient, rendered: dict[str, Face]) -> None:
    neutral, happy = named(rendered, "neutral"), named(rendered, "happy")
    form = {"model": "ganimation", "source": neutral}
    by_reference = client.post("/edits", json={**form, "reference": happy}).json()
    units = np.asarray(rendered[happy].units, np.float64).tolist()
    assert client.post("/edits", json={**form, "units": units}).json()["edit"] == by_reference["edit"]
    for extra, said in (
        ({"units": [0.0] * 17}, "not guided by action units"),
        ({"reference": happy}, "takes no reference"),
        ({}, "Choose one of"),
        ({"target": "happy", "reference": happy}, "Choose one of"),
        ({"target": "glad"}, "not known"),
        ({"target": "happy", "source": "gone"}, "no longer in memory"),
        ({"target": "happy", "model": "other"}, "not loaded"),
        ({"units": [9.0] * 17}, "less than or equal to 5"),
        ({"units": [0.0]}, "at least 17"),
        ({"target": "happy", "file": "/etc/passwd"}, "not permitted"),
    ):
        answer = client.post("/edits", json={"model": "stargan", "source": neutral, **extra})
        assert answer.status_code == 422
        assert said in answer.json()["error"]


def test_action_units_are_called_as_in_the_documentation(client: TestClient) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rendered.md").read_text(encoding="utf-8")
    expected = re.findall(r"^\| (AU\d\d) \| ([^|]+) \|", page, re.MULTILINE)
    assert [(unit["name"], unit["words"]) for unit in client.get("/state").json()["units"]] == expected


def photograph() -> bytes:
    """A rendered face, large enough that dlib finds it."""
    face = next(face for face in rendered_faces().values() if face.expression == "neutral")
    return png(face.picture.resize((512, 512), Image.Resampling.BICUBIC))


def test_an_upload_is_framed_edited_and_written_nowhere(client: TestClient, models: Models, tmp_path: Path) -> None:
    writes: list[str] = []
    sys.addaudithook(lambda event, given: writes.append(given[0]) if _writes(event, given) else None)
    answer = client.post("/uploads", content=photograph())
    assert answer.status_code == 200, answer.json()
    name = answer.json()["name"]
    edit = client.post("/edits", json={"model": "stargan", "source": name, "target": "sad"})
    assert edit.status_code == 200
    assert edit.json()["identity"] is not None
    assert writes == []
    guided = client.post("/edits", json={"model": "ganimation", "source": name, "reference": name})
    assert "rendered faces only" in guided.json()["error"]
    unknown = Face(Image.new("RGB", (64, 64)), None)
    with pytest.raises(UserError, match="rendered faces only"):
        models.edit("ganimation", unknown, GuideRequest(reference=unknown))


def _writes(event: str, given: tuple[Any, ...]) -> bool:
    return event == "open" and isinstance(given[2], int) and bool(given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def bomb() -> bytes:
    """A small file of a very large picture."""
    stream = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no picture"),
        (b"GIF89a", "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
        (b"x" * ((20 << 20) + 1), "at most 20 MB"),
        (bomb(), "at most 50 million pixels"),
        (png(np.zeros((8, 8, 3), np.uint8)), "too small"),
        (photograph()[:2000], "cannot be read"),
        (png(np.full((300, 300, 3), 200, np.uint8)), "No face was found"),
    ],
    ids=["empty", "damaged", "PostScript", "bytes", "pixels", "small", "cut", "no face"],
)
def test_what_is_no_picture_of_a_face_gets_a_sentence(client: TestClient, content: bytes, said: str) -> None:
    answer = client.post("/uploads", content=content)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert answer.json()["error"].endswith(".")


def test_old_uploads_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "KEPT", 2)
    uploads = Uploads()
    uploads._detector = None
    names = [uploads.add(png(np.full((64, 64, 3), level, np.uint8))) for level in (1, 2, 3)]
    assert [uploads.get(name) is not None for name in names] == [False, True, True]
    assert not uploads.finds_faces


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"}, {"host": "evil.example:8000"}, {"host": ""}, {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1:9"},
    ],
)  # fmt: skip
def test_other_hosts_and_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/"), ("GET", "/state"), ("POST", "/uploads"), ("POST", "/edits")):
        assert client.request(method, path, headers=headers).status_code == 403
    assert client.get("/state", headers={"origin": HOME, "host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/state", headers={"host": "localhost:8000"}).status_code == 200


def test_there_are_no_other_pages(client: TestClient) -> None:
    for path in ("/docs", "/openapi.json", "/demo.py", "/..%2fapp.py", "/faces/none"):
        assert client.get(path).status_code in (404, 422)
    page = client.get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for text in (page.text, client.get("/demo.js").text, client.get("/demo.css").text):
        assert "http://" not in text
        assert "https://" not in text


def test_the_latest_training_of_each_method_is_taken(store: Path, tmp_path: Path) -> None:
    assert [path.name for path in finished_trainings(store)] == ["train-ganimation", "train-stargan"]
    again = open_models([str(store / "train" / "train-stargan")] * 2, tmp_path, "cpu")
    assert list(again.models) == ["stargan", "stargan 2"]
    assert list(again.judges) == [SIZE]
    with pytest.raises(UserError, match="is missing"):
        open_models([str(tmp_path / "none")], tmp_path, "cpu")


def test_stored_weights_are_offered_by_name(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "reference"
    rows = {}
    for row, method in (("stargan-t", "stargan"), ("ganimation-r", "ganimation"), ("ganimation-b", "ganimation")):
        folder = f"weights/{row}"
        shutil.copytree(store / "train" / f"train-{method}", root / folder)
        rows[row] = StoredRow(row, method, "T", "F", {0: StoredSeed("", "", folder), 1: StoredSeed("", "")})
    (root / INDEX).write_text(json.dumps(dump(Index({"table1": StoredSuite("reference", rows)}))))
    monkeypatch.setattr("benchmark.editing.demo.models.REFERENCE", root)
    monkeypatch.setattr("benchmark.editing.editor.stored_weights", lambda name: stored_weights(name, root))
    nothing = tmp_path / "nothing"
    assert list(open_models([], nothing, "cpu").models) == ["ganimation", "stargan"]
    both = open_models([], store, "cpu").models
    assert list(both) == ["ganimation", "stargan", "ganimation, stored", "stargan, stored"]
    assert both["stargan, stored"].editor.identity == both["stargan"].editor.identity
    chosen = open_models(["ganimation-b", "ganimation", str(store / "train" / "train-stargan")], nothing, "cpu")
    assert list(chosen.models) == ["ganimation-b", "ganimation", "stargan"]
    assert list(chosen.judges) == [SIZE]  # beside the training that is given by its folder
    with pytest.raises(UserError, match="did you mean 'stargan'"):
        open_models(["stargann"], nothing, "cpu")
    (root / INDEX).unlink()
    with pytest.raises(UserError, match="no finished training, and no weights are stored"):
        open_models([], nothing, "cpu")


@pytest.fixture
def served(models: Models, rendered: dict[str, Face]) -> Iterator[str]:
    """The address of the demo, served in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make_app(models, rendered, Uploads()), "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)


def until(met: Callable[[], bool]) -> None:
    """Wait in Python: the page's policy lets nothing be evaluated in it again and again."""
    late = time.monotonic() + 20
    while not met():
        assert time.monotonic() < late
        time.sleep(0.05)


def test_the_page_with_a_keyboard_and_on_a_phone(
    served: str, open_page: Callable[..., Any], tmp_path: Path, rendered: dict[str, Face]
) -> None:
    page = open_page(served, width=390, dark=True)
    page.wait_for_selector("#edits article:nth-child(2) a[download]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert accessibility_faults(page) == []
    before = page.get_attribute("#edits .top", "src")
    page.focus("#by-expression button:first-child")
    page.keyboard.press("Enter")
    until(lambda: page.get_attribute("#edits .top", "src") != before)
    page.focus("#slider")
    page.keyboard.press("Home")
    assert page.evaluate("document.querySelector('.top').style.clipPath") == "inset(0px 100% 0px 0px)"
    assert page.locator(".pair i").first.is_hidden()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelector('.pair i').style.left") == "1%"
    assert page.locator(".pair i").first.is_visible()
    page.focus("input[name=way]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#edits .quiet:has-text('not guided by action units')")
    page.focus("#unit-AU12")
    page.keyboard.press("End")
    until(lambda: page.text_content("#unit-AU12 + span") == "5.0")
    assert accessibility_faults(page) == []
    chosen = page.get_attribute("#chosen", "src")
    picture = tmp_path / "face.png"
    picture.write_bytes(bytes((20 << 20) + 1))
    page.set_input_files("#file", picture)
    page.wait_for_selector("#source-told.fault:has-text('at most 20 MB')")
    above, told, below = (page.locator(name).bounding_box()["y"] for name in ("#drop", "#source-told", "#person"))
    assert above < told < below, "beside the button, not below the edits"
    picture.write_bytes(photograph())
    page.set_input_files("#file", picture)
    until(lambda: page.get_attribute("#chosen", "src") != chosen)
    assert page.locator("#source-told").is_hidden()
    until(lambda: "1 edit in" in page.text_content("#status"))


def test_the_command_serves_until_ctrl_c(store: Path) -> None:
    given = [word for folder in finished_trainings(store) for word in ("--checkpoint", str(folder))]
    command = [sys.executable, "-m", "benchmark.demo", *given, "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(Path(demo.__file__).parents[1])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    late = time.monotonic() + 30
    while True:
        try:
            content = json.loads(urllib.request.urlopen(f"{address}state", timeout=10).read())
            break
        except OSError:
            assert time.monotonic() < late
            time.sleep(0.1)
    assert [model["name"] for model in content["models"]] == ["ganimation", "stargan"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "ganimation, stargan; Ctrl-C ends the demo\n")


def test_nothing_to_edit_with_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--checkpoint", str(tmp_path), "--no-browser"]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert demo.main(["--checkpoint", "mtss", "--out", str(tmp_path / "file"), "--no-browser"]) == 2
    assert "is a file, not a folder: give the --out of benchmark.run" in capsys.readouterr().err


def test_a_damaged_judge_gives_no_opinion(store: Path, tmp_path: Path) -> None:
    out = shutil.copytree(store, tmp_path / "runs")
    judge, (training, _) = out / "judge" / "judge-fp-0", finished_trainings(out)
    files = {path.name: File(path.stat().st_size, sha256_of(path)) for path in judge.iterdir()}
    manifest = Manifest("0" * 64, "judge", "judge", {}, {}, 1, files, {}, 1.0, {})
    (judge / MANIFEST).write_text(manifest.dump())
    assert open_models([str(training)], out, "cpu").judges
    weights = judge / "judge.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"judge.safetensors is not what its manifest says"):
        open_models([str(training)], out, "cpu")
