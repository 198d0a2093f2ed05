"""Photographs of every kind become the same upright RGB picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.data.photo import read_upright

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (24, 36), dtype=np.uint8)
ORIENTATIONS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}
"""How each EXIF orientation stores an upright picture."""


def read(path: Path) -> np.ndarray:
    return np.asarray(read_upright(path))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_all_orientations_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](PIXELS))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), PIXELS)


def test_grey_of_8_and_16_bits(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "8.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "16.tif")
    (tmp_path / "16.pgm").write_bytes(b"P5 36 24 65535\n" + (GREY.astype(">u2") * 257).tobytes())
    for name in ("8.png", "16.png", "16.tif", "16.pgm"):
        np.testing.assert_array_equal(read(tmp_path / name), GREY[..., None].repeat(3, 2), err_msg=name)
    levels = np.array([[0, 128, 129, 32767, 32768, 65406, 65407, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "levels.png")
    assert read(tmp_path / "levels.png")[0, :, 0].tolist() == [0, 0, 1, 127, 128, 254, 255, 255]


def test_transparency_shows_white(tmp_path: Path) -> None:
    alpha = np.full((24, 36), 255, np.uint8)
    alpha[:8], alpha[8:16] = 0, 128
    Image.fromarray(np.dstack([PIXELS, alpha])).save(tmp_path / "rgba.png")
    part = alpha[..., None] / 255
    expected = PIXELS * part + 255 * (1 - part)
    assert np.abs(read(tmp_path / "rgba.png") - expected).max() <= 1
    np.testing.assert_array_equal(read(tmp_path / "rgba.png")[:8], 255)
    np.testing.assert_array_equal(read(tmp_path / "rgba.png")[16:], PIXELS[16:])
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read(tmp_path / "la.png")[:8], 255)
    np.testing.assert_array_equal(read(tmp_path / "la.png")[16:, :, 1], GREY[16:])


def test_one_transparent_level_of_16_bits(tmp_path: Path) -> None:
    levels = GREY.astype(np.uint16) * 257
    levels[0] = 1000
    Image.fromarray(levels).save(tmp_path / "a.png", transparency=1000)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[0], 255)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[1:, :, 0], GREY[1:])


def test_palette_with_transparency_and_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("P", (8, 8), colour) for colour in (1, 2, 0)]
    for frame in frames:
        frame.putpalette([255, 0, 255, 10, 200, 30, 0, 0, 90] + [0] * 759)
    frames[0].putpixel((0, 0), 0)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], transparency=0)
    picture = read(tmp_path / "a.gif")
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[4, 4].tolist() == [10, 200, 30]


def test_black_and_white_and_cmyk(tmp_path: Path) -> None:
    Image.fromarray(GREY > 127).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read(tmp_path / "1.png")[..., 0], np.where(GREY > 127, 255, 0))
    ink = np.zeros((24, 36, 4), np.uint8)
    ink[..., 0], ink[:, 18:, 3] = 255, 255
    Image.fromarray(ink, "CMYK").save(tmp_path / "c.tif")
    assert read(tmp_path / "c.tif")[0, 0].tolist() == [0, 255, 255]
    assert read(tmp_path / "c.tif")[0, 35].tolist() == [0, 0, 0]


def test_broken_files_say_so(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ValueError, match="floating-point"):
        read(tmp_path / "f.tif")
    for damaged in (whole[:200], b"", b"no picture", whole[:60] + b"\0" * 40 + whole[100:]):
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises((OSError, ValueError)):
            read(tmp_path / "a.png")


def jpeg(**how: Any) -> bytes:
    """A photograph of 200 x 300 px."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).resize((200, 300), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=92, **how)
    return stream.getvalue()


def zeroed(raw: bytes, start: float, end: float) -> bytes:
    first, last = (round(share * len(raw)) for share in (start, end))
    return raw[:first] + bytes(last - first) + raw[last:]


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_rows": 2}])
def test_holes_in_a_jpeg_file_are_damage(how: dict[str, Any]) -> None:
    """Pillow reads on, and shows shifted or grey blocks."""
    raw = jpeg(**how)
    assert read_upright(io.BytesIO(raw)).size == (200, 300)
    for damaged in (zeroed(raw, 0.2, 0.4), zeroed(raw, 0.3, 0.9), zeroed(raw, 0.5, 0.98)):
        with Image.open(io.BytesIO(damaged)) as opened:
            opened.load()
        with pytest.raises(ValueError, match="is damaged"):
            read_upright(io.BytesIO(damaged))
    noise = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8).tobytes()
    middle = len(raw) // 2
    for damaged in (raw[:middle] + noise + raw[middle + 400 :], raw[:middle] + raw[middle + 1000 :]):
        with pytest.raises((OSError, ValueError)):
            read_upright(io.BytesIO(damaged))


def test_what_jpeg_files_may_have_beside_their_picture_is_none(tmp_path: Path) -> None:
    raw = jpeg()
    padded = raw[:-2] + bytes(40) + raw[-2:]
    for whole in (raw, padded, raw + b"what a camera adds" * 100):
        np.testing.assert_array_equal(read_upright(io.BytesIO(whole)), read_upright(io.BytesIO(raw)))
    for mode in ("L", "CMYK"):
        Image.fromarray(PIXELS).convert(mode).save(tmp_path / "a.jpg")
        assert read(tmp_path / "a.jpg").shape == PIXELS.shape
