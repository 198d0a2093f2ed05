"""Checkpoints: `checkpoint.json`, what it says of the weights beside it, and how both are read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from benchmark.core.artifacts import MANIFEST, Manifest
from benchmark.core.errors import UserError, one_line, quoted
from benchmark.core.files import A_FILE, fault_of, folder_fault_of, open_regular, read_regular
from benchmark.core.models import fault_line
from benchmark.data.framing import Framing
from benchmark.interface import Method, Shape
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS
from benchmark.settings import make_settings
from benchmark.training.checkpoint import prefixed
from benchmark.training.registry import find_method
from benchmark.training.trainer import WEIGHTS, load_for_editing

CHECKPOINT = "checkpoint.json"
LARGEST_TEXT = 4 << 20
"""Bytes of a `checkpoint.json`; those of trainings have a few thousand."""
LARGEST_MODEL = 8 << 30
"""Bytes of all weights of a method; the published ones have at most a fiftieth of it."""
MOST_MODULES = 20_000
"""Modules of all networks of a method; the published ones have some hundred."""
LARGEST_PICTURE = 8192


# ------------------------------------------------------------------------------------------------ checkpoint.json
class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class ShapeText(_Part):
    """The task that the networks were built for, `interface.Shape`."""

    size: int = Field(ge=1, le=LARGEST_PICTURE)
    classes: int = Field(len(EXPRESSIONS), ge=len(EXPRESSIONS), le=len(EXPRESSIONS))
    units: int = Field(len(ACTION_UNITS), ge=len(ACTION_UNITS), le=len(ACTION_UNITS))


class PlaceText(_Part):
    """`framing.FacePosition`: fractions of the side of a picture, which a face may lie partly outside of."""

    x: float = Field(ge=-10, le=10)
    y: float = Field(ge=-10, le=10)
    side: float = Field(ge=0.01, le=10)


class FramingText(_Part):
    """`Framing.as_json`."""

    mean: PlaceText
    lowest: PlaceText | None = None
    highest: PlaceText | None = None


class FileText(_Part):
    """A file with its hash."""

    name: str = ""
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Origin(_Part):
    """Where imported weights are from: the published code, and its files."""

    code: str
    files: tuple[FileText, ...]


class CheckpointText(_Part):
    """The content of `checkpoint.json`. None stands for what nobody knows of an import."""

    method: str = Field(min_length=1, max_length=500)
    settings: dict[str, JsonValue]
    shape: ShapeText
    absent: tuple[str, ...] = ()
    imported: bool = False
    origin: Origin | None = None
    files: dict[str, FileText] = Field(default_factory=dict)
    subset: str | None = None
    seed: int | None = None
    iterations: int | None = Field(None, ge=0)
    images_seen: int | None = Field(None, ge=0)
    updates: dict[str, int] = Field(default_factory=dict)
    parameters: dict[str, int] = Field(default_factory=dict)
    changed_settings: dict[str, JsonValue] = Field(default_factory=dict)
    failures: tuple[str, ...] = ()
    framing: FramingText | None = None
    for_editing: bool = False
    """Whether `model.` has the averages, where the method keeps some, and nothing else is there."""

    @field_validator("settings", "changed_settings")
    @classmethod
    def _numbers_are_finite(cls, settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, value in settings.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, float) and not math.isfinite(number):
                    raise ValueError(f"{quoted(name)} is {number}, which is no finite number")
        return settings

    @model_validator(mode="after")
    def _imports_have_an_origin(self) -> CheckpointText:
        if self.imported and self.origin is None:
            raise ValueError("it is imported and does not say from where")
        return self


def read_text(path: Path) -> CheckpointText:
    """Read and check a `checkpoint.json`. Raises UserError."""
    try:
        content = read_regular(path, LARGEST_TEXT)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    try:
        return CheckpointText.model_validate_json(content)
    except ValidationError as error:
        raise UserError(f"{path} is damaged: {fault_line(error, CheckpointText)}") from error


# ------------------------------------------------------------------------------------------------ with its weights
@dataclass(frozen=True)
class Checkpoint:
    """A folder with `checkpoint.json`, read and checked, and weights, not yet read."""

    folder: Path
    method: str
    method_class: type[Method]
    settings: Any
    shape: Shape
    text: CheckpointText

    @property
    def absent(self) -> tuple[str, ...]:
        """Networks that are not in the weights and that no edit needs."""
        return self.text.absent

    @property
    def framing(self) -> Framing | None:
        """Where the training pictures have the face; None where it does not say."""
        return None if self.text.framing is None else Framing.from_json(self.text.framing.model_dump())

    def check_record(self, digests: Mapping[str, str]) -> None:
        """Raise UserError where a file is not what an import or a training has recorded. digests: SHA-256 by name."""
        recorded = {name: file.sha256 for name, file in self.text.files.items()}
        path = self.folder / MANIFEST
        if os.path.lexists(path):
            try:
                recorded |= {name: file.sha256 for name, file in Manifest.read(path, older=True).files.items()}
            except ValueError as error:
                raise UserError(f"the checkpoint {self.folder} is damaged: {error}") from error
        for name, digest in digests.items():
            if recorded.get(name, digest) != digest:
                raise UserError(f"the checkpoint {self.folder} is damaged: {name} is not what was written there")

    def check_weights(self) -> None:
        """Compare names and shapes of the weights with the method's, without reading them. Raises UserError."""
        path = self.folder / WEIGHTS
        if fault := fault_of(path):
            raise UserError(f"the checkpoint {self.folder} is not whole: {WEIGHTS} {fault}")
        try:
            open_regular(path).close()  # safetensors says of every file that cannot be opened that it is missing
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
        model = self._skeleton()
        wanted = prefixed("model", model.state_dict())
        for name, network in model.averaged().items() if not self.text.for_editing else ():
            wanted |= prefixed(f"average.{name}", network.state_dict())
        wanted = {name: tensor for name, tensor in wanted.items() if name.split(".")[1] not in self.absent}
        try:
            with safe_open(path, "pt") as stream:
                shapes = {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(f"the checkpoint {self.folder} is damaged: {WEIGHTS} cannot be read ({error})") from error
        wrong = [name for name, tensor in wanted.items() if shapes.get(name) != tuple(tensor.shape)]
        wrong += [name for name in shapes if name not in wanted]
        if wrong:
            raise UserError(
                f"the checkpoint {self.folder} is not of {self.method_class.__name__} as its {CHECKPOINT} describes "
                f"it: {len(wrong)} tensors do not fit, '{_bare(wrong[0])}' for one"
            )

    def load(self, device: str) -> Method:
        """Return the method with its weights, ready to edit.

        Raises UserError where they do not fit, or hold NaN or infinity.
        """
        self.check_weights()
        method = self.method_class(self.settings, self.shape)
        load_for_editing(method, self.folder / WEIGHTS, self.absent, merged=self.text.for_editing)
        if name := first_not_finite(method.state_dict()):
            raise UserError(f"{self.folder / WEIGHTS}: '{name}' holds numbers that are not finite")
        return method.to(device)

    def _skeleton(self) -> Method:
        """The method on the meta device, which holds no numbers."""
        try:
            with torch.device("meta"), few_modules():
                model = self.method_class(self.settings, self.shape)
        except UserError as error:
            raise UserError(f"{self.folder / CHECKPOINT}: {error}") from error
        except Exception as error:  # settings that no network can have stop its constructor anywhere
            reason = one_line(error)[:120]
            raise UserError(
                f"{self.folder / CHECKPOINT}: no network of {self.method} can have its settings "
                f"({type(error).__name__}: {reason})"
            ) from error
        if model_bytes(model) > LARGEST_MODEL:
            raise UserError(
                f"{self.folder / CHECKPOINT}: networks of its settings would need {model_bytes(model) / 2**30:,.0f} GB"
            )
        return model


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read what a folder's checkpoint is, without its weights. Raises UserError where the folder holds none."""
    path = folder / CHECKPOINT
    if fault := folder_fault_of(folder):
        hint = ": benchmark.import_checkpoint makes one of a published file" if fault == A_FILE else ""
        raise UserError(f"{folder} {fault}, so it holds no checkpoint{hint}")
    if fault_of(path) == "is missing":
        raise UserError(f"{folder} holds no checkpoint: there is no {CHECKPOINT} in it")
    text = read_text(path)
    try:
        cls = find_method(text.method)
    except (TypeError, ValueError, UserError) as error:  # an import path that is none, or names something else
        raise UserError(f"{path}: {error}") from error
    layout = cls.published_checkpoint()
    optional = {network.attribute for network in (layout.networks if layout else ()) if network.optional}
    optional |= cls.training_only
    if needed := sorted(set(text.absent) - optional):
        raise UserError(f"{path}: edits need its {' and '.join(map(_bare, needed))}, which it says is absent")
    settings: Any = make_settings(cls.Settings, text.settings, str(path))
    return Checkpoint(folder, text.method, cls, settings, Shape(**text.shape.model_dump()), text)


def load_checkpoint(folder: Path, device: str) -> Method:
    """Return the method of a finished training or an import, ready to edit. Raises UserError."""
    return open_checkpoint(folder).load(device)


def first_not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or infinity, "" where none does."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return ""


def model_bytes(model: nn.Module) -> int:
    """Bytes of its parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


@contextmanager
def few_modules() -> Iterator[None]:
    """Raise UserError once the block has registered more than `MOST_MODULES` modules."""
    count = 0

    def registered(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > MOST_MODULES:
            raise UserError(f"the settings ask for more than {MOST_MODULES:,} layers")

    handle = register_module_module_registration_hook(registered)
    try:
        yield
    finally:
        handle.remove()


def _bare(name: str) -> str:
    """A name of a file as a message quotes it between its own marks."""
    return quoted(name)[1:-1]
