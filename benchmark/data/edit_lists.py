"""The list of edits, the same for every method: sources, targets, references and seeds."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError
from benchmark.data.faceset import FaceSet
from benchmark.protocol import EDIT_SEED, EXPRESSIONS, SUBSET_CAMERAS, Subset


@dataclass(frozen=True)
class EditList:
    """The choice of edits of a face set.

    targets_per_source: all other expressions of a source, or that many of them (by the pairs' seeds, so any choice is
    nested in a larger one). gallery: not all test pictures, but that many to look at: neutral faces (happy ones, where
    neutral is the only target; others, where the set has none of these), each of another identity, the placements in
    turn, and then the cameras, the frontal one first. targets: only to these expressions, where there are any.
    """

    subset: Subset
    seed: int
    targets_per_source: int | None = None
    gallery: int | None = None
    targets: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings for recipes; lists of all targets do not name them."""
        settings = {**dataclasses.asdict(self), "targets": list(self.targets)}
        if not self.targets:
            del settings["targets"]
        return settings

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the expressions that are targets."""
        return self.targets or EXPRESSIONS

    def make(self, faces: FaceSet) -> pd.DataFrame:
        """Return a table with a row for each edit, sorted by source and target.

        source, reference, truth: rows of `faces`; truth, the real picture of the same identity, camera, gaze and
        placement with the target expression, is -1 where the set has none. target: expression. seed: the pair's own, 63
        bits. Raises UserError where an expression has no picture of a second identity to refer to.
        """
        table, placements = faces.table, faces.placements
        test = faces.rows(self.subset, "test")
        real = {
            (row.identity, row.camera, row.gaze, placements[index], row.expression): index
            for index, row in zip(test, table.iloc[test].itertuples(), strict=True)
        }
        by_expression = {name: test[(table["expression"].iloc[test] == name).to_numpy()] for name in EXPRESSIONS}
        rows = []
        for source in test if self.gallery is None else self._gallery(faces, test):
            face = table.iloc[source]
            targets = [name for name in self.wanted if name != face["expression"] and len(by_expression[name])]
            seeds = {name: pair_seed(self.seed, face["face_id"], name) for name in targets}
            if self.targets_per_source is not None:
                targets = sorted(targets, key=seeds.__getitem__)[: self.targets_per_source]
            rows += [
                {
                    "source": int(source),
                    "source_id": face["face_id"],
                    "source_expression": face["expression"],
                    "target": target,
                    "reference": self._reference(table, by_expression[target], face["identity"], seeds[target], target),
                    "truth": int(
                        real.get((face["identity"], face["camera"], face["gaze"], placements[source], target), -1)
                    ),
                    "seed": seeds[target],
                }
                for target in sorted(targets)
            ]
        if not rows:
            which = f" ({', '.join(self.targets)})" if self.targets else ""
            raise UserError(f"no test picture of subset {self.subset} has another expression to be edited to{which}")
        return pd.DataFrame(rows)

    def _gallery(self, faces: FaceSet, test: np.ndarray) -> list[int]:
        """Return the rows of the faces that are shown."""
        assert self.gallery is not None
        cameras = sorted(SUBSET_CAMERAS[self.subset], key=lambda camera: abs(camera - 90))
        shown = faces.table.iloc[test].assign(row=test, placement=faces.placements[test])
        own = shown["expression"] == ("neutral" if self.wanted != ("neutral",) else "happy")
        seen = shown["gaze"] == "frontal"
        other = ~shown["expression"].isin(self.wanted) if len(self.wanted) == 1 else own | True
        # Not every folder has neutral faces that look ahead.
        shown = next((shown[these] for these in (own & seen, own, other & seen, other) if these.any()), shown[:0])
        placements = list(dict.fromkeys(shown["placement"]))
        chosen: list[int] = []
        for index, (_, mine) in enumerate(shown.groupby("identity", sort=True)):
            turn, number = divmod(index, len(placements))
            wanted = (mine["camera"] == cameras[turn % len(cameras)]) & (mine["placement"] == placements[number])
            chosen += [int(row) for row in mine["row"][wanted][:1]]
        return (chosen or [int(row) for row in shown.groupby("identity", sort=True)["row"].first()])[: self.gallery]

    @staticmethod
    def _reference(table: pd.DataFrame, candidates: np.ndarray, identity: str, seed: int, target: str) -> int:
        """Return a test picture of another identity with the target expression, drawn with the pair's own seed."""
        others = candidates[(table["identity"].iloc[candidates] != identity).to_numpy()]
        if not len(others):
            raise UserError(f"no second test identity shows '{target}', so there is no reference for {identity}")
        return int(others[np.random.default_rng(seed).integers(len(others))])


GALLERY = 4
"""Faces shown in the figures for each row."""
TARGET_GALLERY = 9
"""The same for a suite of few targets, where a face is a column: three placements by three cameras."""


def edit_lists(subset: Subset, targets_per_source: int | None, targets: tuple[str, ...]) -> tuple[EditList, EditList]:
    """Return the protocol's edits of a subset: those that are measured, and those that are shown."""
    shown = TARGET_GALLERY if targets else GALLERY
    return (
        EditList(subset, EDIT_SEED, targets_per_source, targets=targets),
        EditList(subset, EDIT_SEED, gallery=shown, targets=targets),
    )


def why_no_edits(faces: FaceSet, subset: Subset) -> str:
    """Return why a subset cannot be trained on, or edited by label and by reference; "" where it can.

    Call it before any long work.
    """
    table = faces.table
    for split in ("train", "test"):
        rows = table.iloc[faces.rows(subset, split)]
        people = rows.groupby("expression")["identity"].nunique()
        if rows["identity"].nunique() < 2:
            count = rows["identity"].nunique()
            who = f"1 {split} person has" if count == 1 else f"{count} {split} people have"
            return f"{who} pictures of subset {subset}, and two are needed"
        if len(people) < 2:
            return f"all {split} pictures of subset {subset} show {people.index[0]}, and two expressions are needed"
        if split == "test" and people.min() < 2:
            return (
                f"of subset {subset} only one test person shows {people.idxmin()}, and an edit to it is told by a "
                "picture of another person"
            )
    return ""


def pair_seed(seed: int, face_id: str, target: str) -> int:
    """Return 63 bits that depend only on the run's seed, the source and the target."""
    digest = hashlib.sha256(f"{seed}|{face_id}|{target}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def list_key(edits: pd.DataFrame, face_ids: pd.Series[str]) -> str:
    """Return the SHA-256 of the edits of a list, independent of the file format."""
    digest = hashlib.sha256()
    references = face_ids.iloc[edits["reference"].to_numpy()]
    for row in zip(edits["source_id"], edits["target"], references, edits["seed"], strict=True):
        digest.update(("|".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()
