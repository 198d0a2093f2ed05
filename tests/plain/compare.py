"""The plain reference beside the fast method: the same weights, the same draws, what each makes of them.

A plain reference is a `Method` too, in the published formulation: one pass per loss term, normalisations written out,
nothing shared, nothing left out. It has the fast method's settings and parameter names, so that it takes its weights,
and draws from a `FaceSource` in the same order, so that both steps see the same faces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmark.interface import FaceSource, Method, Progress


@dataclass
class Taken:
    """What one step of a method did: its losses by name, and the gradients of every update, in order.

    A parameter without a gradient, which no optimiser steps, is left out.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    updates: list[tuple[str, dict[str, Tensor]]] = field(default_factory=list)


def step(method: Method, faces: FaceSource, progress: Progress) -> Taken:
    """One training step whose updates are written down and not made."""
    taken = Taken()
    owned = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in method.optimizers().items()
    }

    def update(optimizer: str, loss: Tensor) -> None:
        method.zero_grad(set_to_none=True)
        loss.backward()
        taken.updates.append(
            (
                optimizer,
                {
                    name: p.grad.clone()
                    for name, p in method.named_parameters()
                    if id(p) in owned[optimizer] and p.grad is not None
                },
            )
        )

    taken.losses = dict(method.training_step(faces, update, progress))
    return taken


def trained(method: Method, source: FaceSource, iterations: int) -> dict[str, Tensor]:
    """The weights after the iterations' updates."""
    optimizers = method.optimizers()

    def update(name: str, loss: Tensor) -> None:
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[name].step()

    for iteration in range(iterations):
        method.training_step(source, update, Progress(iteration, iterations))
    return method.state_dict()


def same_weights(fast: Method, plain: Method) -> None:
    """Give the plain reference the weights of the fast method."""
    plain.load_state_dict(fast.state_dict())
    plain.train(fast.training)


def assert_same_step(
    fast: Method, plain: Method, source: Callable[[], FaceSource], progress: Progress, tolerance: float
) -> None:
    """Both make the same losses, and in the same updates the same gradients: relative to the largest of each tensor.

    source: makes the faces anew, with the same draws. tolerance: 1e-10 for float64, 1e-4 for float32.
    """
    same_weights(fast, plain)
    quick, slow = step(fast, source(), progress), step(plain, source(), progress)
    assert set(slow.losses) == set(quick.losses)
    for name, value in slow.losses.items():
        error = float((quick.losses[name] - value).abs()) / max(1.0, float(value.abs()))
        assert error <= tolerance, f"loss {name} is off by {error:.1e}"
    assert [name for name, _ in quick.updates] == [name for name, _ in slow.updates]
    for (optimizer, actual), (_, wanted) in zip(quick.updates, slow.updates, strict=True):
        assert set(actual) == set(wanted), f"{optimizer}: other parameters have gradients: {set(actual) ^ set(wanted)}"
        # Where the true gradient is zero (a bias before a norm) there is only rounding: held against the largest, of
        # which a thousandth times the tolerance would be below what single precision resolves.
        largest = max(float(g.abs().max()) for g in wanted.values())
        for name, gradient in wanted.items():
            floor = 1e-3 if gradient.dtype == torch.float64 else 1e-2
            scale = max(float(gradient.abs().max()), floor * largest)
            error = float((actual[name] - gradient).abs().max()) / scale
            assert error <= tolerance, f"{optimizer}: the gradient of {name} is off by {error:.1e} of {scale:.1e}"
