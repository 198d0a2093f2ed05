"""A network of one's own as a feature space: CLIP, DINOv2, ArcFace or any other, as a TorchScript or ONNX file.

A YAML file of the same name beside it (`net.yaml` beside `net.pt`) says how pictures are prepared
(`benchmark.config.networks`). A TorchScript file is a program: it runs on loading, with all rights of the caller, so it
is loaded only where a user names it. An ONNX file is data for onnxruntime (extra `onnx`). The column is called
FD[first 8 digits of the file's SHA-256].
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.config.networks import OwnNetwork, read_own_network
from benchmark.core.errors import UserError, first_line, one_line
from benchmark.metrics.features.network import NetworkFeatures, default_batch
from benchmark.metrics.features.weights import sha256_of

BATCH = 16


def prepare(pixels: Tensor, described: OwnNetwork) -> Tensor:
    """Prepare N x 3 x H x W in [0, 255] for a network."""
    size = (described.side, described.side)
    resized = F.interpolate(pixels.contiguous(), size=size, mode=described.resize, antialias=True, align_corners=False)
    unit = resized.clamp(0.0, 255.0) / 255.0
    mean, std = (
        torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (described.mean, described.std)
    )
    prepared = (unit - mean) / std
    return prepared.flip(1) if described.channels == "bgr" else prepared


def open_own_network(path: Path, device: str, batch: int | None = None) -> NetworkFeatures:
    """The extractor of a file. Raises UserError for a file that is missing, damaged, or no network of pictures."""
    described = read_own_network(path)
    network = _OnnxNetwork(path) if path.suffix.lower() == ".onnx" else _torchscript(path, device)
    sha256 = sha256_of(path)
    return NetworkFeatures(
        name=path.name,
        column=f"FD[{sha256[:8]}]",
        comparable=False,
        identity=sha256,
        dimensions=_dimensions(network, described, path, device),
        network=network,
        prepare=partial(prepare, described=described),
        batch=batch or default_batch(device, BATCH),
        device=device,
    )


def _torchscript(path: Path, device: str) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that torch.export is newer
            network: Any = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"{path} is no TorchScript file (torch.jit.save), or a damaged one ({first_line(error)[:120]})"
        ) from error
    assert isinstance(network, nn.Module)
    return network.eval()


class _OnnxNetwork(nn.Module):
    """Runs an ONNX file on the CPU, on one thread: batches run side by side."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(
                f"{path} is run by onnxruntime, which is not installed: python -m pip install 'fesbench[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each fault, none of them public
            raise UserError(f"{path} is no ONNX file, or one that cannot be run ({first_line(error)[:120]})") from error
        self._input = self._session.get_inputs()[0].name

    def forward(self, x: Tensor) -> Tensor:
        """Run a batch."""
        outputs = self._session.run(None, {self._input: x.cpu().contiguous().numpy()})
        return torch.from_numpy(outputs[0])


def _dimensions(network: nn.Module, described: OwnNetwork, path: Path, device: str) -> int:
    """D, from two grey pictures, which must give two rows of finite numbers."""
    side = described.side
    grey = prepare(torch.full((2, 3, side, side), 127.0, device=device), described)
    try:
        with torch.inference_mode():
            features = network(grey)
    except Exception as error:  # a foreign program may raise anything
        reason = one_line(error)[-120:]
        raise UserError(
            f"{path} does not take pictures of 2 x 3 x {side} x {side} ({reason}): is side "
            f"in {path.with_suffix('.yaml').name} right?"
        ) from error
    if not isinstance(features, Tensor) or features.ndim < 2 or len(features) != 2 or not features.is_floating_point():
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise UserError(f"{path} gives {shape} for two pictures, where 2 x D numbers are needed")
    if not bool(torch.isfinite(features).all()):
        raise UserError(f"{path} gives numbers that are not finite for a grey picture")
    return int(features.flatten(1).shape[1])
