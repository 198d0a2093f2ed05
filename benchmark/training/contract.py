"""The contract of `benchmark.interface.Method`, checked before a method is trained: each violation is one line.

`check_class` reads the class. `check_behaviour` builds the method, edits two made-up faces under each guide and runs
its first training steps on made-up faces; random states are put back afterwards.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchmark.core.errors import ContractError, did_you_mean
from benchmark.core.source_code import error_line
from benchmark.interface import Augmentation, Faces, Method, Progress, Shape, Target
from benchmark.protocol import ACTION_UNIT_MAX, ACTION_UNITS, EXPRESSIONS, GUIDES, KNOWLEDGE, LANDMARKS, SUBSETS, Guide
from benchmark.training.checkpoint import random_tensors, restore_random
from benchmark.training.sampling import TrainingFaces, TrainingSet
from benchmark.training.trainer import seed_everything

PICTURES = 64
STEPS = 6
"""Training steps at most: of a published method, some optimisers are due in every fifth iteration alone."""
SECONDS = 5.0
"""After which no further step begins."""
T = TypeVar("T")


class _Broken(Exception):  # noqa: N818 - a violation of the contract
    """A violation that leaves nothing to check behind it."""


def check_class(name: str, cls: type[Method]) -> None:
    """Check what the class of a method says of it. Raises UserError with a line for each violation."""
    _raise(name, _class_violations(cls))


def check_behaviour(name: str, cls: type[Method], settings: Any, shape: Shape, device: str) -> None:
    """Check what a method does. Raises UserError with a line for each violation, the first of a kind."""
    states = random_tensors()
    try:
        seed_everything(0)
        _raise(name, _behaviour_violations(cls, settings, shape, torch.device(device)))
    finally:
        restore_random(states)


def _raise(name: str, violations: Iterator[str]) -> None:
    lines = [f"method '{name}': {text}" for text in violations]
    if lines:
        raise ContractError("\n".join(lines))


# ------------------------------------------------------------------------------------------------ the class
def _class_violations(cls: Any) -> Iterator[str]:
    missing = sorted(cls.__abstractmethods__)
    if missing:
        yield f"{cls.__name__} does not define {' and '.join(missing)}"
    if not hasattr(cls, "Settings"):
        yield "the class has no Settings: name its frozen dataclass, Settings = MySettings"
    else:
        yield from _settings_violations(cls.Settings)
    if not hasattr(cls, "guides"):
        yield 'the class has no guides: say frozenset({"T"}), {"R"}, or both'
    for attribute, allowed in (
        ("guides", GUIDES),
        ("needs", tuple(KNOWLEDGE)),
        ("source_needs", tuple(KNOWLEDGE)),
        ("subsets", SUBSETS),
    ):
        value = getattr(cls, attribute, frozenset(allowed))
        fits = isinstance(value, frozenset) and value <= set(allowed)
        if not fits or (not value and attribute in {"guides", "subsets"}):
            yield f"{attribute} is {value!r}, and must be a frozenset of {' and '.join(map(repr, allowed))}"
    if cls.reference not in ("image", "units"):
        yield f"reference is {cls.reference!r}, and must be 'image' or 'units'"
    if not isinstance(cls.version, int) or cls.version < 1:
        yield f"version is {cls.version!r}, and must be a whole number of at least 1"
    if not isinstance(cls.augmentation, Augmentation):
        yield f"augmentation is {cls.augmentation!r}, and must be an Augmentation (benchmark.interface)"
    if not isinstance(cls.footnote, str):
        yield f"footnote is {cls.footnote!r}, and must be text"


def _settings_violations(settings: Any) -> Iterator[str]:
    if not (isinstance(settings, type) and dataclasses.is_dataclass(settings)):
        yield f"Settings is {settings!r}, and must be a frozen dataclass: write @dataclass(frozen=True) above it"
        return
    if not settings.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        yield f"{settings.__name__} can be changed: write @dataclass(frozen=True) above it"
    for field in dataclasses.fields(settings):
        if field.metadata.get("origin") not in ("published", "chosen") or "note" not in field.metadata:
            yield (
                f"setting {field.name} of {settings.__name__} does not say where its value is from: write "
                f"{field.name}: ... = published(value, source) or chosen(value, reason) (benchmark.settings)"
            )
    try:
        get_type_hints(settings)
    except Exception as error:  # whatever an annotation evaluates to
        yield f"the types of {settings.__name__} cannot be read: {error_line(error)}"


# ------------------------------------------------------------------------------------------------ what it does
def _behaviour_violations(cls: type[Method], settings: Any, shape: Shape, device: torch.device) -> Iterator[str]:
    try:
        method = _built(cls, settings, shape).to(device)
        optimizers = _optimizers(method)
    except _Broken as broken:
        yield str(broken)
        return
    yield from _property_violations(method, optimizers)
    for guide in sorted(method.guides):
        try:
            _edit(method, guide, device)
        except _Broken as broken:
            yield str(broken)
    try:
        _train(method, optimizers, device)
    except _Broken as broken:
        yield str(broken)


def _called(subject: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except _Broken:
        raise
    except Exception as error:  # whatever the code of a method raises
        raise _Broken(f"{subject} raises {error_line(error)}") from error


def _built(cls: type[Method], settings: Any, shape: Shape) -> Method:
    try:
        inspect.signature(cls).bind(settings, shape)
    except TypeError as error:
        raise _Broken(
            f"its constructor takes {inspect.signature(cls)}, and must take (settings, shape) and pass both to "
            "super().__init__"
        ) from error
    method = _called("its constructor", lambda: cls(settings, shape))
    if getattr(method, "settings", None) is not settings or getattr(method, "shape", None) is not shape:
        raise _Broken("its constructor must keep settings and shape: call super().__init__(settings, shape)")
    return method


def _optimizers(method: Method) -> dict[str, Optimizer]:
    optimizers: Any = _called("optimizers", method.optimizers)
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise _Broken(
            f"optimizers() returns {_shown(optimizers)}, and must return a mapping of names to torch optimizers, "
            'such as {"generator": Adam(...)}'
        )
    own = {id(parameter) for parameter in method.parameters()}
    for name, optimizer in optimizers.items():
        if not isinstance(name, str) or not isinstance(optimizer, Optimizer):
            raise _Broken(f"optimizers() has {_shown(optimizer)} under {name!r}, and must have a torch optimizer")
        held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
        if not set(held) <= own:
            raise _Broken(
                f"optimizer '{name}' holds tensors that are not parameters of the method, so no checkpoint keeps them: "
                "make them parameters of a module that is an attribute of the method"
            )
    return dict(optimizers)


def _property_violations(method: Method, optimizers: Mapping[str, Optimizer]) -> Iterator[str]:
    """Averages, clipping, the schedule."""
    try:
        averaged: Any = _called("averaged", method.averaged)
        networks = {id(module) for module in method.modules()}
        if not isinstance(averaged, Mapping) or not {id(network) for network in averaged.values()} <= networks:
            yield "averaged() must return a mapping of names to modules of the method"
        decay = _called("average_decay", lambda: method.average_decay)
        if not _is_number(decay) or not 0 <= decay < 1:
            yield f"average_decay is {decay!r}, and must be at least 0 and less than 1"
        norm = _called("clip_norm", lambda: method.clip_norm)
        if norm is not None and (not _is_number(norm) or norm <= 0):
            yield f"clip_norm is {norm!r}, and must be None or a number above 0"
        for name in optimizers:
            factor: Any = _called(
                "learning_rate_factor", partial(method.learning_rate_factor, name, Progress(0, STEPS))
            )
            if not _is_number(factor) or not 0 <= factor < math.inf:
                yield f"learning_rate_factor('{name}', ...) is {factor!r}, and must be a number of at least 0"
    except _Broken as broken:
        yield str(broken)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# ------------------------------------------------------------------------------------------------ one edit
def _edit(method: Method, guide: Guide, device: torch.device) -> None:
    """Edit two faces. Raises _Broken."""
    size = method.shape.size
    data = _made_up(size, 4)
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous().to(device)
    units, landmarks = (torch.from_numpy(values).to(device) for values in (data.units, data.landmarks))
    unknown = {
        name: values if name in method.source_needs else torch.full_like(values, torch.nan)
        for name, values in (("units", units), ("landmarks", landmarks))
    }
    sources = Faces(images[:2], torch.tensor([0, 1], device=device), unknown["units"][:2], unknown["landmarks"][:2])
    by_reference = guide == "R"
    target = Target(
        guide,
        torch.tensor([2, 3], device=device),
        [0, 1],
        images[2:] if by_reference else None,
        units[2:] if by_reference else None,
    )
    tensors = [tensor for item in (sources, target) for tensor in vars(item).values() if isinstance(tensor, Tensor)]
    before = [tensor.clone() for tensor in tensors]
    call = f"edit (guide {guide})"
    method.eval()
    with torch.no_grad():
        edited: Any = _called(call, lambda: method.edit(sources, target))
        if any(not torch.equal(old.nan_to_num(), new.nan_to_num()) for old, new in zip(before, tensors, strict=True)):
            raise _Broken(f"{call} changes what it is given in place: work on a copy, images.clone()")
        _check_edit(call, edited, sources, method)
        again: Tensor = _called(call, lambda: method.edit(sources, target))
    if not torch.allclose(again, edited, rtol=1e-3, atol=1e-3):
        raise _Broken(f"{call} is another each time: draw a latent from latents(target.seeds, ...) and nothing else")


def _check_edit(call: str, edited: Any, sources: Faces, method: Method) -> None:
    wanted = f"2 x 3 x {method.shape.size} x {method.shape.size}"
    if not isinstance(edited, Tensor):
        raise _Broken(f"{call} returns {_shown(edited)}, and must return a tensor of {wanted}")
    if edited.shape != sources.images.shape:
        shape = " x ".join(map(str, edited.shape)) or "no dimension"
        raise _Broken(f"{call} returns a tensor of {shape}, and must return one of {wanted}: N x 3 x S x S")
    if edited.dtype != torch.float32:
        raise _Broken(f"{call} returns {edited.dtype}, and must return torch.float32 in [-1, 1]")
    if not bool(edited.isfinite().all()):
        raise _Broken(
            f"{call} returns values that are not finite numbers; action units and landmarks of sources are known only "
            "where source_needs names them"
        )
    if edited.min() >= 0 and edited.max() > 0:
        raise _Broken(
            f"{call} returns no value below 0 (they are {edited.min():.3g} to {edited.max():.3g}), and must return "
            "pictures in [-1, 1], where -1 is black"
        )


# ------------------------------------------------------------------------------------------------ the first steps
def _train(method: Method, optimizers: Mapping[str, Optimizer], device: torch.device) -> None:
    """Run the first steps, until every optimiser has been used. Raises _Broken."""
    data = _made_up(method.shape.size, PICTURES)
    units, landmarks = (
        values if name in method.needs else None
        for name, values in (("units", data.units), ("landmarks", data.landmarks))
    )
    faces = TrainingFaces(TrainingSet(data.images, data.labels, units, landmarks), method.augmentation, 0, device)
    used: set[str] = set()

    def update(optimizer: str, loss: Any) -> None:
        name = optimizer
        if name not in optimizers:
            hint = did_you_mean(str(name), optimizers)
            raise _Broken(f"training_step updates '{name}', and optimizers() has no such name{hint}")
        if not isinstance(loss, Tensor) or loss.dim() or not loss.requires_grad:
            raise _Broken(
                f"training_step updates '{name}' with {_shown(loss)}, and must do so with a scalar tensor that depends "
                "on its parameters"
            )
        if not bool(loss.isfinite()):
            raise _Broken(
                f"training_step updates '{name}' with a loss of {loss.item()} in its first steps; action units and "
                "landmarks are known only where needs names them"
            )
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if method.clip_norm is not None:
            held = [parameter for group in optimizers[name].param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(held, method.clip_norm)
        optimizers[name].step()
        used.add(name)

    method.train()
    started = time.monotonic()
    for iteration in range(STEPS):
        progress = Progress(iteration, STEPS)
        losses: Any = _called("training_step", partial(method.training_step, faces, update, progress))
        _check_losses(losses)
        if used == set(optimizers) or time.monotonic() - started > SECONDS:
            break
    else:
        if not used:
            raise _Broken("training_step calls no update, so nothing is trained: call update(name, loss)")
    warnings = _called("warnings", partial(method.warnings, {name: float(loss) for name, loss in losses.items()}))
    _check_warnings(warnings)


def _check_losses(losses: Any) -> None:
    right = "training_step must return a dict of names to detached scalar tensors"
    if not isinstance(losses, Mapping):
        raise _Broken(f"training_step returns {_shown(losses)}: {right}")
    for name, loss in losses.items():
        if not isinstance(name, str) or not isinstance(loss, Tensor) or loss.dim():
            raise _Broken(f"training_step returns {_shown(loss)} under {name!r}: {right}")
        if loss.requires_grad:
            raise _Broken(f"training_step returns a loss '{name}' with its graph: {right}, '{name}': loss.detach()")
        if not bool(loss.isfinite()):
            raise _Broken(f"training_step returns a loss '{name}' of {loss.item()} in its first steps")


def _check_warnings(warnings: Any) -> None:
    if not isinstance(warnings, list) or not all(isinstance(text, str) for text in warnings):
        raise _Broken(f"warnings returns {_shown(warnings)}, and must return a list of sentences")


# ------------------------------------------------------------------------------------------------ made-up faces
def _made_up(size: int, count: int) -> TrainingSet:
    """Noise pictures of all labels, with action units, and landmarks where a frontal face has them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    units = rng.uniform(0, ACTION_UNIT_MAX, (count, len(ACTION_UNITS))).astype(np.float32)
    landmarks = size * (_mean_face() + rng.normal(0, 0.005, (count, LANDMARKS, 2)))
    labels = np.arange(count, dtype=np.int64) % len(EXPRESSIONS)
    return TrainingSet(images, labels, units, landmarks.astype(np.float32))


def _mean_face() -> np.ndarray:
    """68 x 2 (x, y) in fractions of the picture, the iBUG scheme."""

    def arc(middle: tuple[float, float], radii: tuple[float, float], degrees: np.ndarray) -> np.ndarray:
        angles = np.radians(degrees)
        return np.stack([middle[0] + radii[0] * np.cos(angles), middle[1] + radii[1] * np.sin(angles)], 1)

    brow, ring = np.linspace(200, 340, 5), 180 + np.arange(6) * 60
    return np.concatenate(
        [
            arc((0.5, 0.45), (0.3, 0.42), np.linspace(180, 0, 17)),
            arc((0.37, 0.38), (0.1, 0.06), brow),
            arc((0.63, 0.38), (0.1, 0.06), brow),
            np.stack([np.full(4, 0.5), np.linspace(0.42, 0.56, 4)], 1),
            arc((0.5, 0.57), (0.06, 0.03), np.linspace(180, 0, 5)),
            arc((0.37, 0.42), (0.05, 0.02), ring),
            arc((0.63, 0.42), (0.05, 0.02), ring),
            arc((0.5, 0.72), (0.11, 0.05), 180 + np.arange(12) * 30),
            arc((0.5, 0.72), (0.07, 0.02), 180 + np.arange(8) * 45),
        ]
    )


def _shown(value: object) -> str:
    """A value in a message: what it is, and no screenful."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}{'' if value.requires_grad else ' without a gradient'}"
    return f"{type(value).__name__} {str(value)[:60]!r}"
