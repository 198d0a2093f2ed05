"""Many small pictures in a few sheets: each is stored once, and all together keep to a budget of bytes."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

SIDE = 16
"""Pictures in a line of a sheet, and lines in a full sheet."""
LEVELS = ((1, 90), (1, 80), (1, 65), (1, 50), (2, 70), (2, 50), (4, 60))
"""By how much pictures are reduced each way, and the quality of WebP: the first that keeps to the budget is taken."""


class OverBudgetError(ValueError):
    """Even the last level does not keep to the budget."""


@dataclass
class Sprites:
    """Collects pictures of one size. `budget`: bytes of all sheets as data URIs."""

    budget: int
    _pictures: list[np.ndarray] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)

    def add(self, picture: np.ndarray) -> int:
        """Add a picture (S x S x 3 uint8) and return its number; equal pictures share one."""
        key = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()
        if key not in self._places:
            self._places[key] = len(self._pictures)
            self._pictures.append(picture)
        return self._places[key]

    def sheet(self, number: int) -> int:
        """Return the number of a picture's sheet."""
        return number // SIDE**2

    def position(self, number: int) -> str:
        """Return the CSS `background-position` of a picture on its sheet."""
        sheet, position = divmod(number, SIDE**2)
        line, column = divmod(position, SIDE)
        last = max(self._lines(sheet) - 1, 1)
        return f"{100 * column / (SIDE - 1):.4g}% {100 * line / last:.4g}%"

    def sheets(self) -> list[tuple[str, int]]:
        """Encode every sheet: its data URI and number of lines. Raises OverBudgetError."""
        count = -(-len(self._pictures) // SIDE**2)
        for reduction, quality in LEVELS:
            encoded = []
            for sheet in range(count):
                encoded.append(self._encode(sheet, reduction, quality))
                if sum(map(len, encoded)) > self.budget:
                    break
            else:
                return [(uri, self._lines(sheet)) for sheet, uri in enumerate(encoded)]
        raise OverBudgetError(f"{len(self._pictures)} pictures do not fit {self.budget} bytes")

    def _lines(self, sheet: int) -> int:
        return min(SIDE, -(-(len(self._pictures) - sheet * SIDE**2) // SIDE))

    def _encode(self, sheet: int, reduction: int, quality: int) -> str:
        pictures = self._pictures[sheet * SIDE**2 : (sheet + 1) * SIDE**2]
        size = len(pictures[0])
        page = np.full((self._lines(sheet) * size, SIDE * size, 3), 255, np.uint8)
        for index, picture in enumerate(pictures):
            line, column = divmod(index, SIDE)
            page[line * size : (line + 1) * size, column * size : (column + 1) * size] = picture
        image = Image.fromarray(page)
        file = io.BytesIO()
        (image.reduce(reduction) if reduction > 1 else image).save(file, "WEBP", quality=quality, method=3)
        return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
