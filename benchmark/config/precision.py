"""The precisions a training can compute its products in, by name; `benchmark.training.precision` carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Precision = Literal["float32", "tf32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DEFAULT: Precision = "float32"

MEANING: Mapping[Precision, str] = {
    "float32": "all in float32",
    "tf32": "factors of convolutions and matrix products in TF32 (10 bits of mantissa), all else in float32",
    "bfloat16": "convolutions and matrix products in bfloat16 (7 bits of mantissa), all else in float32",
}
