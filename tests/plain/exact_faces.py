"""Faces in double precision, for comparing gradients to the tenth digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from benchmark.interface import Faces
from tests.baselines.steps import faces


class ExactFaces:
    """`steps.faces` with everything in float64."""

    def __init__(self, size: int, seed: int) -> None:
        self._source = faces(size=size, seed=seed)
        self.generator, self.classes = self._source.generator, self._source.classes

    def draw(self, count: int) -> Faces:
        return exact(self._source.draw(count))

    def draw_labelled(self, labels: Sequence[int] | Tensor) -> Faces:
        return exact(self._source.draw_labelled(labels))

    def draw_units(self, count: int) -> Tensor:
        return self._source.draw_units(count).double()


def exact(drawn: Faces) -> Faces:
    return replace(drawn, images=drawn.images.double(), units=drawn.units.double(), landmarks=drawn.landmarks.double())
