"""Networks of one's own: what the YAML file beside a TorchScript or ONNX file says of it.

    side: 112                          # pictures are resized to it
    mean: [0.5, 0.5, 0.5]              # of R, G, B where black is 0 and white is 1
    std: [0.5, 0.5, 0.5]
    resize: bicubic                    # or bilinear; with antialiasing
    channels: rgb                      # or bgr
    crop: face                         # or whole; in suites, where landmarks are known
    measures: [distance, similarity]   # the columns that a suite has of it

The network maps N x 3 x side x side to N x D (more axes are flattened).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from benchmark.config.loading import load
from benchmark.core.errors import UserError, quoted
from benchmark.core.models import STRICT

OWN_SUFFIXES = (".pt", ".ts", ".onnx")
"""Of files of one's own network: TorchScript and ONNX."""
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]
Positive = Annotated[float, Field(gt=0)]
OwnMeasure = Literal["distance", "similarity"]
"""What a network measures in a suite: the Fréchet and kernel distance of all edits, or how near each edit is to its
source."""


@dataclass(frozen=True, config=STRICT)
class OwnNetwork:
    """How pictures are prepared for a network, and what it measures."""

    name: str
    side: Annotated[int, Field(ge=8, le=2048)]
    mean: Channels
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    resize: Literal["bicubic", "bilinear"] = "bicubic"
    channels: Literal["rgb", "bgr"] = "rgb"
    crop: Literal["whole", "face"] = "whole"
    measures: tuple[OwnMeasure, ...] = ("distance", "similarity")

    @field_validator("measures")
    @classmethod
    def _some_once(cls, measures: tuple[OwnMeasure, ...]) -> tuple[OwnMeasure, ...]:
        if not measures:
            raise ValueError("are none: leave them out for both")
        for name in measures:
            if measures.count(name) > 1:
                raise ValueError(f"hold {quoted(name)} twice")
        return measures

    @property
    def preparation(self) -> dict[str, Any]:
        """What decides the features of a picture, apart from the network."""
        fields = dataclasses.asdict(self)
        return {name: value for name, value in fields.items() if name not in ("name", "measures")}


def is_own_network(name: str) -> bool:
    """Whether a feature space is named by a file of a network."""
    return Path(name).suffix.lower() in OWN_SUFFIXES


def read_own_network(path: Path) -> OwnNetwork:
    """Read the YAML file beside a network. Raises UserError where it is missing or wrong."""
    beside = path.with_suffix(".yaml")
    if not beside.is_file():
        raise UserError(
            f"{path}: how its pictures are prepared is said by {beside.name} beside it (side, mean, std, resize, "
            "channels: see docs/metrics.md), which is missing"
        )
    described: OwnNetwork = load(OwnNetwork, beside, name=path.stem)
    return described
