"""The pictures of a page: each is stored once, and all together keep to a budget of bytes.

Each is a file of its own, not a part of a large sheet: a browser that prints decodes the whole file for every picture
that it draws (2.5 minutes for a page of 748 pictures in sheets of 256, 7 seconds so).
"""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

LEVELS = ((1, 90), (1, 80), (1, 65), (1, 50), (2, 70), (2, 50), (4, 60))
"""Factors by which sides are divided, and WebP qualities; the first level within the budget is used."""


class OverBudgetError(ValueError):
    """Even the last level exceeds the budget."""


@dataclass
class PagePictures:
    """Collects pictures. budget: largest size of all as data URIs, in bytes."""

    budget: int
    _pictures: list[np.ndarray] = field(default_factory=list)
    _numbers: dict[bytes, int] = field(default_factory=dict)

    def add(self, picture: np.ndarray) -> int:
        """Add a picture (S x S x 3 uint8) and return its number; equal pictures share one."""
        key = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()
        if key not in self._numbers:
            self._numbers[key] = len(self._pictures)
            self._pictures.append(picture)
        return self._numbers[key]

    def uris(self) -> list[str]:
        """Encode the pictures as data URIs, in the order of their numbers. Raises OverBudgetError."""
        for reduction, quality in LEVELS:
            encoded: list[str] = []
            size = 0
            for picture in self._pictures:
                encoded.append(_encode(picture, reduction, quality))
                size += len(encoded[-1])
                if size > self.budget:
                    break
            else:
                return encoded
        raise OverBudgetError(f"{len(self._pictures)} pictures do not fit {self.budget} bytes")


def _encode(picture: np.ndarray, reduction: int, quality: int) -> str:
    image, file = Image.fromarray(picture), io.BytesIO()
    (image.reduce(reduction) if reduction > 1 else image).save(file, "WEBP", quality=quality, method=3)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
