"""train: FaceSet, method, budget -> Checkpoint."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from benchmark.config.precision import DEFAULT, MEANING, Precision
from benchmark.config.profiles import Profile
from benchmark.core.errors import UserError
from benchmark.core.hashes import write_text
from benchmark.core.models import STRICT, dump
from benchmark.data.faceset import FaceSet
from benchmark.data.framing import Framing
from benchmark.data.split import lowest_ranked
from benchmark.interface import Method, Shape
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, KNOWLEDGE, Knowledge, Subset
from benchmark.settings import documented
from benchmark.stages.base import Context, Stage, StageResult, Work
from benchmark.stages.checkpoints import CHECKPOINT
from benchmark.stages.prepare import Prepare, load_faces_for
from benchmark.training.contract import check_behaviour
from benchmark.training.precision import check_precision
from benchmark.training.registry import METHODS, code_digest, find_method
from benchmark.training.row_settings import row_settings
from benchmark.training.sampling import TrainingSet
from benchmark.training.trainer import LOSSES, STATE, WEIGHTS, Budget, Trainer

PROCESSOR = "processor_seconds"
"""Of the timings in a manifest: see `Position.processor_seconds`."""


@dataclass(frozen=True, config=STRICT)
class TrainFacts:
    """The cost of a training apart from its time; None where it is unknown."""

    iterations: int | None
    images_seen: int | None
    updates: Mapping[str, int]
    """Optimiser steps by optimiser."""
    parameters: Mapping[str, int]
    """Trained parameters by network."""
    changed_settings: Mapping[str, Any]
    """Settings that differ from the published ones."""
    failures: list[str] = field(default_factory=list)
    """The measures by which the training failed."""
    framing: Mapping[str, Any] | None = None
    """The place of the face in the training pictures; None where it is unknown."""
    final_losses: Mapping[str, float] = field(default_factory=dict)


class CheckpointStage(Stage[TrainFacts]):
    """A stage that makes a checkpoint: a training, or an import in place of one."""

    facts_type = TrainFacts
    method: str
    method_class: type[Method]
    settings: Any
    shape: Shape
    iterations: int | None
    """Iterations of the training; None where they are unknown."""
    origin: str = ""
    """Origin of the weights, if they were not trained here."""
    precision: Precision = DEFAULT
    """The precision in which the training computes products."""

    def title(self, subset: Subset) -> str:
        """Return its name in the stages and files that depend on it: `mtss F&P seed 0`."""
        return self.name.removeprefix(f"{self.kind} ")

    @property
    def training_key(self) -> str:
        """Return the key under which the training's losses are logged."""
        return self.recipe.key

    @property
    def footnote(self) -> str:
        """Return the footnote of a table: the method's own, and a precision other than the default."""
        coarse = "" if self.precision == DEFAULT else f"Trained with {MEANING[self.precision]}."
        return " ".join(note for note in (self.method_class.footnote, coarse) if note)


def code_setting(method: str) -> dict[str, str]:
    """Return the digest of a method's code for a key; empty for this repository's methods, which have versions."""
    digest = code_digest(method)
    return {"method_code": digest} if digest else {}


class Train(CheckpointStage):
    """One method trained on the train identities of one subset."""

    kind = "train"
    version = 3
    files = (WEIGHTS, LOSSES, CHECKPOINT)
    state = STATE

    def __init__(
        self,
        prepare: Prepare,
        method: str,
        variant: Mapping[str, Any],
        subset: Subset,
        profile: Profile,
        seed: int,
        device: str,
    ) -> None:
        self.faces, self.method, self.subset, self.seed, self.device = prepare, method, subset, seed, device
        self.method_class = find_method(method)
        self.shape = Shape(profile.size, len(EXPRESSIONS), len(ACTION_UNITS))
        self.settings, plain = row_settings(method, profile, variant), row_settings(method, profile, {})
        self.budget = Budget(profile.iterations_of(method), profile.checkpoint_every, profile.log_every)
        self.iterations = self.budget.iterations
        self.train_identities, self.precision = profile.train_identities, profile.precision
        check_precision(self.precision, device)
        settings = {
            "method": method,
            "method_version": self.method_class.version,
            "settings": dataclasses.asdict(self.settings),
            "shape": dataclasses.asdict(self.shape),
            "subset": subset,
            "train_identities": profile.train_identities,
            "iterations": self.budget.iterations,
            "seed": seed,
            "device": device,
            **({} if self.precision == DEFAULT else {"precision": self.precision}),
            **code_setting(method),
        }
        # What changes nothing is not named, so that the same training has the same name in every suite.
        changed = [key for key in sorted(variant) if getattr(self.settings, key) != getattr(plain, key)]
        named = " ".join(f"{key}={getattr(self.settings, key)}" for key in changed)
        if self.precision != DEFAULT:
            named = f"{named} {self.precision}".strip()
        super().__init__(
            f"train {method} {named + ' ' if named else ''}{subset} seed {seed}", settings, {"faces": prepare}
        )

    def work(self) -> Work:
        """Estimate iterations and bytes: weights, averages and two moments, in two state files and the result."""
        with torch.device("meta"):
            parameters = sum(p.numel() for p in self.method_class(self.settings, self.shape).parameters())
        return Work(
            f"train {self.method} {self.shape.size} px, width {getattr(self.settings, 'width', 1):g}"
            + ("" if self.precision == DEFAULT else f", {self.precision}"),
            self.budget.iterations,
            10 * 4 * parameters,
        )

    def run(self, context: Context, folder: Path) -> StageResult[TrainFacts]:
        """Train, or resume a training."""
        faces = load_faces_for(self.subset, self.faces.folder(context))
        data = self.training_set(faces)
        trainer = Trainer(
            self.method_class, self.settings, self.shape, data, self.budget, self.seed,
            context.machine.device, folder, context.machine.threads, self.precision,
        )  # fmt: skip
        if trainer.resume(lambda text: context.reporter.warn(f"{self.name}: {text}")):
            context.reporter.say(f"{self.name}: goes on at iteration {trainer.position.iteration}")
        with context.reporter.bar(self.name, self.budget.iterations, trainer.position.iteration) as bar:
            trainer.run(
                bar, lambda text: context.reporter.warn(f"{self.name}: {text}"), context.tracker.losses(self.recipe.key)
            )
        trainer.write_result()
        failures = trainer.failures()
        for failure in failures:
            context.reporter.warn(f"{self.name} failed by its own measure {failure}")
        facts = TrainFacts(
            iterations=trainer.position.iteration,
            images_seen=trainer.position.images,
            updates=trainer.position.updates,
            parameters=trainer.parameters(),
            changed_settings=changed_settings(self.settings),
            failures=failures,
            framing=_framing(data, faces.size),
            final_losses=_last_losses(trainer),
        )
        described = {**self.recipe.settings, **dump(facts)}
        write_text(folder / CHECKPOINT, json.dumps(described, indent=1, sort_keys=True) + "\n")
        spent = trainer.position
        timings = {PROCESSOR: round(spent.processor_seconds, 3)}
        if spent.seconds:
            timings["waiting_for_data"] = round(spent.waited / spent.seconds, 5)
        return StageResult(facts, None, spent.seconds, spent.threads, timings)

    def training_set(self, faces: FaceSet) -> TrainingSet:
        """Select the faces to train on. Raises UserError where there is none, or one lacks what the method needs."""
        names = lowest_ranked(faces.identities("train"), self.train_identities)
        rows = faces.rows(self.subset, "train", names)
        if not len(rows):
            raise UserError(f"no picture of the train identities belongs to subset {self.subset}")
        known: dict[Knowledge, np.ndarray] = {"units": faces.units[rows], "landmarks": faces.landmarks[rows]}
        for name in sorted(self.method_class.needs):
            unknown = int(np.isnan(known[name]).any(axis=tuple(range(1, known[name].ndim))).sum())
            if unknown:
                raise UserError(
                    f"{self.method} needs the {KNOWLEDGE[name]} of every face, and {unknown} of {len(rows)} training "
                    "pictures have none"
                )
        return TrainingSet(faces.images, faces.labels[rows], known["units"], known["landmarks"], rows)


def _last_losses(trainer: Trainer) -> dict[str, float]:
    last = trainer.losses().ffill().iloc[-1].drop("iteration")
    return {str(name): float(value) for name, value in last.items() if np.isfinite(value)}


def check_contracts(stages: Iterable[Stage], device: str) -> None:
    """Check each method from outside this repository that is to be trained, once for each of its settings.

    Raises UserError with a line for each violation. Tests hold this repository's methods to the contract.
    """
    checked = set()
    for stage in stages:
        if isinstance(stage, Train) and stage.method not in METHODS:
            case = stage.method, repr(stage.settings), stage.shape
            if case not in checked:
                check_behaviour(stage.method, stage.method_class, stage.settings, stage.shape, device)
                checked.add(case)


def _framing(data: TrainingSet, size: int) -> dict[str, Any] | None:
    """Measure the place of the face in the training pictures, for `benchmark.synthesize`; None if it is unknown."""
    framing = None if data.landmarks is None else Framing.measured(data.landmarks, size)
    return None if framing is None else framing.as_json()


def changed_settings(settings: Any) -> dict[str, Any]:
    """The settings that differ from their defaults, which are the published values."""
    defaults = {row.name: row.value for row in documented(type(settings))}
    return {row.name: row.value for row in documented(settings) if row.value != defaults[row.name]}
