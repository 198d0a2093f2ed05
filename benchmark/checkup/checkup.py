"""Check a data set: counts, split, faces, and what every suite can measure on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from benchmark.config.loading import names
from benchmark.config.profiles import Profile
from benchmark.config.suites import SUITES, load_suite
from benchmark.core.artifacts import Artifact
from benchmark.core.errors import UserError
from benchmark.core.paths import readable
from benchmark.data.faceset import FaceSet
from benchmark.data.photos.index import BY_NAME, SetAside
from benchmark.data.photos.set_aside import ASIDE, aside_table, read_aside
from benchmark.data.photos.source import Photographs
from benchmark.data.photos.stand_ins import ORDER
from benchmark.data.source import DataSource
from benchmark.metrics.features import FLOOR
from benchmark.pipeline.requirements import RowChecks, SourceFaces
from benchmark.protocol import CAMERAS, EXPRESSIONS, GAZES, SUBSET_CAMERAS, SUBSETS

Kind = Literal["expression", "camera", "gaze"]
PLANNED: dict[Kind, tuple[Any, ...]] = {"expression": EXPRESSIONS, "camera": CAMERAS, "gaze": GAZES}
SURE = frozenset({"dlib", "OpenFace", "the table", "the renderer"})
"""Sources of landmarks that were found in that very picture."""


@dataclass(frozen=True)
class SuiteState:
    """What a suite can measure. missing: by row label and subset, why it cannot be measured."""

    name: str
    rows: int
    missing: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CheckUp:
    """The result of a check-up.

    counts: pictures by kind and value; people: pictures by person; fullest: the most that a person has; incomplete:
    people with fewer, and how many they have. not_found: by picture whose face was not detected, the source of its
    landmarks. aside: the table of files that were set aside.
    """

    description: str
    folder: str
    pictures: int
    size: int
    counts: Mapping[Kind, Mapping[str, int]]
    train: tuple[str, ...]
    test: tuple[str, ...]
    people: Mapping[str, int]
    fullest: int
    incomplete: Mapping[str, int]
    not_found: Mapping[str, str]
    facts: Mapping[str, Any]
    aside: pd.DataFrame
    suites: tuple[SuiteState, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        plain = {name: value for name, value in vars(self).items() if name not in {"aside", "suites", "facts"}}
        of_photographs = ("left_out", "others", "landmarks_by", "units_by", "turned", "useless", "notes")
        return {
            **plain,
            **{name: self.facts[name] for name in of_photographs if name in self.facts},
            "aside": {reason: int((self.aside["reason"] == reason).sum()) for reason in self.aside["reason"].unique()},
            "set_aside": self.aside.to_dict("records"),
            "suites": {suite.name: {**vars(suite)} for suite in self.suites},
        }


def check_up(source: DataSource, prepared: Artifact, profile: Profile) -> CheckUp:
    """Check a prepared data set."""
    faces = FaceSet.load(prepared.folder)
    table = faces.table
    facts = {name: value for name, value in prepared.manifest.facts.items() if value is not None}
    if isinstance(source, Photographs):  # counted again: other files are no part of a prepared set's key
        facts |= {"left_out": dict(source.index.left_out), "others": source.index.others}
    per_person = table.groupby("identity").size()
    fullest = int(per_person.max())
    counts: dict[Kind, dict[str, int]] = {}
    for kind, planned in PLANNED.items():
        present = table[kind].value_counts()
        labels = {value: f"{value:03d}" if kind == "camera" else str(value) for value in planned}
        counts[kind] = {label: int(present.get(value, 0)) for value, label in labels.items()}
    return CheckUp(
        description=facts["description"],
        folder=readable(source.folder) if source.folder else "the repository",
        pictures=len(table),
        size=faces.size,
        counts=counts,
        train=tuple(faces.identities("train")),
        test=tuple(faces.identities("test")),
        people={str(name): int(count) for name, count in per_person.items()},
        fullest=fullest,
        incomplete={str(name): int(count) for name, count in per_person.items() if count < fullest},
        not_found=_not_found(table),
        facts=facts,
        aside=_aside(source, prepared.folder),
        suites=tuple(_suite(name, source, faces, profile) for name in names(SUITES)),
    )


def _aside(source: DataSource, folder: Path) -> pd.DataFrame:
    """Return the table of files set aside: by name as the folder is now, by content as it was when prepared."""
    if not isinstance(source, Photographs):
        return aside_table([])
    rows: list[Any] = read_aside(folder / ASIDE).to_dict("records")
    by_content = [SetAside(**row) for row in rows if row["reason"] not in BY_NAME]
    return aside_table([*source.index.aside, *by_content])


def _not_found(table: pd.DataFrame) -> dict[str, str]:
    """Return the source of the landmarks of each file whose face was not detected."""
    if "landmarks_by" not in table or (table["landmarks_by"] == ORDER[-1]).all():
        return {}
    lost = table[~table["landmarks_by"].isin(SURE)]
    return {str(file): str(by) for file, by in zip(lost["file"], lost["landmarks_by"], strict=True)}


def _suite(name: str, source: DataSource, faces: FaceSet, profile: Profile) -> SuiteState:
    suite = load_suite(name)
    missing: dict[str, str] = {}
    trained = SourceFaces(source, faces)
    try:
        edited = SourceFaces(source.uncropped(), None) if suite.faces == "nonaligned" else trained
    except UserError as error:
        return SuiteState(name, len(suite.rows), {f"{row.label} ({row.data})": str(error) for row in suite.rows}, ())
    checks = RowChecks(suite, profile, trained, edited)
    for row in suite.rows:
        if why := checks.reason(row):
            missing[f"{row.label} ({row.data})"] = why
    warnings = []
    for subset in SUBSETS:
        if not any(row.data == subset for row in suite.rows):
            continue
        test = faces.rows(subset, "test")
        if len(test) < FLOOR:
            measured = "measured all the same" if profile.allow_small else "left out (--allow-small measures it)"
            warnings.append(
                f"{subset}: {len(test)} real test pictures, and Fréchet distances want {FLOOR}: {measured} in profile "
                f"{profile.name}"
            )
        shown = set(faces.table["expression"].iloc[test])
        lost = [expression for expression in EXPRESSIONS if expression not in shown]
        if lost and len(test):
            warnings.append(f"{subset}: no test picture shows {', '.join(lost)}: no edit to it, no reference for it")
        cameras = set(faces.table["camera"].iloc[test])
        absent = [camera for camera in SUBSET_CAMERAS[subset] if camera not in cameras]
        if absent and len(test):
            warnings.append(f"{subset}: no picture of camera {', '.join(f'{camera:03d}' for camera in absent)}")
    return SuiteState(name, len(suite.rows), missing, tuple(warnings))
