"""Why a row of a suite is left out: what its method lacks, and what a data set's pictures are not enough for.

What is known without looking at pictures is said at once; the rest when they are prepared, and before any training.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmark.config.profiles import Profile
from benchmark.config.suites import Suite, SuiteRow
from benchmark.core.errors import UserError
from benchmark.data.edit_lists import edit_lists, why_no_edits
from benchmark.data.faceset import FaceSet
from benchmark.data.source import DataSource
from benchmark.data.split import lowest_ranked
from benchmark.interface import Method
from benchmark.protocol import KNOWLEDGE, Knowledge, Subset
from benchmark.training.registry import find_method, is_known


@dataclass(frozen=True)
class Pictures:
    """A data set, and its faces where they are prepared."""

    source: DataSource
    faces: FaceSet | None


class Gaps:
    """What a suite's rows lack. trained: the faces that are trained on; edited: those that are edited, the same object
    where they are the same.
    """

    def __init__(self, suite: Suite, profile: Profile, trained: Pictures, edited: Pictures) -> None:
        self._suite, self._profile, self._trained, self._edited = suite, profile, trained, edited
        self._no_edits = cache(self._why_no_edits)

    def why(self, row: SuiteRow) -> str:
        """Why a row can't be measured, or ""; wrong settings of a method that is there are errors, not gaps."""
        return (
            why_missing(row, self._trained.source)
            or why_missing(row, self._edited.source)
            or self._why_no_training(row)
            or self._no_edits(row.data)
            or self._why_no_edit_of_its_own(row)
        )

    def _why_no_training(self, row: SuiteRow) -> str:
        faces = self._trained.faces
        if faces is None:
            return ""
        if why := why_no_edits(faces, row.data):
            return why
        people = lowest_ranked(faces.identities("train"), self._profile.train_identities)
        rows = faces.rows(row.data, "train", people)
        if not len(rows):
            return f"no picture of subset {row.data} shows one of those who are trained on ({', '.join(people)})"
        method = find_method(row.method)
        return _unknown(method, method.needs, faces, rows, "trained on")

    def _why_no_edits(self, subset: Subset) -> str:
        faces = self._edited.faces
        if faces is None:
            return ""
        where = "of the non-aligned pictures, " if self._edited is not self._trained else ""
        try:
            for edits in edit_lists(subset, self._profile.targets_per_source, self._suite.targets):
                edits.make(faces)
        except UserError as error:
            return f"{where}{error}"
        return ""

    def _why_no_edit_of_its_own(self, row: SuiteRow) -> str:
        faces, method = self._edited.faces, find_method(row.method)
        if faces is None:
            return ""
        read: set[Knowledge] = set(method.source_needs)
        if row.guide == "R" and method.reference == "units":
            read.add("units")
        return _unknown(method, read, faces, faces.rows(row.data, "test"), "edited")


def why_missing(row: SuiteRow, source: DataSource) -> str:
    """What is known of a row without a look at the pictures."""
    if not is_known(row.method):
        return f"the method '{row.method}' is not in this version"
    method = find_method(row.method)
    if row.guide not in method.guides:
        return f"'{row.method}' has no {row.guide} guide"
    if row.data not in method.subsets:
        return f"'{row.method}' is for {' and '.join(sorted(method.subsets))} faces only"
    unknown = [KNOWLEDGE[what] for what in sorted(method.needs - source.knows)]
    return f"'{row.method}' needs {' and '.join(unknown)}, and {source.name} has none" if unknown else ""


def _unknown(method: type[Method], needs: Set[Knowledge], faces: FaceSet, rows: np.ndarray, used: str) -> str:
    for what in sorted(needs):
        known = faces.units if what == "units" else faces.landmarks
        count = int(np.isnan(known[rows]).reshape(len(rows), -1).any(1).sum())
        if count:
            needed = f"{method.__name__} needs the {KNOWLEDGE[what]} of every face that is {used}"
            return f"{needed}, and {count} of {len(rows)} pictures have none"
    return ""
