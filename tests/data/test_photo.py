"""Photographs of every kind become the same upright RGB picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from benchmark.data.photo import read_photograph, read_pixels, read_upright
from tests.data.picture_bytes import png16

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
    for name in ("a.png", "a.tif"):
        Image.fromarray(stored).save(tmp_path / name, exif=exif)
        np.testing.assert_array_equal(read(tmp_path / name), PIXELS)


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
    assert read_upright(raw).size == (200, 300)
    for damaged in (zeroed(raw, 0.2, 0.4), zeroed(raw, 0.3, 0.9), zeroed(raw, 0.5, 0.98)):
        with Image.open(io.BytesIO(damaged)) as opened:
            opened.load()
        with pytest.raises(ValueError, match="is damaged"):
            read_upright(damaged)
    noise = np.random.default_rng(0).integers(0, 256, 400, dtype=np.uint8).tobytes()
    middle = len(raw) // 2
    for damaged in (raw[:middle] + noise + raw[middle + 400 :], raw[:middle] + raw[middle + 1000 :]):
        with pytest.raises((OSError, ValueError)):
            read_upright(damaged)


def test_what_jpeg_files_may_have_beside_their_picture_is_none(tmp_path: Path) -> None:
    raw = jpeg()
    padded = raw[:-2] + bytes(40) + raw[-2:]
    for whole in (raw, padded, raw + b"what a camera adds" * 100):
        np.testing.assert_array_equal(read_upright(whole), read_upright(raw))
    for mode in ("L", "CMYK"):
        Image.fromarray(PIXELS).convert(mode).save(tmp_path / "a.jpg")
        assert read(tmp_path / "a.jpg").shape == PIXELS.shape


def metadata(kind: str) -> dict[str, Any]:
    """How a picture is saved with metadata that is large or damaged."""
    text = PngImagePlugin.PngInfo()
    if kind == "text":
        text.add_text("workflow", "x" * 2_000_000, zip=True)
    if kind == "xmp":
        text.add_itxt("XML:com.adobe.xmp", "<x>" + "y" * 2_000_000, zip=True)
    damaged = {"exif": b"Exif\0\0no TIFF at all", "short exif": b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"}
    icc = {"icc_profile": bytes(range(256)) * 8000} if kind == "icc" else {}
    return {**({"exif": damaged[kind]} if kind in damaged else {}), **icc, **({"pnginfo": text} if text.chunks else {})}


@pytest.mark.parametrize("kind", ["text", "xmp", "icc", "exif", "short exif"])
def test_metadata_of_a_png_plays_no_part(tmp_path: Path, kind: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", **metadata(kind))
    np.testing.assert_array_equal(read(tmp_path / "a.png"), PIXELS)
    Image.fromarray(PIXELS[:24, :24]).save(tmp_path / "b.png", **metadata(kind))
    np.testing.assert_array_equal(read_pixels(tmp_path / "b.png", 24), PIXELS[:24, :24])


def tiff_tag_bytes(content: bytes) -> list[int]:
    """Places of the type, count and value of the first list's tags from 270 on, without those of the strips of
    pixels.
    """
    (start,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[start : start + 2])
    places = []
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack("<H", content[entry : entry + 2])
        if tag >= 270 and tag not in (273, 277, 278, 279, 284):
            places += range(entry + 2, entry + 12)
    return places


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_exif_with_any_bytes_changed_never_costs_a_picture(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x010E] = 6, "maker", "what it shows"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    whole = stream.getvalue()
    if kind == "TIFF":
        places = tiff_tag_bytes(whole)
    else:
        block = exif.tobytes()[6:]
        start = whole.find(block[:8])  # of AVIF the container has the orientation, and the block lacks it
        assert start > 0
        places = list(range(start, start + (len(block) if kind != "AVIF" else 60)))
    rng = np.random.default_rng(0)
    upright = read_upright(whole)
    assert upright.size == (24, 36)
    turned_back = 0
    for _ in range(150):
        content = bytearray(whole)
        for index in rng.choice(places, rng.integers(1, 5)):
            content[index] = rng.integers(256)
        picture = read_upright(bytes(content))
        assert picture.size in ((24, 36), (36, 24))
        turned_back += picture.size == upright.size
    assert turned_back > (50 if kind == "TIFF" else 75)  # the orientation (of TIFF every fourth byte) survives


def test_an_orientation_may_stand_in_text_or_in_xmp(tmp_path: Path) -> None:
    stored = Image.fromarray(np.ascontiguousarray(ORIENTATIONS[6](PIXELS)))
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = exif.tobytes().hex()
    packet = '<rdf:MetricDescription tiff:Orientation="6"/>'
    for key, value in (
        ("Raw profile type exif", f"\nexif\n {len(profile) // 2}\n{profile}\n"),
        ("XML:com.adobe.xmp", packet),
    ):
        for compressed in (False, True):
            text = PngImagePlugin.PngInfo()
            text.add_itxt(key, value, zip=compressed) if key.startswith("XML") else text.add_text(
                key, value, compressed
            )
            stored.save(tmp_path / "a.png", pnginfo=text)
            np.testing.assert_array_equal(read(tmp_path / "a.png"), PIXELS)
    stored.save(tmp_path / "a.webp", lossless=True, xmp=packet.encode())
    np.testing.assert_array_equal(read(tmp_path / "a.webp"), PIXELS)


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def test_bits_pages_and_compression_are_reported() -> None:
    picture, other = Image.fromarray(PIXELS), Image.new("RGB", (36, 24), "red")
    deep = PIXELS.astype(np.uint16) * 257
    frames = {"save_all": True, "append_images": [other] * 3}
    table = [
        (saved(picture, "PNG"), 8, True, "lossless"),
        (saved(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"), 16, True, "lossless"),
        (saved(Image.fromarray(GREY.astype(np.uint16) * 257), "JPEG2000"), 16, True, "lossless"),
        (saved(picture, "JPEG2000", irreversible=True), 8, True, "JPEG 2000"),
        (saved(picture, "PNG", **frames), 8, False, "lossless"),
        (saved(picture, "GIF", **frames), 8, False, "GIF (256 colours)"),
        (saved(picture, "TIFF", **frames), 8, False, "lossless"),
        (saved(picture, "WEBP", lossless=True), 8, True, "lossless"),
        (saved(picture, "WEBP"), 8, True, "WebP"),
        (saved(picture, "AVIF"), 8, True, "AVIF"),
        (saved(picture, "TIFF", compression="jpeg"), 8, True, "jpeg"),
        *((saved(picture, "JPEG", quality=quality), 8, True, f"JPEG quality {quality}") for quality in (5, 50, 75, 95)),
        (saved(picture, "MPO", **frames), 8, True, "JPEG quality 75"),  # a camera's preview is no second picture
    ]
    for content, bits, still, compression in table:
        photograph = read_photograph(content)
        assert (photograph.bits, photograph.still, photograph.compression) == (bits, still, compression), content[:12]
    for content in (png16(deep), b"P6 36 24\n# words\n65535\n" + deep.astype(">u2").tobytes()):
        with pytest.raises(ValueError, match=r"more than 8 bits a channel \(16\): convert it first"):
            read_photograph(content)  # Pillow would cut the lower 8 off


def test_formats_that_start_a_program_are_no_pictures(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.eps")
    Image.fromarray(PIXELS).save(tmp_path / "a.ico")
    for name in ("a.eps", "a.ico"):
        with pytest.raises(ValueError, match="no picture that can be read"):
            read(tmp_path / name)


def test_what_is_too_large_or_no_file_is_reported_before_it_is_read(tmp_path: Path) -> None:
    head = struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + struct.pack(">I", zlib.crc32(head[4:])) + b"\0\0\0\0IDAT"
    )
    with pytest.raises(ValueError, match="has more than 179 million pixels: reduce it first"):
        read(tmp_path / "a.png")
    with (tmp_path / "b.png").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(OSError, match="at most 1,024 MB are read"):
        read(tmp_path / "b.png")
    for path in (Path("/dev/zero"), tmp_path):
        for call in (read_upright, lambda path: read_pixels(path, 8)):
            with pytest.raises(OSError, match="not a file"):
                call(path)
