"""Why a row of a suite cannot be measured: annotations that its method needs, and too few pictures.

Checks that need no pictures run before these are prepared, the others before any training.
"""

from __future__ import annotations

import warnings
from collections.abc import Set
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from benchmark.config.profiles import Profile
from benchmark.config.suites import Suite, SuiteRow
from benchmark.core.errors import UserError, nearest
from benchmark.core.source_code import error_line
from benchmark.data.edit_lists import edit_lists, why_no_edits
from benchmark.data.faceset import FaceSet
from benchmark.data.source import DataSource
from benchmark.data.split import lowest_ranked
from benchmark.interface import Method, Shape
from benchmark.pipeline.request import PlanRequest
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS, KNOWLEDGE, Knowledge, Subset
from benchmark.stages.checkpoints import LARGEST_MODEL, few_modules, model_bytes
from benchmark.training.precision import check_precision
from benchmark.training.registry import METHODS, find_method, is_known, known_methods
from benchmark.training.row_settings import row_settings


@dataclass(frozen=True)
class SourceFaces:
    """A data set, and its faces where they are prepared."""

    source: DataSource
    faces: FaceSet | None


def check_request(request: PlanRequest) -> None:
    """Check a request without its pictures. Raises UserError.

    Errors are a missing package, wrong settings of a method, no row that can be measured, and a file that is no network
    of pictures.
    """
    request.source.check()
    profile, rows = request.profile, request.suite.rows
    check_precision(profile.precision, request.device)
    reasons = [why_missing(row, request.source) or why_missing(row, request.edited) for row in rows]
    if all(reasons):
        raise no_row(request, reasons[0])
    for name in {*profile.overrides}:
        if name in METHODS or name in {row.method for row in rows}:
            row_settings(name, profile, {})
    for row, reason in zip(rows, reasons, strict=True):
        if not reason and row.id not in request.checkpoints:
            _check_networks(row, profile)
    for network in request.networks:
        network.open(request.device)


def _check_networks(row: SuiteRow, profile: Profile) -> None:
    """Raise UserError where no network or optimiser can have the settings of a row; they are built without memory."""
    settings = row_settings(row.method, profile, row.variant)
    try:
        with torch.device("meta"), few_modules(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of layers without channels, which are refused below
            model = find_method(row.method)(settings, Shape(profile.size, len(EXPRESSIONS), len(ACTION_UNITS)))
            model.optimizers()
    except UserError as error:
        raise UserError(f"row {row.id}: {error}") from error
    except Exception as error:  # settings that no network can have stop its constructor anywhere
        raise UserError(
            f"row {row.id}: no training of {row.method} can have its settings ({error_line(error)})"
        ) from error
    if empty := next((name for name, value in model.named_parameters() if not value.numel()), ""):
        raise UserError(f"row {row.id}: {row.method} cannot be so narrow: '{empty}' would hold no number")
    if (size := model_bytes(model)) > LARGEST_MODEL:
        raise UserError(f"row {row.id}: networks of its settings would need {size / 2**30:,.0f} GB")


def no_row(request: PlanRequest, reason: str) -> UserError:
    """Return the error for a suite without a row that can be measured. reason: of the first row."""
    first = request.suite.rows[0]
    hint = "; python -m benchmark.prepare says what a data set has" if request.source.folder is not None else ""
    return UserError(
        f"no row of suite {request.suite.name} can be measured, the first ({first.label}, {first.data}) since "
        f"{reason}{hint}"
    )


class RowChecks:
    """Why rows of a suite cannot be measured.

    trained, edited: the faces to train on and to edit, one object where they are the same.
    """

    def __init__(self, suite: Suite, profile: Profile, trained: SourceFaces, edited: SourceFaces) -> None:
        self._suite, self._profile, self._trained, self._edited = suite, profile, trained, edited
        self._no_edits = cache(self._why_no_edits)

    def reason(self, row: SuiteRow) -> str:
        """Return why a row cannot be measured, or "". Wrong settings of a method that exists are an error instead."""
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
    """Return why a row cannot be measured whatever the pictures are, or ""."""
    if not is_known(row.method):
        return f"the method '{row.method}' is not in this version{nearest(row.method, known_methods())}"
    method = find_method(row.method)
    if row.guide not in method.guides:
        return f"'{row.method}' has no {row.guide} guide"
    if row.data not in method.subsets:
        return f"'{row.method}' is for {' and '.join(sorted(method.subsets))} faces only"
    unknown = [KNOWLEDGE[name] for name in sorted(method.needs - source.knows)]
    return f"'{row.method}' needs {' and '.join(unknown)}, and {source.name} has none" if unknown else ""


def _unknown(method: type[Method], needs: Set[Knowledge], faces: FaceSet, rows: np.ndarray, used: str) -> str:
    for name in sorted(needs):
        known = faces.units if name == "units" else faces.landmarks
        count = int(np.isnan(known[rows]).reshape(len(rows), -1).any(1).sum())
        if count:
            needed = f"{method.__name__} needs the {KNOWLEDGE[name]} of every face that is {used}"
            return f"{needed}, and {count} of {len(rows)} pictures have none"
    return ""
