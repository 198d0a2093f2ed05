"""dlib's face recognition network (King, 2017) in PyTorch: a face of 150 x 150 pixels to 128 numbers.

Faces of one person lie near each other; dlib calls two faces one person below a distance of 0.6. The weights are those
of the package face_recognition_models (CC0, the extra `photos`), read as data from dlib's own file format. On a CPU
this takes a tenth of the time of dlib's build for pip, whose results it gives (`tests/metrics/test_identity.py`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.core.files import read_regular

PACKAGE, FILE = "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"
INSTALL = "python -m pip install 'fesbench[photos]'"
SIDE, DIMENSIONS = 150, 128
MEAN = (122.782, 117.001, 104.298)
"""Of R, G, B in levels; the network was trained on (level - mean) / 256."""
STEM, STEM_KERNEL = 32, 7
BLOCKS = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)
"""Channels of the residual blocks; a negative number halves the picture."""
MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class IdentityWeights:
    """The file of the weights, and its SHA-256."""

    path: Path
    sha256: str


@lru_cache(maxsize=1)
def find_identity_weights() -> IdentityWeights | None:
    """The weights; None where the extra `photos` is not installed."""
    spec = importlib.util.find_spec(PACKAGE)  # not imported: the package asks setuptools for its own folder
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders or [""])), FILE)
    if not path.is_file():
        return None
    return IdentityWeights(path, hashlib.sha256(read_regular(path, MOST_BYTES)).hexdigest())


class DlibNetwork(nn.Module):
    """29 convolutions, 28 of them in residual blocks; N x 3 x 150 x 150 in levels to N x 128."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, STEM_KERNEL, 2)
        inputs, convolutions = STEM, []
        for block in BLOCKS:
            outputs = abs(block)
            # dlib pads a convolution only where its stride is 1.
            convolutions.append(
                nn.Conv2d(inputs, outputs, 3, 2, 0) if block < 0 else nn.Conv2d(inputs, outputs, 3, 1, 1)
            )
            convolutions.append(nn.Conv2d(outputs, outputs, 3, 1, 1))
            inputs = outputs
        self.convolutions = nn.ModuleList(convolutions)
        self.out = nn.Linear(inputs, DIMENSIONS, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Describe the faces."""
        x = F.max_pool2d(F.relu(self.stem((x - self.mean) / 256)), 3, 2)
        for index, block in enumerate(BLOCKS):
            first, second = self.convolutions[2 * index], self.convolutions[2 * index + 1]
            inner = second(F.relu(first(x)))
            x = F.relu(_add(inner, F.avg_pool2d(x, 2) if block < 0 else x))
        described: Tensor = self.out(x.mean((2, 3)))
        return described


def _add(inner: Tensor, skipped: Tensor) -> Tensor:
    """The sum of two maps, each filled up with zeros at its end where the other has more channels or pixels."""
    if inner.shape == skipped.shape:
        return inner + skipped
    wanted = [max(lengths) for lengths in zip(inner.shape[1:], skipped.shape[1:], strict=True)]
    filled = []
    for x in (inner, skipped):
        channels, height, width = (want - have for want, have in zip(wanted, x.shape[1:], strict=True))
        filled.append(F.pad(x, (0, width, 0, height, 0, channels)))
    return filled[0] + filled[1]


def load_network(weights: IdentityWeights) -> DlibNetwork:
    """The network with its weights. Raises UserError for a file that does not hold them."""
    try:
        file = _DlibFile(read_regular(weights.path, MOST_BYTES))
        network = DlibNetwork()
        for convolution in (network.stem, *network.convolutions):
            assert isinstance(convolution, nn.Conv2d)
            file.read_convolution(convolution)
        file.read_linear(network.out)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(
            f"{weights.path} holds no network that can be read ({error}): {INSTALL} --force-reinstall"
        ) from error
    return network.eval().requires_grad_(False)


class _DlibFile:
    """Tensors in dlib's file format, one after the other.

    A layer begins with its name. A whole number is a byte that says how many bytes follow (and in its highest bit the
    sign), then these, the lowest first. A tensor is the number 2, its four lengths, and 32-bit floats.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read_convolution(self, convolution: nn.Conv2d) -> None:
        """Read filters and bias, and the scale and shift that follow them, into one convolution."""
        size, channels = convolution.weight.numel(), convolution.out_channels
        values = self._tensor(b"con_4", size + channels)
        scale, shift = self._tensor(b"affine_", 2 * channels).chunk(2)
        convolution.weight.data = values[:size].view_as(convolution.weight) * scale.view(-1, 1, 1, 1)
        assert convolution.bias is not None
        convolution.bias.data = values[size:] * scale + shift

    def read_linear(self, linear: nn.Linear) -> None:
        """Read a matrix; the file has inputs x outputs."""
        values = self._tensor(b"fc_2", linear.weight.numel(), numbers_before=2)
        linear.weight.data = values.view(linear.in_features, linear.out_features).T.contiguous()

    def _tensor(self, layer: bytes, count: int, numbers_before: int = 0) -> Tensor:
        start = self._content.index(layer, self._at)  # ValueError where it is missing
        self._at = start + len(layer)
        for _ in range(numbers_before):
            self._number()
        version, *lengths = (self._number() for _ in range(5))
        if version != 2 or math.prod(lengths) != count:
            raise ValueError(f"a tensor of {lengths} where {count} numbers are expected")
        values = np.frombuffer(self._content, "<f4", count, self._at)
        self._at += 4 * count
        return torch.from_numpy(values.astype(np.float32))

    def _number(self) -> int:
        control = self._content[self._at]
        length = control & 0x0F
        value = int.from_bytes(self._content[self._at + 1 : self._at + 1 + length], "little")
        self._at += 1 + length
        return -value if control & 0x80 else value
