"""Files that Pillow does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png16(levels: np.ndarray) -> bytes:
    """H x W x 3 uint16 as a PNG file."""
    height, width, _ = levels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
