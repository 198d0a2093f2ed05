"""Stored results: what `regress --store` writes and `regress --against` compares with.

A reference is a JSON file and, beside it, a folder of the same name with the weights that edits are made with.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import field
from pathlib import Path
from typing import Literal, get_args

from pydantic.dataclasses import dataclass

from benchmark.core.errors import UserError, quoted, unknown
from benchmark.core.files import fault_of
from benchmark.core.models import STRICT, parse_json, read_json
from benchmark.gate.machine import Machine
from benchmark.metrics.metric import Direction, Per

Schema = Literal[1]
SCHEMA: Schema = get_args(Schema)[0]
STORED = Path("results") / "reference"
_LIST = re.compile(r"\[\s+([^\[\]{}\"]*?)\s+\]")
Numbers = dict[str, dict[str, list[float | None]]]
"""Of a probe: by training or row and by name, a list of numbers."""
EDITS = "edits"
"""The name of the colours of edits among the numbers of a row."""
PHOTOGRAPHS = "photographs"
"""That of the colours of photographs that were edited."""
FEATURES = "features"
"""That of the projections of true pictures' features."""


@dataclass(frozen=True, config=STRICT)
class StoredMetric:
    """A metric as it was measured."""

    label: str
    direction: Direction
    per: Per
    unit: str
    decimals: int
    version: int
    judged: bool
    """Whether it reads the judge or the reader, which are other trainings."""


@dataclass(frozen=True, config=STRICT)
class SeedRun:
    """The suite run with one training seed and one seed of the judge."""

    judge_seed: int
    rows: dict[str, dict[str, float | None]]
    """Metrics by row."""
    judges: dict[str, float]
    """Accuracy on real test pictures, by subset."""
    edits: dict[str, int]
    """Number of edits by row."""
    failed: dict[str, list[str]] = field(default_factory=dict)
    """By row, how its training failed by its own measure."""
    keys: dict[str, str] = field(default_factory=dict)
    """Content keys of the stages, by name, in their order."""
    contents: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what each stage made."""


@dataclass(frozen=True, config=STRICT)
class Probe:
    """Numbers that hardly depend on the processor, and by how much they do."""

    kernels: list[str]
    """The kernels that they were computed with; the first gave `values`."""
    values: Numbers
    spread: Numbers
    """Largest differences from `values` over all kernels."""
    versions: dict[str, list[str]]
    """By training or row, the versions of what computed it; where one was raised there is nothing to compare."""


@dataclass(frozen=True, config=STRICT)
class Reference:
    """Stored results of a suite."""

    name: str
    suite: str
    """Its name or path, as it was given."""
    profile: str
    data: str
    features: str
    """Name of the feature extractor."""
    identity: str
    """SHA-256 of its weights."""
    machine: Machine
    commit: str
    code: str
    """Digest of this project's code."""
    metrics: dict[str, StoredMetric]
    edits_keys: dict[str, str]
    """By row, SHA-256 of the list of edits."""
    prepared: str
    """Content key of the prepared faces."""
    runs: dict[int, SeedRun]
    """By training seed; with fewer than two the probes alone decide."""
    losses: Probe
    scores: Probe
    gated: list[str] = field(default_factory=list)
    """Metrics of which a worsening is a regression, declared when they were stored; all if none is named."""
    edits: dict[str, int] = field(default_factory=dict)
    """Number of edits by row."""
    weights: dict[str, str] = field(default_factory=dict)
    """By row, the file of its weights in the folder beside."""
    schema: Schema = SCHEMA

    def dump(self) -> str:
        """The text of the file: sorted keys, runs and series in one line each."""
        return (
            json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )

    def values(self, row: str, metric: str) -> list[float]:
        """The metric of a row over the seeds that have it."""
        values = (run.rows.get(row, {}).get(metric) for run in self.runs.values())
        return [value for value in values if value is not None]


def find_reference(path: Path) -> Path:
    """The file of stored results at a path: itself, or that of a folder of weights, or the only one in a folder.

    Raises UserError where there is none, or several.
    """
    if not path.is_dir():
        return path
    beside = path.with_name(f"{path.name}.json")
    inside = [beside] if beside.is_file() else sorted(path.glob("*.json"))
    if len(inside) != 1:
        names = ", ".join(file.name for file in inside[:5])
        raise UserError(f"--against {path} holds {f'several: {names}; name one' if inside else 'no stored results'}")
    return inside[0]


def load_reference(path: Path) -> Reference:
    """Read a reference. Raises UserError in one line for whatever is wrong with it."""
    if fault := fault_of(path):
        raise UserError(f"--against {path} cannot be read (it {fault}): regress --store NAME writes one")
    text, content = read_json(path, "--against")
    if isinstance(content, dict) and "runs" not in content and "rows" in content:
        raise UserError(f"{path} is the results of a run, not stored results: regress --store NAME makes these")
    if isinstance(content, dict) and content.get("schema", SCHEMA) != SCHEMA:
        raise UserError(
            f"{path} has schema {quoted(content.get('schema'))} and this version reads {SCHEMA}: store it again"
        )
    reference = parse_json(Reference, text, path)
    for name in reference.gated:
        if name not in reference.metrics:
            raise UserError(f"{path}: gated has {unknown('metric', name, reference.metrics)}")
    if wrong := [name for name in reference.weights.values() if Path(name).name != name]:
        raise UserError(f"{path}: weights has {quoted(wrong[0])}, which is no name of a file in the folder beside")
    return reference


def weights_folder(path: Path) -> Path:
    """The folder of weights beside a reference."""
    return path.with_suffix("")
