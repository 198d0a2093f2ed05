"""The command: its numbers against the metrics on arrays, and an answer to everything that a folder can be."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as skimage_data

from benchmark.data.picture_folder import find_pictures
from benchmark.metrics.features import FLOOR, open_extractor, weights
from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.kid import kernel_distance
from benchmark.metrics.psnr import CAP_DB, psnr
from benchmark.metrics.ssim import ssim
from benchmark.score import main

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
        "psnr_true": pytest.approx(psnr(crops(8, 0)[:6], crops(6, 1)).mean()),
        "ssim": pytest.approx(ssim(crops(8, 0)[:6], crops(6, 1)).mean()),
    }
    assert (result["pairs"], result["reasons"]) == ({"pairs": 6, "identical": 0}, {})
    assert {metric["key"]: metric["label"] for metric in result["metrics"]} == {
        "fid": "FD[lite0]", "psnr_true": "PSNR-true", "ssim": "SSIM", "kid": "KD[lite0] × 1000",
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
    assert [head.rstrip() for head in heads] == ["FD[lite0]", "PSNR-true (dB)", "SSIM", "KD[lite0] × 1000"]
    assert out.count("6 fake, 8 real") == 2
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
    assert "is not a folder" in refused(capsys, real, fake / "000.png", *LITE0)
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
    assert [path.name for path in find_pictures(tmp_path, "--real")] == ["000.png", "001.png"]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, benchmark.score; print(sorted({'torch', 'numpy', 'PIL', 'rich', 'pandas'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
