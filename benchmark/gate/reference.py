"""Stored results: what `regress --store` writes and `regress --against` compares with.

A reference is a JSON file and a folder of the same name beside it, which holds the weights for editing.
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
"""Series of a probe: a list of numbers by training or row, then by name."""
EDITS = "edits"
"""The name of the colours of edits among the numbers of a row."""
PHOTOGRAPHS = "photographs"
"""The name of the colours of edited photographs."""
FEATURES = "features"
"""The name of the projected features of true pictures."""


@dataclass(frozen=True, config=STRICT)
class StoredMetric:
    """A metric as it was described when it was measured."""

    label: str
    direction: Direction
    per: Per
    unit: str
    decimals: int
    version: int
    judged: bool
    """Whether it depends on the judge or the reader, which are trained."""


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
    """SHA-256 of the files and facts of each stage, by its name; empty if they cannot be compared."""


@dataclass(frozen=True, config=STRICT)
class Probe:
    """Numbers that hardly depend on the processor, with their spread over kernels."""

    kernels: list[str]
    """The kernels that they were computed with; `values` are those of the first."""
    values: Numbers
    spread: Numbers
    """Largest differences from `values` over all kernels."""
    versions: dict[str, list[str]]
    """By training or row, the versions of the code that computed it; other versions are not comparable."""


@dataclass(frozen=True, config=STRICT)
class Reference:
    """Stored results of a suite."""

    name: str
    suite: str
    """Name or path of the suite, as given."""
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
    """By training seed; with fewer than two, only the probes decide."""
    losses: Probe
    scores: Probe
    gated: list[str] = field(default_factory=list)
    """Keys of the metrics that can regress, declared when they were stored; empty for all."""
    edits: dict[str, int] = field(default_factory=dict)
    """Number of edits by row."""
    weights: dict[str, str] = field(default_factory=dict)
    """By row, the name of its file of weights in the folder beside."""
    schema: Schema = SCHEMA

    def dump(self) -> str:
        """Return the text of the JSON file, with sorted keys."""
        return (
            json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )

    def values(self, row: str, metric: str) -> list[float]:
        """Return a metric of a row for all seeds that have it."""
        values = (run.rows.get(row, {}).get(metric) for run in self.runs.values())
        return [value for value in values if value is not None]


def find_reference(path: Path) -> Path:
    """Return the file of stored results at a path: itself, the file beside a folder of weights, or the only one inside.

    Raises UserError if there is none, or more than one.
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
    """Read a reference. Raises UserError, in one line, if it cannot be read or is not valid."""
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
    """Return the folder of weights beside a reference."""
    return path.with_suffix("")
