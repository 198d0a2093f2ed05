"""The models of the demo, and the scores of their edits by a judge and an identity network."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.config.loading import REFERENCE
from benchmark.config.reference import load_index
from benchmark.core.artifacts import DAMAGED, MANIFEST, PARTIAL, check_files
from benchmark.core.errors import UserError
from benchmark.core.files import folder_fault_of
from benchmark.core.paths import readable
from benchmark.editing.demo.sources import Face
from benchmark.editing.editor import Editor, is_name
from benchmark.editing.guides import DEFAULT_SEED, EditTarget, prototype_units
from benchmark.metrics.features.dlib_network import find_identity_weights
from benchmark.metrics.features.identity import IdentityNetwork, open_dlib_identity
from benchmark.metrics.identity import distances
from benchmark.protocol import EXPRESSIONS, KNOWLEDGE
from benchmark.stages.checkpoints import CHECKPOINT, read_text
from benchmark.training.judge import ABOUT, Judge

TRAININGS, JUDGES = "train", "judge"


@dataclass(frozen=True)
class GuideRequest:
    """The wanted edit: an expression, or a reference, or action units (17 in [0, 5]); `seed` of the latent."""

    expression: str = ""
    seed: int = DEFAULT_SEED
    reference: Face | None = None
    units: np.ndarray | None = None


@dataclass(frozen=True)
class JudgedEdit:
    """An edit. image, source: S x S x 3 uint8, as the model has them. judge: probability by expression, empty without
    a judge; identity: 1 less the distance of the two faces, None where it is not measured.
    """

    image: np.ndarray
    source: np.ndarray
    judge: Mapping[str, float]
    identity: float | None
    seconds: float


class Model:
    """A loaded checkpoint with its name in the demo."""

    def __init__(self, name: str, editor: Editor) -> None:
        self.name, self.editor = name, editor
        self.method = type(editor.method)

    @property
    def takes(self) -> tuple[str, ...]:
        """Return the guides it takes, of `expression`, `reference` and `units`."""
        by_units = "R" in self.method.guides and self.method.reference == "units"
        named = "T" in self.method.guides or by_units
        given = {"expression": named, "reference": "R" in self.method.guides, "units": by_units}
        return tuple(way for way, known in given.items() if known)

    def target(self, request: GuideRequest) -> EditTarget:
        """Convert a request for the method. Raises UserError for a guide that it does not take."""
        method, by_units = self.method, "units" in self.takes
        if request.units is not None:
            if not by_units:
                raise UserError(f"{self.name} is not guided by action units.")
            return EditTarget("action units", "R", -1, DEFAULT_SEED, units=request.units)
        if request.reference is not None:
            if "reference" not in self.takes:
                raise UserError(f"{self.name} takes no reference: choose an expression.")
            portrait = request.reference.portrait(self.editor.size, self.editor.framing)
            if by_units and portrait.lacks(frozenset({"units"})):
                raise UserError(
                    f"{self.name} needs the reference's action units, which are known of rendered faces only."
                )
            units = None if portrait.lacks(frozenset({"units"})) else portrait.units
            return EditTarget(
                "reference", "R", portrait.label, DEFAULT_SEED, None if by_units else portrait.image, units
            )
        label = EXPRESSIONS.index(request.expression)
        if "T" in method.guides:
            return EditTarget(request.expression, "T", label, request.seed)
        if by_units:
            return EditTarget(request.expression, "R", label, request.seed, units=prototype_units(request.expression))
        raise UserError(f"{self.name} is guided by references alone: choose one.")


class Models:
    """All models, and one judge for each size of pictures. One edit is made at a time."""

    def __init__(self, models: Sequence[Model], judges: Mapping[int, Judge], identity: IdentityNetwork | None) -> None:
        self.models = {model.name: model for model in models}
        self.judges, self.identity = judges, identity
        self._lock = threading.Lock()

    def edit(self, name: str, face: Face, request: GuideRequest) -> JudgedEdit:
        """Edit a face and score the edit. Raises UserError with a sentence for the page."""
        model = self.models[name]
        with self._lock:
            started = time.perf_counter()
            portrait = face.portrait(model.editor.size, model.editor.framing)
            if lacking := portrait.lacks(model.method.source_needs):
                needed = " and ".join(KNOWLEDGE[each] for each in lacking)
                raise UserError(f"{name} needs the {needed} of the face, which are known of rendered faces only.")
            edited = model.editor.edit(portrait, model.target(request))
            judge, identity = self.judges.get(model.editor.size), None
            predicted = [] if judge is None else judge.predict(edited[None])[0].tolist()
            if self.identity is not None and not portrait.lacks(frozenset({"landmarks"})):
                pair, points = np.stack([portrait.image, edited]), portrait.landmarks[None]
                own, other = self.identity.describe(pair, np.repeat(points, 2, 0))
                identity = 1.0 - float(distances(own[None], other[None])[0])
            opinions = dict(zip(EXPRESSIONS, predicted, strict=False))
            return JudgedEdit(edited, portrait.image, opinions, identity, time.perf_counter() - started)


def open_models(given: Sequence[str], out: Path, device: str) -> Models:
    """Load the checkpoints that are given (names of stored weights, or folders).

    If none are given: the latest training of each method below `out`, and the stored weights of each method. Trainings
    are called as their method, stored weights as they are asked for. Raises UserError where there are none.
    """
    if (fault := folder_fault_of(out)) not in ("", "is missing"):
        raise UserError(f"--out {readable(out)} {fault}: give the --out of benchmark.run")
    chosen = list(given) or [*map(str, finished_trainings(out)), *stored_methods()]
    if not chosen:
        raise UserError(
            f"{readable(out / TRAININGS)} has no finished training, and no weights are stored: "
            "python -m benchmark.run makes some, and --checkpoint takes the folder of one"
        )
    models: dict[str, Model] = {}
    for each in chosen:
        stored, editor = is_name(Path(each)), Editor(Path(each), device)
        name = each if stored else editor.name
        if stored and name in models:
            name = f"{name}, stored"
        count = 1
        while name in models:
            count += 1
            name = f"{editor.name} {count}"
        models[name] = Model(name, editor)
    roots = dict.fromkeys([*(Path(each).resolve().parent.parent for each in chosen), out])
    weights = find_identity_weights()
    identity = None if weights is None else open_dlib_identity(weights, device)
    sizes = {model.editor.size for model in models.values()}
    return Models(list(models.values()), _judges(list(roots), sizes), identity)


def finished_trainings(out: Path) -> list[Path]:
    """Return the latest finished training of each method in an output folder, of F&P if there is one."""
    latest: dict[str, tuple[bool, float, Path]] = {}
    for path in sorted((out / TRAININGS).glob(f"*/{CHECKPOINT}")):
        folder = path.parent
        if folder.suffix in (PARTIAL, DAMAGED):
            continue
        text = read_text(path)
        entry = (text.subset == "F&P", path.stat().st_mtime, folder)
        latest[text.method] = max(latest.get(text.method, entry), entry)
    return [folder for _, _, folder in (latest[method] for method in sorted(latest))]


def stored_methods() -> list[str]:
    """Return the methods of which weights are stored."""
    index = load_index(REFERENCE)
    stored = {row.method for _, row in index.rows() if any(seed.weights for seed in row.seeds.values())}
    return sorted(stored)


def _judges(roots: Sequence[Path], sizes: set[int]) -> dict[int, Judge]:
    """Load a judge for each picture size that has one, of F&P if there is one."""
    judges: dict[int, Judge] = {}
    for folder in sorted(
        (path.parent for root in roots for path in (root / JUDGES).glob(f"*/{ABOUT}")),
        key=lambda folder: ("-fp-" not in folder.name, folder.name),
    ):
        if folder.suffix not in (PARTIAL, DAMAGED):
            if os.path.lexists(folder / MANIFEST):
                check_files(folder)
            judge = Judge.load(folder)
            if judge.size in sizes:
                judges.setdefault(judge.size, judge)
    return judges
