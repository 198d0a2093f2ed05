"""Faces for comparing steps: in double precision, to the tenth digit; or with no two pixels the same, in single.

A LeakyReLU whose input is 0 to rounding takes either slope. In a picture of flat squares that is a square at a time;
where all pixels differ it is one pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmark.interface import Faces, FaceSource
from tests.baselines.steps import faces


class Doubled:
    """Faces of another source with everything in float64."""

    def __init__(self, source: FaceSource) -> None:
        self._source = source
        self.generator, self.classes = source.generator, source.classes

    def draw(self, count: int) -> Faces:
        return exact(self._source.draw(count))

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        return exact(self._source.draw_labelled(labels))

    def draw_units(self, count: int) -> Tensor:
        return self._source.draw_units(count).double()


class ExactFaces(Doubled):
    """`steps.faces` in float64."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(faces(size=size, seed=seed))


class GrainyFaces:
    """`steps.faces` with a grain over them."""

    def __init__(self, size: int, seed: int) -> None:
        self._source = faces(size=size, seed=seed)
        self._grain = torch.Generator().manual_seed(seed)
        self.generator, self.classes = self._source.generator, self._source.classes

    def draw(self, count: int) -> Faces:
        return self._grainy(self._source.draw(count))

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        return self._grainy(self._source.draw_labelled(labels))

    def draw_units(self, count: int) -> Tensor:
        return self._source.draw_units(count)

    def _grainy(self, drawn: Faces) -> Faces:
        grain = torch.randn(drawn.images.shape, generator=self._grain)
        return replace(drawn, images=(0.8 * drawn.images + 0.1 * grain).clamp(-1, 1))


def exact(drawn: Faces) -> Faces:
    return replace(drawn, images=drawn.images.double(), units=drawn.units.double(), landmarks=drawn.landmarks.double())
