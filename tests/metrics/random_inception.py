"""Weights for pytorch-fid's Inception that are nobody's: the architecture and the arithmetic without a download."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmark.metrics.features import inception


def write_random_weights(path: Path) -> Path:
    """A state dict drawn so that activations keep their scale, with statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    state = inception.build().state_dict()
    for name, value in state.items():
        if value.dim() > 1:
            fan = value[0].numel()
            state[name] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = torch.rand(value.shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(value.shape, generator=generator) * 0.1
    torch.save(state, path)
    return path
