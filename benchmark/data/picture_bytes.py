"""Facts in a picture's file beside its pixels: orientation, bits a channel, compression.

Metadata (text, XMP, colour profiles, EXIF) may be large or damaged while the pixels are whole. Of all of it only the
orientation is used, so PNG, JPEG, TIFF and AVIF files are decoded without the rest, and an orientation that cannot be
read counts as upright.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PIXEL_CHUNKS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})
"""PNG's chunks that decide pixels or frames, beside the critical ones, whose names begin with a capital letter."""
_PIXEL_SEGMENTS = frozenset({0xE0, 0xEE})
"""JPEG's application segments that decide pixels: JFIF, and Adobe's, which names the colour transform."""
_PIXEL_TAGS = frozenset(
    {*range(256, 260), 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, *range(320, 326), 332, 338, 339, 347}
    | {*range(512, 522), *range(529, 533)}
)
"""TIFF's tags that decide pixels, beside the orientation."""
_AVIF_EXIF = re.compile(rb"(infe\x02.{7}|infe\x03.{9})Exif", re.DOTALL)
"""The entry of an EXIF item in an AVIF file's list of items."""
_EXIF_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
"""Keywords under which some programs write EXIF as hexadecimal text into a PNG."""
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ORIENTATION, _BITS_PER_SAMPLE, _SHORT = 0x0112, 0x0102, 3
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
MOST_METADATA = 1 << 20
"""Bytes of one piece of metadata that are looked through for an orientation."""
_PPM_HEADER = re.compile(rb"P[56](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)")
# Damaged metadata is no concern of a reader of pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class PixelFile:
    """A picture's file without its metadata, and the orientation (1 to 8, as EXIF has it) that the metadata gave."""

    content: bytes
    orientation: int = 1


def without_metadata(content: bytes) -> PixelFile:
    """Remove metadata from a PNG, JPEG, TIFF or AVIF file; others, and damaged ones, are returned unchanged."""
    try:
        if content.startswith(PNG_SIGNATURE):
            return _png_pixels(content)
        if content.startswith(JPEG_SIGNATURE):
            return _jpeg_pixels(content)
        if content.startswith((b"II*\0", b"MM\0*")):
            return _tiff_pixels(content)
        if content[4:8] == b"ftyp":  # of AVIF the container says how it is turned, whatever EXIF says
            return PixelFile(_AVIF_EXIF.sub(rb"\1free", content))
    except (struct.error, IndexError):
        pass  # the file's structure is damaged: the decoder says how
    return PixelFile(content)


def _png_pixels(content: bytes) -> PixelFile:
    kept, exif, xmp, profile = [PNG_SIGNATURE], b"", b"", b""
    for name, start, end in _png_chunks(content):
        if name[:1].isupper() or name in _PIXEL_CHUNKS:
            kept.append(content[start:end])
        elif name == b"eXIf":
            exif = content[start + 8 : end - 4]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            text = content[start + 8 : end - 4]
            if text.startswith(b"XML:com.adobe.xmp\0"):
                xmp = _png_text(name, text)
            elif text.startswith(_EXIF_PROFILES):
                profile = _png_text(name, text)
    return PixelFile(b"".join(kept), orientation_of(exif or _unhexed(profile), xmp))


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk; the rest of a file that is cut off counts as pixels."""
    start = len(PNG_SIGNATURE)
    while start < len(content):
        (length,), name = struct.unpack(">I", content[start : start + 4]), content[start + 4 : start + 8]
        end = start + 12 + length
        yield (name, start, end) if end <= len(content) else (b"IDAT", start, len(content))
        if name == b"IEND":
            return
        start = end


def _png_text(kind: bytes, text: bytes) -> bytes:
    """Return the start of a text chunk's value; b"" where it is damaged."""
    _, _, value = text.partition(b"\0")
    compressed = kind == b"zTXt" or (kind == b"iTXt" and value[:1] == b"\1")
    value = value[1:] if kind == b"zTXt" else b"\0".join(value[2:].split(b"\0")[2:]) if kind == b"iTXt" else value
    if not compressed:
        return value[:MOST_METADATA]
    try:
        return zlib.decompressobj().decompress(value, MOST_METADATA)
    except zlib.error:
        return b""


def _unhexed(profile: bytes) -> bytes:
    """Decode EXIF from hexadecimal text, below a name and a length."""
    try:
        return bytes.fromhex(b"".join(profile.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""


def _jpeg_pixels(content: bytes) -> PixelFile:
    kept, exif, xmp, start = [JPEG_SIGNATURE], b"", b"", 2
    while content[start] == 0xFF:
        marker = content[start + 1]
        if marker == 0xFF:  # padding
            start += 1
            continue
        if marker == 0xDA:  # the first scan: everything from here is pixels
            break
        (length,) = struct.unpack(">H", content[start + 2 : start + 4])
        end = start + 2 + length
        payload = content[start + 4 : end]
        if marker == 0xE1 and payload.startswith(b"Exif\0"):
            exif = exif or payload
        elif marker == 0xE1 and payload.startswith(_XMP_PREFIX):
            xmp = xmp or payload
        is_metadata = (0xE0 <= marker <= 0xEF and marker not in _PIXEL_SEGMENTS) or marker == 0xFE
        if not is_metadata:
            kept.append(content[start:end])
        start = end
    return PixelFile(b"".join([*kept, content[start:]]), orientation_of(exif, xmp))


def _tiff_pixels(content: bytes) -> PixelFile:
    """Return the file with a shorter list of tags of its first picture, in the same place."""
    order = "<" if content.startswith(b"II") else ">"
    (start,) = struct.unpack(f"{order}I", content[4:8])
    (count,) = struct.unpack(f"{order}H", content[start : start + 2])
    entries = [content[offset : offset + 12] for offset in range(start + 2, start + 2 + 12 * count, 12)]
    rest = content[start + 2 + 12 * count :]
    kept, orientation = [], 1
    for entry in entries:
        tag, kind, values, value = struct.unpack(f"{order}HHIH", entry[:10])
        if tag in _PIXEL_TAGS:
            kept.append(entry)
        elif tag == _ORIENTATION and (kind, values) == (_SHORT, 1) and 1 <= value <= 8:
            orientation = value
    following = rest[:4]  # where the next picture's list is
    table = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + following
    table += bytes(12 * (count - len(kept)))
    return PixelFile(content[:start] + table + rest[4:], orientation)


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation in EXIF, or else XMP: 1 to 8, and 1 where neither can be read."""
    tags = Image.Exif()
    try:
        if len(exif) <= MOST_METADATA:
            tags.load(exif)
        value = tags.get(_ORIENTATION)
    except Exception:  # Pillow's parser raises nearly anything on damaged tags
        value = None
    if value is None and (match := _XMP_ORIENTATION.search(xmp[:MOST_METADATA])):
        value = int(match[1])
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def bits_per_channel(opened: Image.Image, content: bytes) -> int:
    """Return the most bits of a channel in the file: Pillow keeps the highest 8 in most formats."""
    if opened.format == "PNG":
        return content[24]
    if opened.format == "TIFF":
        bits = opened.tag_v2.get(_BITS_PER_SAMPLE, 1)  # type: ignore[attr-defined]
        return int(max(bits) if isinstance(bits, tuple) else bits)
    if opened.format == "PPM":
        header = _PPM_HEADER.match(content)
        return int(header[1]).bit_length() if header else 8
    if opened.format == "JPEG2000":
        return _jpeg2000_bits(content)
    if opened.format == "AVIF":
        start = content.find(b"av1C")
        flags = content[start + 6] if start >= 0 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    return 8


def _jpeg2000_bits(content: bytes) -> int:
    """Return the most bits of a channel from the codestream's SIZ segment.

    Each channel has a byte of depth and sign, and two of sampling.
    """
    start = content.find(b"\xff\x4f\xff\x51")
    (channels,) = struct.unpack(">H", content[start + 40 : start + 42])
    return max((content[start + 42 + 3 * channel] & 0x7F) + 1 for channel in range(channels))


def compression_of(opened: Image.Image, content: bytes) -> str:
    """Return the compression of the pixels: `lossless`, or the codec, for JPEG with its quality (`JPEG quality 95`)."""
    if opened.format in ("JPEG", "MPO"):
        return f"JPEG quality {jpeg_quality(opened)}"
    if opened.format == "WEBP":
        return "lossless" if content.find(b"VP8L", 12) > 0 and b"VP8 " not in content else "WebP"
    if opened.format == "JPEG2000":
        start = content.find(b"\xff\x52")  # the COD segment, whose last field names the wavelet: 1 is reversible
        return "lossless" if start >= 0 and content[start + 13 : start + 14] == b"\1" else "JPEG 2000"
    if opened.format == "TIFF":
        method = str(opened.info.get("compression", "raw"))
        return method if method in ("jpeg", "tiff_jpeg", "webp") else "lossless"
    return {"AVIF": "AVIF", "GIF": "GIF (256 colours)"}.get(opened.format or "", "lossless")


def jpeg_quality(opened: Image.Image) -> int:
    """Return the quality (1 to 100) at which the reference encoder writes luminance tables nearest to this JPEG's."""
    tables: dict[int, list[int]] = opened.quantization  # type: ignore[attr-defined]
    table = np.array(tables[min(tables)], np.float64)
    return int(np.abs(_REFERENCE_TABLES - np.sort(table)).sum(1).argmin()) + 1


def _reference_tables() -> np.ndarray:
    """Return the luminance tables of all qualities (ITU T.81, Annex K, scaled as libjpeg does): 100 x 64.

    Each is sorted, so that the order in which tables are stored does not matter.
    """
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "JPEG", quality=50)  # at 50 the table is Annex K's own
    with Image.open(stream) as opened:
        base = np.sort(np.array(opened.quantization[0], np.int64))  # type: ignore[attr-defined]
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((base * scale + 50) // 100, 1, 255).astype(np.float64)


_REFERENCE_TABLES = _reference_tables()
