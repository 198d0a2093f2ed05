"""Shared parts of the extractors: a network, its preparation of pictures, and the loop over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.core.errors import UserError, first_line

GPU_BATCH = 64


@dataclass(frozen=True)
class NetworkFeatures:
    """A `FeatureExtractor` made of a network (N x 3 x S x S to N x D) and what prepares its input.

    prepare: N x 3 x H x W, float32 in [0, 255], channels last, to the network's input. batch: images at once (on a CPU:
    on each thread).
    """

    name: str
    column: str
    comparable: bool
    identity: str
    dimensions: int
    network: nn.Module
    prepare: Callable[[Tensor], Tensor]
    batch: int
    device: str

    def features(self, images: NDArray[np.uint8], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """N x D features of `images` (N x H x W x 3, uint8); see `FeatureExtractor`."""
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(f"images must be N x H x W x 3 uint8, not {images.shape} {images.dtype}")
        values = np.empty((len(images), self.dimensions), dtype=np.float32)
        done = 0
        for batch in self._on_cpu(images) if torch.device(self.device).type == "cpu" else self._on_gpu(images):
            values[done : done + len(batch)] = batch
            done += len(batch)
            if progress is not None:
                progress(done)
        return values

    def _on_cpu(self, images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        """Batches side by side, each on one thread.

        As fast as one batch on all threads where the machine is idle, many times faster where it is busy (no layer
        waits for the slowest thread), and the numbers do not depend on how many threads there are.
        """
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield from pool.map(self._batch, _batches(images, self.batch))
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)

    def _on_gpu(self, images: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
        # TF32 has 10 bits of mantissa: it would shift every distance against the same pictures on a CPU.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            for batch in _batches(images, self.batch):
                yield self._batch(batch)

    def _batch(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = torch.from_numpy(np.array(images)).to(self.device).permute(0, 3, 1, 2)
            inputs = self.prepare(pixels.float()).contiguous(memory_format=torch.channels_last)
            output: NDArray[np.float32] = self.network(inputs).flatten(1).cpu().numpy()
        return output


def _batches(images: NDArray[np.uint8], size: int) -> list[NDArray[np.uint8]]:
    return [images[start : start + size] for start in range(0, len(images), size)]


def default_batch(device: str, on_cpu: int) -> int:
    """Images at once: on a CPU few, so that activations stay in the cache."""
    return on_cpu if torch.device(device).type == "cpu" else GPU_BATCH


def ready(network: nn.Module, device: str) -> nn.Module:
    """The network as it is used here: on its device, without gradients, channels last (twice as fast on a CPU)."""
    network.eval().requires_grad_(False).to(device)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name. Runs no code of the file. Raises UserError where it holds something
    else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch.load raise nearly anything
        raise UserError(f"{path} is not a file of PyTorch weights ({first_line(error)[:120]})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict (a mapping from names to tensors)")
    return dict(state)


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], path: Path, title: str) -> None:
    """Put `state` into `network`; only batch counters may be missing. Raises UserError where `path` is of another
    network."""
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit {title}: {str(error).strip().splitlines()[-1].strip()}") from error
    lost = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lost or unexpected:
        difference = f"lacks '{lost[0]}'" if lost else f"has '{unexpected[0]}', which is not in it"
        raise UserError(f"{path} does not fit {title}: it {difference}")
