"""The command: its numbers against the metrics on arrays, and an answer to everything that a folder can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid.fid_score import calculate_frechet_distance
from skimage import data as skimage_data

from benchmark.core.errors import UserError
from benchmark.data.picture_folder import find_pictures
from benchmark.metrics.density import coverage, density
from benchmark.metrics.feature_files import FeatureSet, read_features, write_features
from benchmark.metrics.features import FLOOR, open_extractor, weights
from benchmark.metrics.frechet import frechet_distance, frechet_distance_of_moments
from benchmark.metrics.kid import kernel_distance
from benchmark.metrics.psnr import CAP_DB, psnr
from benchmark.metrics.ssim import ssim
from benchmark.score import main
from tests.data.picture_bytes import png16

data: Any = skimage_data
SIDE = 32
LITE0 = ("--features", "efficientnet-lite0")


def crops(count: int, seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """Parts of a photograph."""
    photograph = np.asarray(data.astronaut())
    starts = np.random.default_rng(seed).integers(0, 512 - side, (count, 2))
    return np.stack([photograph[y : y + side, x : x + side] for y, x in starts])


def write(folder: Path, images: NDArray[np.uint8], first: int = 0, suffix: str = ".png") -> Path:
    """One file a picture: 000.png, 001.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, start=first):
        Image.fromarray(image).save(folder / f"{number:03d}{suffix}")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "real", crops(8, 0)), write(tmp_path / "fake", crops(6, 1))


def run(capsys: pytest.CaptureFixture[str], real: Path, fake: Path, *options: str) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    status = main(["--real", str(real), "--fake", str(fake), *options])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def refused(capsys: pytest.CaptureFixture[str], real: Path, fake: Path, *options: str) -> str:
    """The one error line of a call that must end with status 2 and print no result."""
    status, out, err = run(capsys, real, fake, *options)
    assert (status, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    return lines[0]


def measured(capsys: pytest.CaptureFixture[str], real: Path, fake: Path, *options: str) -> dict[str, Any]:
    """The parsed result of a call that must succeed."""
    status, out, _ = run(capsys, real, fake, *LITE0, "--allow-small", "--json", *options)
    assert status == 0
    result: dict[str, Any] = json.loads(out)
    return result


def test_numbers_are_those_of_the_metrics(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, *folders)
    extractor = open_extractor("efficientnet-lite0")
    real, fake = extractor.features(crops(8, 0)), extractor.features(crops(6, 1))
    assert result["scores"] == {
        "fid": pytest.approx(frechet_distance(fake, real), rel=1e-6),
        "kid": pytest.approx(1000 * kernel_distance(fake, real), rel=1e-6),
        "density": pytest.approx(density(fake, real)),
        "coverage": pytest.approx(coverage(fake, real)),
        "psnr_true": pytest.approx(psnr(crops(8, 0)[:6], crops(6, 1)).mean()),
        "ssim": pytest.approx(ssim(crops(8, 0)[:6], crops(6, 1)).mean()),
    }
    assert (result["pairs"], result["reasons"]) == ({"pairs": 6, "identical": 0}, {})
    assert {metric["key"]: metric["label"] for metric in result["metrics"]} == {
        "fid": "FD[lite0]", "psnr_true": "PSNR-true", "ssim": "SSIM", "kid": "KD[lite0] × 1000",
        "density": "Density[lite0]", "coverage": "Coverage[lite0]",
    }  # fmt: skip
    assert result["real"]["sizes"] == {"32x32": 8}
    assert result["features"]["column"] == "FD[lite0]"
    assert result["features"]["comparable"] is False
    assert result["schema"] == 2
    assert measured(capsys, *folders, "--batch", "1") == result


def test_table(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *folders, *LITE0, "--allow-small")
    assert status == 0
    heads = [line.split("  ")[0] for line in out.splitlines()[1:]]
    assert [head.rstrip() for head in heads] == [
        "FD[lite0]", "PSNR-true (dB)", "SSIM", "KD[lite0] × 1000", "Density[lite0]", "Coverage[lite0]",
    ]  # fmt: skip
    assert out.count("6 fake, 8 real") == 4
    assert "FID" not in out
    assert "not comparable with published numbers" in err


def test_a_folder_and_itself(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    result = measured(capsys, folders[0], folders[0])
    assert result["scores"]["fid"] == pytest.approx(0.0, abs=1e-4)
    assert result["pairs"] == {"pairs": 8, "identical": 8}
    assert (result["scores"]["psnr_true"], result["scores"]["ssim"]) == (CAP_DB, pytest.approx(1.0))


def test_mixed_sizes_are_measured_each_at_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, large = crops(3, 0), crops(4, 1, side=48)
    real = write(write(tmp_path / "real", small), large, first=3)
    fake = write(tmp_path / "fake", crops(6, 2))
    result = measured(capsys, real, fake)
    assert result["real"]["sizes"] == {"48x48": 4, "32x32": 3}
    assert any("2 sizes of pictures" in note for note in result["notes"])
    assert any("3 pictures of equal name have different sizes" in note for note in result["notes"])
    assert result["pairs"]["pairs"] == 3
    extractor = open_extractor("efficientnet-lite0")
    both = np.concatenate([extractor.features(small), extractor.features(large)])
    assert result["scores"]["fid"] == pytest.approx(frechet_distance(extractor.features(crops(6, 2)), both), rel=1e-6)


def test_names_without_partner_or_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", crops(4, 0))
    fake = write(tmp_path / "fake", crops(4, 1), first=100)
    assert measured(capsys, real, fake)["pairs"] is None
    write(fake, crops(2, 2))
    write(fake, crops(1, 3), suffix=".bmp")
    result = measured(capsys, real, fake)
    assert result["pairs"]["pairs"] == 1
    assert any(note.startswith("1 names occur twice") for note in result["notes"])


def test_pictures_smaller_than_the_window_have_no_ssim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = write(tmp_path / "real", crops(3, 0, side=8)), write(tmp_path / "fake", crops(3, 1, side=8))
    result = measured(capsys, real, fake)
    assert result["scores"]["ssim"] is None
    assert result["reasons"] == {"ssim": "pairs have sides under 11 pixels, the smallest that it measures"}
    assert result["scores"]["psnr_true"] > 0


def test_broken_files_are_all_named(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = folders
    whole = (real / "000.png").read_bytes()
    (real / "cut.png").write_bytes(whole[: len(whole) // 2])
    (real / "empty.jpg").touch()
    (fake / "text.PNG").write_text("no picture")
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(fake / "deep.png")
    status, out, err = run(capsys, real, fake, *LITE0, "--allow-small")
    assert (status, out) == (2, "")
    named = [line for line in err.splitlines() if line.startswith("broken: ")]
    expected = (real / "cut.png", real / "empty.jpg", fake / "deep.png", fake / "text.PNG")
    assert [line.split(": ")[1] for line in named] == [str(path) for path in expected]
    assert "truncated" in named[0]
    assert "more than 8 bits" in named[2]
    assert "error: 4 of 18 files cannot be read" in err


def test_other_pixel_formats_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Grey, palette and transparent pictures become RGB, and a picture stored on its side is turned upright."""
    real, fake = tmp_path / "real", tmp_path / "fake"
    write(real, crops(3, 0))
    fake.mkdir()
    pictures = [Image.fromarray(image) for image in crops(3, 0)]
    pictures[0].convert("L").save(fake / "grey.png")
    pictures[1].quantize(16).save(fake / "palette.png")
    turned = pictures[2].transpose(Image.Transpose.ROTATE_90)
    orientation = Image.Exif()
    orientation[0x0112] = 6
    turned.save(fake / "002.png", exif=orientation)
    transparent = pictures[0].convert("RGBA")
    transparent.putalpha(0)
    transparent.save(fake / "glass.png")
    result = measured(capsys, real, fake)
    assert result["fake"]["images"] == 4
    assert result["pairs"] == {"pairs": 1, "identical": 1}
    assert (result["scores"]["psnr_true"], result["scores"]["ssim"]) == (CAP_DB, pytest.approx(1.0))


def test_small_sets_are_refused_with_the_reason(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, *folders, *LITE0)
    assert "has 8 pictures" in message
    assert str(FLOOR) in message
    assert "--allow-small" in message


def test_one_picture_is_never_a_distribution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = write(tmp_path / "real", crops(1, 0)), write(tmp_path / "fake", crops(4, 0))
    assert "at least 2" in refused(capsys, real, fake, *LITE0, "--allow-small")


def test_folders_that_are_none(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = folders
    (tmp_path / "empty").mkdir()
    assert "--real" in refused(capsys, tmp_path / "gone", fake, *LITE0)
    assert "is a file, not a folder" in refused(capsys, real, fake / "000.png", *LITE0)
    assert "has no pictures" in refused(capsys, tmp_path / "empty", fake, *LITE0)
    assert "folders in it (empty, ...) are not searched" in refused(capsys, tmp_path, fake, *LITE0)


def test_missing_weights_name_the_stand_in(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    nowhere = replace(weights.INCEPTION, url=f"http://127.0.0.1:9/{weights.INCEPTION.file_name}")
    monkeypatch.setattr(weights, "INCEPTION", nowhere)
    message = refused(capsys, *folders, "--allow-small")
    for part in (nowhere.url, str(tmp_path / "cache"), "--fid-weights", "--features efficientnet-lite0"):
        assert part in message


def test_wrong_options(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--batch" in refused(capsys, *folders, *LITE0, "--batch", "0")
    assert "takes no weights file" in refused(capsys, *folders, *LITE0, "--allow-small", "--fid-weights", "x.pth")
    with pytest.raises(SystemExit) as left:
        main(["--real", "a", "--fake", "b", "--feature", "inception"])
    assert left.value.code == 2
    assert "did you mean '--features'" in capsys.readouterr().err


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    write(tmp_path, crops(2, 0))
    (tmp_path / "._000.png").write_bytes(b"what some systems leave beside a file")
    assert [path.name for path in find_pictures(tmp_path, "--real").paths] == ["000.png", "001.png"]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, benchmark.score; print(sorted({'torch', 'numpy', 'PIL', 'rich', 'pandas'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


# ---------------------------------------------------------------------------------------------- what is in a folder
def test_folders_inside_are_counted_and_searched_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = write(tmp_path / "real", crops(4, 0)), write(tmp_path / "fake", crops(4, 1))
    write(fake / "more", crops(5, 2))
    write(fake / "processed", crops(2, 3))
    result = measured(capsys, real, fake)
    assert result["fake"]["images"] == 4
    assert (
        f"--fake {fake}: 7 pictures in folders in it (more, ...) are not searched without --recursive"
        in result["notes"]
    )
    write(real / "more", crops(3, 4))
    result = measured(capsys, real, fake, "--recursive")
    assert (result["real"]["images"], result["fake"]["images"]) == (7, 9)
    assert result["pairs"]["pairs"] == 7  # by the path below the folder
    assert f"--fake {fake}: 2 pictures in processed/, a folder of copies by its name were not read" in result["notes"]


def test_every_kind_of_picture_is_read_and_what_is_none_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = write(tmp_path / "real", crops(5, 0)), tmp_path / "fake"
    fake.mkdir()
    kinds = {".jfif": "JPEG", ".jpe": "JPEG", ".gif": "GIF", ".avif": "AVIF", ".jp2": "JPEG2000", ".PNG": "PNG"}
    for (suffix, kind), image in zip(kinds.items(), crops(6, 0), strict=True):
        Image.fromarray(image).save(fake / f"a{suffix}", kind)
    (fake / "notes.txt").touch()
    (fake / "list.csv").touch()
    os.mkfifo(fake / "pipe.png")
    (fake / "zero.jpg").symlink_to("/dev/zero")
    result = measured(capsys, real, fake)
    assert result["fake"]["images"] == 6
    notes = "\n".join(result["notes"])
    assert (
        "5 pictures of kinds that pytorch-fid passes over were read (.avif 1, .gif 1, .jfif 1, .jp2 1, .jpe 1)" in notes
    )
    assert "2 files are no pictures by their names (.csv 1, .txt 1)" in notes
    assert "2 named pipes, sockets or devices were not read" in notes


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("16 bits", "its pixels have more than 8 bits a channel (16): convert it first"),
        ("APNG", "it is an animation or has several pages: save the picture that is meant"),
        ("TIFF", "it is an animation or has several pages: save the picture that is meant"),
        ("EPS", "no picture that can be read"),
        ("folder", "Is a directory"),
        ("circle", "Too many levels of symbolic links"),
    ],
)
def test_what_is_not_one_picture_of_8_bits_is_refused(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], kind: str, why: str
) -> None:
    real, fake = folders
    first, *others = [Image.fromarray(image) for image in crops(3, 5)]
    path = fake / "x.png"
    if kind == "16 bits":
        path.write_bytes(png16(crops(1, 5)[0].astype(np.uint16) * 257))
    elif kind == "EPS":
        first.save(path, "EPS")
    elif kind == "folder":
        path.mkdir()
        status, _, _ = run(capsys, real, fake, *LITE0, "--allow-small")
        assert status == 0  # a folder with a picture's name is a folder
        return
    elif kind == "circle":
        path.symlink_to(path)
    else:
        first.save(path, "PNG" if kind == "APNG" else "TIFF", save_all=True, append_images=others)
    status, out, err = run(capsys, real, fake, *LITE0, "--allow-small")
    assert (status, out) == (2, "")
    assert f"broken: {path}: {why}" in err
    assert "error: 1 of 15 files cannot be read" in err


def test_other_compression_on_one_side_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real", crops(6, 0))
    lossy = write(tmp_path / "lossy", crops(6, 0), suffix=".jpg")  # at Pillow's own quality
    for path, image in zip(sorted(lossy.iterdir()), crops(6, 0), strict=True):
        Image.fromarray(image).save(tmp_path / "lossy" / path.name, quality=95)
    result = measured(capsys, real, lossy)
    assert result["fake"]["compressions"] == {"JPEG quality 95": 6}
    (note,) = [note for note in result["notes"] if "compressed" in note]
    assert "the sets were compressed differently (real: 6 lossless; fake: 6 JPEG quality 95)" in note
    assert not any("compressed" in note for note in measured(capsys, real, real)["notes"])
    Image.fromarray(crops(1, 0)[0]).save(lossy / "000.jpg", quality=50)
    same = measured(capsys, lossy, lossy)
    assert not any("compressed" in note for note in same["notes"])
    other = write(tmp_path / "other", crops(6, 0), suffix=".jpg")
    assert any("fake: 6 JPEG quality 75" in note for note in measured(capsys, lossy, other)["notes"])


# ---------------------------------------------------------------------------------------------- statistics
def test_saved_statistics_give_the_folders_own_numbers(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = folders
    saved = tmp_path / "real.npz"
    assert main(["--real", str(real), "--save-stats", str(saved), *LITE0, "--allow-small", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{saved}: FD[lite0] features of 8 pictures" in shown.err
    direct, by_file = measured(capsys, real, fake), measured(capsys, saved, fake)
    for key in ("fid", "kid"):
        assert by_file["scores"][key] == direct["scores"][key]
    assert by_file["pairs"] is None
    assert by_file["real"] == {**direct["real"], "folder": str(saved)}
    both = measured(capsys, real, fake, "--save-stats", str(tmp_path / "again.npz"))
    assert both == direct
    first, second = (np.load(path) for path in (saved, tmp_path / "again.npz"))
    extractor = open_extractor("efficientnet-lite0")
    features = extractor.features(crops(8, 0)).astype(np.float64)
    for file in (first, second):
        np.testing.assert_allclose(file["mu"], features.mean(0), atol=1e-5)
        np.testing.assert_allclose(file["sigma"], np.cov(features, rowvar=False), atol=1e-4)
    assert f"--real {saved} has 8 pictures; below 128" in refused(capsys, saved, saved, *LITE0)


def test_moments_alone_give_the_frechet_distance(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = folders
    saved = tmp_path / "real.npz"
    assert main(["--real", str(real), "--save-stats", str(saved), *LITE0, "--allow-small", "--quiet"]) == 0
    capsys.readouterr()
    arrays = dict(np.load(saved))
    del arrays["features"]
    np.savez(tmp_path / "moments.npz", **arrays)
    direct, by_moments = measured(capsys, real, fake), measured(capsys, tmp_path / "moments.npz", fake)
    assert by_moments["scores"]["fid"] == pytest.approx(direct["scores"]["fid"], rel=1e-3)
    assert by_moments["scores"]["kid"] is None
    why = "a file has mean and covariance, and no features"
    assert by_moments["reasons"] == dict.fromkeys(("kid", "density", "coverage"), why)
    assert by_moments["real"]["images"] is None
    status, out, err = run(capsys, tmp_path / "moments.npz", fake, *LITE0, "--allow-small")
    assert status == 0
    assert "6 fake, ? real" in out
    assert "note: no KD[lite0] × 1000: a file has mean and covariance" in err


def statistics_of(tmp_path: Path, **arrays: Any) -> Path:
    """A file as pytorch-fid writes it, for 3 dimensions."""
    matrix = np.random.default_rng(0).normal(size=(9, 3))
    whole = {"mu": matrix.mean(0), "sigma": np.cov(matrix, rowvar=False)} | arrays
    np.savez(tmp_path / "s.npz", **{name: value for name, value in whole.items() if value is not None})
    return tmp_path / "s.npz"


@dataclass(frozen=True)
class Space:
    """A feature space of three dimensions."""

    name: str = "inception"
    column: str = "FID"
    comparable: bool = True
    identity: str = "a" * 64
    dimensions: int = 3

    def features(self, images: NDArray[np.uint8], progress: Any = None) -> NDArray[np.float32]:
        raise NotImplementedError


OTHER = Space("efficientnet-lite0", "FD[lite0]", False, "b" * 64)


def test_pytorch_fids_statistics_are_those_of_the_published_inception(tmp_path: Path) -> None:
    path = statistics_of(tmp_path)
    actual = read_features(path, "--real", Space())
    assert (actual.features, actual.images) == (None, None)
    matrix = np.random.default_rng(1).normal(size=(7, 3))
    own = FeatureSet.of(tmp_path, matrix.astype(np.float32), {}, {})
    expected = frechet_distance(np.random.default_rng(0).normal(size=(9, 3)), matrix)
    distance = frechet_distance_of_moments(actual.mean, actual.covariance, own.mean, own.covariance)
    assert distance == pytest.approx(expected, rel=1e-5)
    theirs = calculate_frechet_distance(actual.mean, actual.covariance, own.mean, own.covariance)
    assert distance == pytest.approx(theirs, rel=1e-6)
    write_features(tmp_path / "own.npz", own, Space())
    with np.load(tmp_path / "own.npz") as file:  # as pytorch-fid reads it
        np.testing.assert_array_equal(file["mu"][:], own.mean)
        np.testing.assert_array_equal(file["sigma"][:], own.covariance)
    assert list(tmp_path.glob(".*")) == []


FEATURES = np.ones((4, 3), np.float32)
SAID = '{"schema":1,"extractor":"x","column":"FID","weights_sha256":"%s","images":4,"sizes":{},"compressions":{}}'


@pytest.mark.parametrize(
    ("arrays", "space", "message"),
    [
        ({}, OTHER, "does not say whose features it holds, so they are pytorch-fid's"),
        (
            {"fesbench": SAID % ("c" * 64)},
            Space(),
            "holds features of x for FID (weights cccccccc); this call measures",
        ),
        ({"mu": None}, Space(), "has no 'mu'"),
        ({"mu": np.zeros(2048)}, Space(), "mu is 2048, and features of FID need 3"),
        ({"sigma": np.eye(4)}, Space(), "sigma is 4 x 4, and features of FID need 3 x 3"),
        ({"mu": np.full(3, np.nan)}, Space(), "mu has values that are no finite numbers"),
        ({"mu": np.array(["a", "b", "c"])}, Space(), "mu has values that are no finite numbers"),
        ({"sigma": np.triu(np.ones((3, 3)))}, Space(), "sigma is no covariance"),
        ({"sigma": -np.eye(3)}, Space(), "sigma is no covariance"),
        ({"mu": np.array([{}, {}, {}])}, Space(), "is no file of statistics"),
        ({"fesbench": "{"}, Space(), "is damaged: fesbench: cannot be read as JSON"),
        (
            {"fesbench": SAID % ("a" * 64), "features": FEATURES[:3]},
            Space(),
            "its features are not 4 x 3 finite numbers",
        ),
        ({"fesbench": SAID % ("a" * 64), "features": FEATURES * 9}, Space(), "mu is not the mean of its features"),
    ],
)
def test_statistics_that_do_not_fit_are_one_line(
    tmp_path: Path, arrays: dict[str, Any], space: Space, message: str
) -> None:
    path = statistics_of(tmp_path, **arrays)
    with pytest.raises(UserError) as error:
        read_features(path, "--real", space)
    assert message in str(error.value)
    assert str(error.value).startswith(f"--real {path}")
    assert "\n" not in str(error.value)


@pytest.mark.timeout(60)
def test_files_of_statistics_that_are_none(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = statistics_of(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"no zip", whole[:200], whole[:-30]):
        path.write_bytes(content)
        assert "is no file of statistics, or a damaged one" in refused(
            capsys, path, folders[1], *LITE0, "--allow-small"
        )
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is a device, not a file" in refused(capsys, path, folders[1], *LITE0, "--allow-small")
    assert "No such file" in refused(capsys, tmp_path / "no.npz", folders[1], *LITE0, "--allow-small")
    save = ("--allow-small", "--save-stats")
    assert "a name that ends so" in refused(capsys, *folders, *LITE0, *save, "x.pt")
    assert "is a file of statistics already" in refused(capsys, path, folders[1], *LITE0, *save, "x.npz")
    assert "none is missing" in refused(capsys, *folders, *LITE0, *save, str(tmp_path / "none" / "x.npz"))
    assert "--save-stats /proc cannot be written" in refused(capsys, *folders, *LITE0, *save, "/proc/x.npz")
