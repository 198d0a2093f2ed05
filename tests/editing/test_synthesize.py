"""`python -m benchmark.synthesize`: any picture in, the same edit out, whatever form the picture had."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from baselines.efgan import EFGANSettings
from baselines.ganimation import GANimationSettings
from benchmark import synthesize
from benchmark.config.profiles import load_profile
from benchmark.core.progress import Reporter
from benchmark.data.framing import Framing
from benchmark.data.registry import open_source
from benchmark.editing.guides import prototype_units
from benchmark.interface import Faces, Shape, Target
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.report.canvas import PAPER
from benchmark.report.strip import draw_strip
from benchmark.stages.checkpoints import load_checkpoint
from benchmark.stages.prepare import Prepare
from benchmark.stages.synthesize import to_pictures, to_tensor
from benchmark.stages.train import Train
from benchmark.training import checkpoint
from benchmark.training.registry import find_method
from tests.data.openface_files import row, write
from tests.pipeline.test_pipeline import METHOD, configure

SIZE = 32
RNG = np.random.default_rng(4)
PICTURE = RNG.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Path]) -> Path:
    """A rendered set."""
    return make_faces(identities=5, size=SIZE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> Path:
    """A checkpoint of the dummy as the train stage writes it."""
    folder = tmp_path_factory.mktemp("trained")
    profile = load_profile(configure(tmp_path_factory.mktemp("config"))[3])
    source = open_source(f"rendered:{faces}", folder / "cache")
    prepared = tmp_path_factory.mktemp("prepared")
    source.load(SIZE, lambda count: None).save(prepared)
    stage = Train(Prepare(source, SIZE), METHOD, {}, "F", profile, 0, "cpu")
    context: Any = SimpleNamespace(
        store=SimpleNamespace(find=lambda recipe: SimpleNamespace(folder=prepared)),
        machine=SimpleNamespace(device="cpu", threads=1),
        reporter=Reporter(quiet=True),
        tracker=SimpleNamespace(losses=lambda key: None),
    )
    stage.run(context, folder)
    return folder


def untrained(folder: Path, name: str, settings: GANimationSettings) -> Path:
    """A checkpoint of a method as it is initialised."""
    torch.manual_seed(0)
    method = find_method(name)(settings, Shape(SIZE))
    checkpoint.save_tensors(folder / "weights.safetensors", checkpoint.prefixed("model", method.state_dict()), {})
    text = {"method": name, "settings": dataclasses.asdict(settings), "shape": dataclasses.asdict(Shape(SIZE))}
    (folder / "checkpoint.json").write_text(json.dumps(text))
    return folder


@pytest.fixture(scope="module")
def animated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GANimation, of wider colours than published, so that edits differ from sources."""
    settings = GANimationSettings(width=0.0625, initial_deviation=0.2)
    return untrained(tmp_path_factory.mktemp("animated"), "ganimation", settings)


def call(folder: Path, *arguments: object) -> int:
    try:
        return synthesize.main(["--checkpoint", str(folder), "--threads", "1", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)


def edit(folder: Path, out: Path, source: Path, *arguments: object) -> bytes:
    assert call(folder, "--source", source, "--out", out, *(arguments or ("--target", "happy"))) == 0
    return out.read_bytes()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        assert opened.mode == "RGB"
        return np.array(opened)


def save(path: Path, picture: np.ndarray = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def expected(
    folder: Path, source: np.ndarray, label: int, seed: int, reference: np.ndarray | None = None
) -> np.ndarray:
    method = load_checkpoint(folder, "cpu")
    references = None if reference is None else to_tensor(reference[None], "cpu")
    target = Target("T" if reference is None else "R", torch.tensor([label]), [seed], references)
    with torch.no_grad():
        return to_pictures(method.edit(Faces.of(to_tensor(source[None], "cpu")), target))[0]


# ------------------------------------------------------------------------------------------------ one picture
def test_the_train_stage_says_where_the_face_is(trained: Path, faces: Path) -> None:
    table = pd.read_parquet(faces / "faces.parquet")
    fact = json.loads((trained / "checkpoint.json").read_text())["framing"]
    assert Framing.from_json(fact) == Framing.measured(
        np.stack(table["landmarks"].to_list()).reshape(-1, 68, 2)[:1], SIZE
    )


def test_an_edit_is_the_methods(tmp_path: Path, trained: Path) -> None:
    source = save(tmp_path / "a.png")
    label = EXPRESSIONS.index("sad")
    edit(trained, tmp_path / "o.png", source, "--target", "sad", "--seed", 7)
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), expected(trained, PICTURE, label, 7))
    default = edit(trained, tmp_path / "d.png", source, "--target", "sad")
    assert default == edit(trained, tmp_path / "0.png", source, "--target", "sad", "--seed", 0)
    assert default != edit(trained, tmp_path / "1.png", source, "--target", "sad", "--seed", 1)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (torch.zeros(1, 3, 8, 8), "a tensor of 1 x 3 x 8 x 8"),
        (torch.zeros(3, SIZE, SIZE), f"a tensor of 3 x {SIZE} x {SIZE}"),
        (torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8), "a tensor of torch.uint8"),
        (None, "a value of type NoneType"),
    ],
)
def test_a_method_that_returns_no_pictures_is_one_line(
    tmp_path: Path, trained: Path, returned: object, message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """No training has held an imported checkpoint's method to the contract."""
    monkeypatch.setattr(find_method(METHOD), "edit", lambda *_: returned)
    assert call(trained, "--source", save(tmp_path / "a.png"), "--target", "sad", "--out", tmp_path / "o.png") == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert f"method Dummy: edit returns {message}, and must return a float tensor of 1 x 3 x {SIZE} x {SIZE}" in line
    assert not (tmp_path / "o.png").exists()


def test_a_method_that_raises_is_one_line(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(find_method(METHOD), "edit", lambda *_: 1 / 0)
    assert call(trained, "--source", save(tmp_path / "a.png"), "--target", "sad", "--out", tmp_path / "o.png") == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert "method Dummy: edit raises ZeroDivisionError: division by zero" in line


def test_by_reference(tmp_path: Path, trained: Path, faces: Path) -> None:
    source, reference = save(tmp_path / "a.png"), faces / "r001_fearful_090_frontal.png"
    edit(trained, tmp_path / "o.png", source, "--reference", reference)
    wanted = expected(trained, PICTURE, EXPRESSIONS.index("fearful"), 0, pixels(reference))
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), wanted)


def test_a_reference_of_unknown_expression(tmp_path: Path, trained: Path) -> None:
    source, reference = save(tmp_path / "a.png"), save(tmp_path / "b.png", PICTURE[::-1])
    edit(trained, tmp_path / "o.png", source, "--reference", reference)
    wanted = expected(trained, PICTURE, -1, 0, PICTURE[::-1])
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), wanted)


def test_the_form_of_the_picture_plays_no_part(tmp_path: Path, trained: Path) -> None:
    """Turned by EXIF, with alpha, grey, 16 bits, with another name: the same bytes as the plain picture."""
    wide = RNG.integers(0, 256, (40, 52, 3), dtype=np.uint8)
    plain = edit(trained, tmp_path / "plain.png", save(tmp_path / "a.png", wide))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(wide))).save(tmp_path / "turned.png", exif=exif)
    assert edit(trained, tmp_path / "o1.png", tmp_path / "turned.png") == plain

    alpha = np.where(RNG.random((40, 52)) < 0.5, 255, 0).astype(np.uint8)
    over_white = save(tmp_path / "white.png", np.where(alpha[..., None] == 255, wide, 255).astype(np.uint8))
    clear = save(tmp_path / "clear.png", np.dstack([wide, alpha]))
    assert edit(trained, tmp_path / "o2.png", clear) == edit(trained, tmp_path / "o3.png", over_white)

    grey = wide[..., 0]
    three = edit(trained, tmp_path / "o4.png", save(tmp_path / "three.png", grey[..., None].repeat(3, 2)))
    assert edit(trained, tmp_path / "o5.png", save(tmp_path / "grey.png", grey)) == three
    assert edit(trained, tmp_path / "o6.png", save(tmp_path / "deep.png", grey.astype(np.uint16) * 257)) == three


def test_any_size(tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for width, height in ((1, 1), (5, 300), (700, 9), (64, 64)):
        source = save(tmp_path / f"{width}.png", RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))
        edit(trained, tmp_path / "o" / f"{width}.png", source)
        assert pixels(tmp_path / "o" / f"{width}.png").shape == (SIZE, SIZE, 3)
    errors = capfd.readouterr().err
    assert "centre square: no landmarks for 700.png" in errors
    assert f"enlarged: the square of 700.png has 9 px, the model's has {SIZE}" in errors
    assert "enlarged: the square of 64.png" not in errors


# ------------------------------------------------------------------------------------------------ the face box
def circle(middle: float, radius: float) -> np.ndarray:
    """The landmarks that `write_faces` gives every picture."""
    angle = np.linspace(0, 2 * np.pi, 68)
    return np.stack([middle + radius * np.cos(angle), middle + radius * np.sin(angle)], 1)


def test_a_face_elsewhere_in_a_larger_picture_is_cut_out_as_trained(tmp_path: Path, trained: Path) -> None:
    """Moved and enlarged threefold, with OpenFace's CSV: the edit is that of the plain face."""
    smooth = np.asarray(Image.fromarray(PICTURE[:4, :4]).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    edit(trained, tmp_path / "plain.png", save(tmp_path / "face.png", smooth))
    canvas = np.full((150, 220, 3), 90, np.uint8)
    canvas[37 : 37 + 3 * SIZE, 101 : 101 + 3 * SIZE] = smooth.repeat(3, 0).repeat(3, 1)
    landmarks = (circle(SIZE / 2, SIZE / 4) + 0.5) * 3 - 0.5 + [101, 37]
    source = save(tmp_path / "large.png", canvas)
    units = [0.0] * 17
    for folder, arguments in (("large.csv", ()), ("csv/large.csv", ("--openface", tmp_path / "csv"))):
        write(tmp_path / folder, [row(landmarks, units, confidence=1)])
        out = tmp_path / f"{Path(folder).parent.name}out.png"
        edit(trained, out, source, "--target", "happy", *arguments)
        # At the rim, the triangle of the resampling has what lies round the face in it.
        difference = pixels(out).astype(int) - pixels(tmp_path / "plain.png")
        assert np.abs(difference[2:-2, 2:-2]).max() <= 6
        assert np.abs(difference[2:-2, 2:-2]).mean() < 1
        (tmp_path / folder).unlink()


def test_pictures_of_a_rendered_set_have_their_table(
    tmp_path: Path, trained: Path, faces: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = faces / "r002_sad_090_frontal.png"
    assert call(trained, "--source", source, "--target", "happy", "--out", tmp_path / "o.png", "--json") == 0
    shown, errors = capfd.readouterr()
    (result,) = json.loads(shown)["edits"]
    assert result["framed"] == "whole"
    assert result["box"] == [0, 0, SIZE, SIZE]
    assert "centre square" not in errors
    wanted = expected(trained, pixels(source), EXPRESSIONS.index("happy"), 0)
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), wanted)


def test_what_reaches_outside_is_reported(tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png", RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    write(tmp_path / "a.csv", [row(circle(12, 9), [0] * 17, confidence=1)])
    edit(trained, tmp_path / "o.png", source)
    assert "edge repeated: the square of a.png reaches 6 px outside the picture" in capfd.readouterr().err


def test_a_checkpoint_from_before_the_framing_was_kept(
    tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(trained, old)
    text = json.loads((old / "checkpoint.json").read_text())
    del text["framing"]
    (old / "checkpoint.json").write_text(json.dumps(text))
    source = save(tmp_path / "a.png")
    assert edit(old, tmp_path / "o.png", source) == edit(trained, tmp_path / "p.png", source)
    assert "RaFD's centred square is assumed" in capfd.readouterr().err
    (old / "checkpoint.json").write_text(json.dumps({**text, "framing": 3}))
    assert call(old, "--source", source, "--target", "sad", "--out", tmp_path / "q.png") == 2


# ------------------------------------------------------------------------------------------------ the strip
def test_the_strip_has_the_right_pictures_at_the_right_places(tmp_path: Path, trained: Path) -> None:
    source = save(tmp_path / "a.png")
    edit(trained, tmp_path / "strip.png", source, "--target", "all", "--seed", 3)
    strip = pixels(tmp_path / "strip.png")
    cells = {"source": PICTURE}
    for name in EXPRESSIONS:
        edit(trained, tmp_path / f"{name}.png", source, "--target", name, "--seed", 3)
        cells[name] = pixels(tmp_path / f"{name}.png")
    drawn = draw_strip(PICTURE, [cells[name] for name in EXPRESSIONS], EXPRESSIONS)
    assert drawn.scale == 4
    assert [left for left, _ in drawn.corners] == sorted(left for left, _ in drawn.corners)

    def label(name: str, side: int) -> np.ndarray:
        """The ink under a picture of this name, as it is in a strip of two."""
        other = "happy" if name == "source" else name
        alone = draw_strip(PICTURE, [PICTURE], [other])
        left, top = alone.corners[0 if name == "source" else 1]
        return (np.asarray(alone.image)[top + side :, left : left + side] != PAPER).any(-1)

    assert label("sad", SIZE * 4).any()
    side, blank = SIZE * drawn.scale, np.ones(strip.shape[:2], bool)
    for (left, top), (name, cell) in zip(drawn.corners, cells.items(), strict=True):
        shown = strip[top : top + side, left : left + side]
        np.testing.assert_array_equal(shown, cell.repeat(drawn.scale, 0).repeat(drawn.scale, 1))
        blank[top : top + side, left : left + side] = False
        under = (strip[top + side :, left : left + side] != PAPER).any(-1)
        np.testing.assert_array_equal(under, label(name, side), err_msg=f"{name} is not under its picture")
        blank[top + side :, left : left + side] = False
    assert (strip[blank] == PAPER).all(), "names are no wider than their pictures"


# ------------------------------------------------------------------------------------------------ action units
UNITS = np.random.default_rng(9).uniform(0, 5, 17).round(2)


def animate(folder: Path, source: np.ndarray, units: np.ndarray) -> np.ndarray:
    method = load_checkpoint(folder, "cpu")
    target = Target("R", torch.tensor([-1]), [0], None, torch.from_numpy(units[None]).float())
    with torch.no_grad():
        return to_pictures(method.edit(Faces.of(to_tensor(source[None], "cpu")), target))[0]


def test_guided_by_action_units(tmp_path: Path, animated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png")
    known = row(circle(SIZE / 2, SIZE / 4), [0] * 17, confidence=1)
    write(tmp_path / "a.csv", [known])
    wanted = write(tmp_path / "target.csv", [row(circle(9, 3), UNITS.tolist(), confidence=1)])
    edit(animated, tmp_path / "o.png", source, "--aus", wanted)
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), animate(animated, PICTURE, UNITS))

    save(tmp_path / "ref.png", PICTURE[::-1])
    write(tmp_path / "ref.csv", [row(circle(SIZE / 2, SIZE / 4), UNITS.tolist(), confidence=1)])
    edit(animated, tmp_path / "r.png", source, "--reference", tmp_path / "ref.png")
    np.testing.assert_array_equal(pixels(tmp_path / "r.png"), pixels(tmp_path / "o.png"))

    (tmp_path / "plain.csv").write_text("AU12,5\nAU25,2.5\n")
    capfd.readouterr()
    edit(animated, tmp_path / "p.png", source, "--aus", tmp_path / "plain.csv")
    units = np.array([{"AU12_r": 5.0, "AU25_r": 2.5}.get(name, 0.0) for name in ACTION_UNITS])
    np.testing.assert_array_equal(pixels(tmp_path / "p.png"), animate(animated, PICTURE, units))
    assert "guided by action units: plain.csv (AU12 5, AU25 2.5)" in capfd.readouterr().err


def test_expressions_are_prototypes_for_a_method_of_action_units(
    tmp_path: Path, animated: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    write(tmp_path / "a.csv", [row(circle(SIZE / 2, SIZE / 4), [0] * 17, confidence=1)])
    edit(animated, tmp_path / "o.png", source, "--target", "happy")
    assert "RaFD's prototype of happy (AU06 4.5, AU12 4.5, AU25 4.5)" in capfd.readouterr().err
    units = np.array([4.5 if name in ("AU06_r", "AU12_r", "AU25_r") else 0 for name in ACTION_UNITS])
    np.testing.assert_array_equal(prototype_units("happy"), units)
    np.testing.assert_array_equal(pixels(tmp_path / "o.png"), animate(animated, PICTURE, units))
    edit(animated, tmp_path / "s.png", source, "--target", "all")
    left, top = draw_strip(PICTURE, [PICTURE] * 8, EXPRESSIONS).corners[1 + EXPRESSIONS.index("happy")]
    np.testing.assert_array_equal(pixels(tmp_path / "s.png")[top, left], pixels(tmp_path / "o.png")[0, 0])


def test_what_a_method_needs_is_reported(tmp_path: Path, animated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.png")
    (tmp_path / "u.csv").write_text("AU12,5\n")
    cascade = tmp_path / "cascade"
    cascade.mkdir()
    untrained(cascade, "efgan", EFGANSettings(width=0.0625))
    assert call(cascade, "--source", source, "--aus", tmp_path / "u.csv", "--out", tmp_path / "o.png", "--quiet") == 2
    assert capfd.readouterr().err == (
        f"error: {source}: efgan needs its landmarks and action units: put OpenFace's CSV beside it, or give "
        "--openface DIR\n"
    )
    edit(animated, tmp_path / "free.png", source, "--aus", tmp_path / "u.csv")
    capfd.readouterr()
    assert call(animated, "--source", source, "--reference", source, "--out", tmp_path / "o.png", "--quiet") == 2
    errors = capfd.readouterr().err
    assert "ganimation reads its action units, which are not known: put OpenFace's a.csv beside it, or give" in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "o.png").exists()


# ------------------------------------------------------------------------------------------------ folders
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good pictures, one broken, one file that is none."""
    photos = tmp_path / "photos"
    for number, name in enumerate(("a.png", "b.JPG", "deep/er/c.webp", "[red]d.png")):
        save(photos / name, np.roll(PICTURE, number, 1))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (photos / "film.mov").write_bytes(b"moving")
    return photos


def test_a_folder(tmp_path: Path, trained: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert call(trained, "--source", folder, "--target", "happy", "--out", out) == 1
    shown, errors = capfd.readouterr()
    result = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert result == ["[red]d.png", "a.png", "b.png", "deep/er/c.png"]
    assert "failed: broken.jpg: " in errors
    assert "Traceback" not in errors
    assert "centre square: no landmarks for [red]d.png" in errors
    assert "left out, for they are no pictures: film.mov" in errors
    assert errors.endswith("failed: 1 of 5 pictures could not be edited (they are named above)\n")
    assert shown == f"{out}: 4 made; 1 failed\n"
    alone = edit(trained, tmp_path / "alone.png", folder / "deep/er/c.webp")
    assert pixels(tmp_path / "alone.png").tolist() == pixels(out / "deep/er/c.png").tolist()
    assert len(alone) > 0


def test_what_is_there_is_left_alone(
    tmp_path: Path, trained: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (folder / "broken.jpg").unlink()
    assert call(trained, "--source", folder, "--target", "happy", "--out", out) == 0
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*.png")}
    (out / "a.png").unlink()
    save(out / "b.png")
    capfd.readouterr()
    assert call(trained, "--source", folder, "--target", "happy", "--out", out) == 0
    assert capfd.readouterr().out == (
        f"{out}: 1 made; 3 there already, 1 of them made otherwise (--overwrite makes them anew)\n"
    )
    assert (out / "a.png").read_bytes() == before[out / "a.png"][0]
    for name in ("[red]d.png", "deep/er/c.png"):
        assert (out / name).stat().st_mtime_ns == before[out / name][1]
    assert call(trained, "--source", folder, "--target", "happy", "--out", out, "--overwrite") == 0
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == {path: raw for path, (raw, _) in before.items()}
    assert call(trained, "--source", folder, "--target", "sad", "--out", out) == 0
    assert "4 there already, 4 of them made otherwise" in capfd.readouterr().out


def test_one_picture_that_is_there(tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, out = save(tmp_path / "a.png"), tmp_path / "o.png"
    first = edit(trained, out, source)
    stamp = out.stat().st_mtime_ns
    capfd.readouterr()
    assert edit(trained, out, source) == first
    assert out.stat().st_mtime_ns == stamp
    assert capfd.readouterr().out == f"{out}, there already (--overwrite makes it anew)\n"
    save(source, PICTURE[::-1])
    assert call(trained, "--source", source, "--target", "happy", "--out", out) == 2
    assert "is there already and was made otherwise: --overwrite" in capfd.readouterr().err
    assert edit(trained, out, source, "--target", "happy", "--overwrite") != first


def test_two_sources_of_one_name(tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    for name in ("a.png", "a.bmp", "b.png"):
        save(photos / name)
    assert call(trained, "--source", photos, "--target", "happy", "--out", tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    errors = capfd.readouterr().err
    assert "failed: a.bmp: 2 sources would be written to a.png: rename all but one" in errors


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")

    def full(self: Image.Image, path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"\x89PNG")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert call(trained, "--source", source, "--target", "happy", "--out", tmp_path / "o" / "o.png") == 2
    assert "o.png cannot be written (No space left on device)" in capfd.readouterr().err
    assert not list((tmp_path / "o").iterdir())


def test_json_says_what_was_done(
    tmp_path: Path, trained: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(trained, "--source", folder, "--target", "sad", "--seed", 5, "--out", tmp_path / "out", "--json") == 1
    report = json.loads(capfd.readouterr().out)
    assert (report["schema"], report["method"], report["size"]) == (1, METHOD, SIZE)
    by_name = {Path(result["source"]).name: result for result in report["edits"]}
    assert by_name["a.png"] == {
        "source": str(folder / "a.png"), "out": str(tmp_path / "out" / "a.png"), "state": "made", "reason": "",
        "box": [0, 0, SIZE, SIZE], "framed": "centre", "target": "sad", "seed": 5, "reference": None, "aus": None,
        "units": None, "checkpoint": str(trained),
    }  # fmt: skip
    assert by_name["broken.jpg"]["state"] == "failed"
    assert by_name["broken.jpg"]["reason"]


# ------------------------------------------------------------------------------------------------ wrong inputs
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--target", "hapy"], "unknown expression 'hapy'; did you mean 'happy'?"),
        (["--target", "sad", "--seed", "-1"], "--seed -1 is no seed"),
        (["--aus", "{units}"], "tests.dummy:Dummy is not guided by action units; --target EXPRESSION tells it"),
        (["--aus", "none.csv"], "--aus none.csv is missing"),
        (["--reference", "{folder}"], "is a folder, not a file"),
        (["--reference", "{broken}"], "--reference {broken}: "),
        (["--reference", "{good}", "--seed", "3"], "--seed draws the latent of --target"),
        ([], "one of the arguments --target --reference --aus is required"),
        (["--target", "sad", "--reference", "{good}"], "not allowed with argument"),
        (["--target", "sad", "--threads", "0"], "--threads must be at least 1"),
        (["--target", "sad", "--openface", "nowhere"], "--openface nowhere is missing"),
        (["--target", "sad", "--source", "none.png"], "--source none.png is missing"),
        (["--target", "sad", "--source", "{broken}"], "{broken}: no picture that can be read: damaged"),
        (["--target", "sad", "--source", "{folder}/empty", "--out", "{folder}/new"], "has no pictures"),
        (["--target", "sad", "--source", "{folder}", "--out", "{folder}/new"], "is in --source"),
        (["--target", "sad", "--source", "{folder}", "--out", "{runs}.png"], "{runs}.png has a picture's name"),
        (["--target", "sad", "--out", "{folder}"], "is a folder and --source a file: name the picture"),
        (["--target", "sad", "--out", "{good}"], "--out would overwrite {good}, which --source reads"),
        (["--reference", "{other}", "--out", "{other}"], "which --reference reads"),
        (["--target", "sad", "--out", "o.jpg"], "edits are written as PNG, so name it o.png"),
        (["--target", "sad", "--out", "/proc/nowhere/o.png"], "/proc/nowhere/o.png cannot be written"),
        (["--target", "sad", "--checkpoint", "nowhere"], "--checkpoint nowhere is missing"),
        (["--target", "sad", "--checkpoint", "{folder}"], "holds no checkpoint (checkpoint.json is missing); bench"),
        (["--target", "sad", "--checkpoint", "{runs}"], "there is one in it: {runs}/train/train-dummy"),
        (["--target", "sad", "--csv", "x"], "unknown argument '--csv'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    tmp_path: Path, trained: Path, change: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    names = {"folder": tmp_path, "good": save(tmp_path / "a.png"), "other": save(tmp_path / "b.png")}
    names |= {"units": tmp_path / "u.csv", "broken": tmp_path / "broken.jpg", "runs": tmp_path / "runs"}
    names["units"].write_text("AU12,3\n")
    names["broken"].write_bytes(b"none")
    (tmp_path / "empty").mkdir()
    (tmp_path / "runs" / "train").mkdir(parents=True)
    (tmp_path / "runs" / "train" / "train-dummy").symlink_to(trained)
    before = sorted(tmp_path.rglob("*"))
    words = [word.format(**names) for word in change]
    assert call(trained, "--source", names["good"], "--out", tmp_path / "o.png", "--quiet", *words) == 2
    shown, error = capfd.readouterr()
    assert shown == ""
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message.format(**names) in error
    assert sorted(tmp_path.rglob("*")) == before


# ------------------------------------------------------------------------------------------------ folders as they are
def test_linked_folders_are_edited_and_copies_are_not(
    tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    save(photos / "a.png")
    save(elsewhere / "b.jpe")
    (photos / "linked").symlink_to(elsewhere)
    (photos / "linked" / "back").symlink_to(photos)
    for name in ("a.jpg", "a_aligned/face_det_000000.bmp"):
        save(photos / "processed" / name)
    os.mkfifo(photos / "pipe.png")
    assert call(trained, "--source", photos, "--target", "happy", "--out", tmp_path / "out") == 0
    shown, errors = capfd.readouterr()
    assert shown == f"{tmp_path / 'out'}: 2 made\n"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "b.png"]
    assert "left out: 2 pictures in processed/, a folder of copies by its name" in errors
    assert "left out: 1 named pipes, sockets or devices" in errors


def test_a_folder_that_cannot_be_read_is_no_success(
    tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "photos" / "a.png")
    save(tmp_path / "photos" / "closed" / "b.png")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert call(trained, "--source", tmp_path / "photos", "--target", "happy", "--out", tmp_path / "out") == 2
    assert "closed cannot be read (Permission denied): check its permissions" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(120)
def test_what_is_no_file_is_one_line(tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good, pipe, circle = save(tmp_path / "a.png"), tmp_path / "pipe.png", tmp_path / "circle.png"
    os.mkfifo(pipe)
    circle.symlink_to(circle)
    zero = tmp_path / "zero.png"
    zero.symlink_to("/dev/zero")
    long = tmp_path / f"{'x' * 300}.png"
    calls: list[tuple[list[object], str]] = [
        (["--source", pipe, "--target", "sad"], "is a named pipe, not a file"),
        (["--source", zero, "--target", "sad"], "is a device, not a file"),
        (["--source", circle, "--target", "sad"], "Too many levels of symbolic links"),
        (["--source", long, "--target", "sad"], "File name too long"),
        (["--source", good, "--aus", pipe], "--aus"),
        (["--source", good, "--reference", zero], "--reference"),
        (["--source", good, "--target", "sad", "--openface", pipe], "--openface"),
    ]
    for words, message in calls:
        assert call(trained, *words, "--out", tmp_path / "o.png", "--quiet") == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1
        assert message in error
    (tmp_path / "a.csv").symlink_to(pipe)
    assert call(trained, "--source", good, "--target", "sad", "--out", tmp_path / "o.png", "--quiet") == 2
    assert "a.csv cannot be read (it is a named pipe, not a file)" in capfd.readouterr().err


def test_openface_without_a_face_costs_only_methods_that_need_one(
    tmp_path: Path, trained: Path, animated: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = save(tmp_path / "a.png")
    columns = ["success", *(f"{axis}_{k}" for axis in "xy" for k in range(68)), *ACTION_UNITS]
    write(tmp_path / "a.csv", [row(np.zeros((68, 2)), [0] * 17, success=0)], columns)
    edited = edit(trained, tmp_path / "o.png", source)
    errors = capfd.readouterr().err
    assert "no face: OpenFace found none in a.png" in errors
    assert "centre square: no landmarks for a.png" in errors
    (tmp_path / "a.csv").unlink()
    assert edit(trained, tmp_path / "p.png", source) == edited
    write(tmp_path / "a.csv", [row(np.zeros((68, 2)), [0] * 17, success=0)], columns)
    cascade = tmp_path / "cascade"
    cascade.mkdir()
    untrained(cascade, "efgan", EFGANSettings(width=0.0625))
    (tmp_path / "u.csv").write_text("AU12,5\n")
    assert call(cascade, "--source", source, "--aus", tmp_path / "u.csv", "--out", tmp_path / "q.png", "--quiet") == 2
    errors = capfd.readouterr().err
    assert "efgan needs its landmarks and action units, and OpenFace found no face in it" in errors


def test_one_file_of_openface_for_a_folder(tmp_path: Path, animated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos"
    for name in ("a.png", "b.png"):
        save(photos / name)
    columns = ["frame", "success", *(f"{axis}_{k}" for axis in "xy" for k in range(68)), *ACTION_UNITS]
    angle = np.linspace(0, 6, 68)
    circle = np.stack([16 + 8 * np.cos(angle), 16 + 8 * np.sin(angle)], 1)
    rows = [row(circle, [k] * 17, frame=k, success=1) for k in (1, 2)]
    table = write(tmp_path / "all.csv", rows, columns)
    common = ["--aus", tmp_path / "u.csv", "--out"]
    (tmp_path / "u.csv").write_text("AU12,5\n")
    assert call(animated, "--source", photos, "--openface", table, *common, tmp_path / "out") == 0
    assert "centre square" not in capfd.readouterr().err
    write(photos / "processed" / "photos.csv", rows, columns)
    assert call(animated, "--source", photos, *common, tmp_path / "same") == 0
    assert "centre square" not in capfd.readouterr().err
    assert [path.read_bytes() for path in sorted((tmp_path / "same").iterdir())] == [
        path.read_bytes() for path in sorted((tmp_path / "out").iterdir())
    ]
    save(photos / "c.png")
    assert call(animated, "--source", photos, "--openface", table, *common, tmp_path / "more") == 2
    assert "all.csv has 2 frames, and" in capfd.readouterr().err
    others = write(tmp_path / "others.csv", rows, ["filename", *columns])
    assert call(animated, "--source", photos, "--openface", others, *common, tmp_path / "more") == 2
    assert "others.csv names none of the pictures of --source (a.png, ...)" in capfd.readouterr().err


def test_several_faces_and_several_pages_are_reported(
    tmp_path: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    angle = np.linspace(0, 6, 68)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    write(tmp_path / "a.csv", [row(c + r * circle, [1] * 17, confidence=0.9) for c, r in ((16, 12), (16, 3))])
    save(tmp_path / "a.png")
    edit(trained, tmp_path / "o.png", tmp_path / "a.png")
    assert "largest face: OpenFace found 2 of comparable confidence in a.png" in capfd.readouterr().err
    frames = [Image.fromarray(np.roll(PICTURE, k, 1)) for k in range(3)]
    frames[0].save(tmp_path / "b.png", save_all=True, append_images=frames[1:])
    edit(trained, tmp_path / "p.png", tmp_path / "b.png")
    assert "first picture: b.png is an animation or has several pages" in capfd.readouterr().err
