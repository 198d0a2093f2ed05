"""Suites and profiles: YAML files, read and checked. Nothing here imports a method.

A suite says which rows a table has, a profile how much of everything is spent on them. Both are found by name in
`suites/` and `profiles/`, or given as the path of a YAML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

import yaml

from benchmark.config.precision import DEFAULT, Precision
from benchmark.core.errors import UserError, did_you_mean, unknown
from benchmark.protocol import EXPRESSIONS, GUIDES, SUBSETS, Guide, Subset
from benchmark.settings import make_settings

HERE = Path(__file__).parent
FULL_BUDGET = "paper"
"""The profile that trains and measures as published."""
V = TypeVar("V")


@dataclass(frozen=True)
class SuiteRow:
    """A row: which method, which of its variants (settings in place of its defaults), how guided, on which faces.

    extended: not in the main table, only in the extended ones. note: printed under the tables, or "".
    """

    id: str
    label: str
    method: str
    guide: Guide
    data: Subset
    variant: Mapping[str, Any] = field(default_factory=dict)
    extended: bool = False
    note: str = ""


SuiteFigure = Literal["ablation"]
"""Figures that a suite may ask for beside those that all have."""
FacesKind = Literal["aligned", "nonaligned"]


@dataclass(frozen=True)
class Suite:
    """The rows of a table, in its order. `paper` is the stem of the published table in results/paper, or "".

    ladder: the rows are meant to be read as steps, and a table says what each changes. figure: one more, or None.
    faces: which pictures are edited and compared with; models and the judge are trained on aligned ones, whichever.
    targets: the expressions edited to, in the order of `EXPRESSIONS`; all where it is empty.
    """

    name: str
    title: str
    rows: tuple[SuiteRow, ...]
    paper: str = ""
    ladder: bool = False
    figure: SuiteFigure | None = None
    faces: FacesKind = "aligned"
    targets: tuple[str, ...] = ()

    def only(self, methods: list[str]) -> Suite:
        """The rows of `methods`. Raises UserError for a method that no row has."""
        known = {row.method for row in self.rows}
        for method in methods:
            if method not in known:
                raise unknown("method", method, known, f"in suite {self.name}")
        return replace(self, rows=tuple(row for row in self.rows if row.method in methods))


@dataclass(frozen=True)
class Overrides:
    """Settings of one method that a profile changes, and why."""

    why: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Profile:
    """How much is spent. Everything that is None is the method's or the protocol's own."""

    name: str
    title: str
    notice: str
    size: int
    width: float
    features: Literal["inception", "efficientnet-lite0"]
    judge_epochs: int
    iterations: Mapping[str, int]
    checkpoint_every: int
    log_every: int
    train_identities: int | None = None
    targets_per_source: int | None = None
    allow_small: bool = False
    precision: Precision = DEFAULT
    overrides: Mapping[str, Overrides] = field(default_factory=dict)

    def iterations_of(self, method: str) -> int:
        """Training iterations of a method ("default" for one that is not named)."""
        return self.iterations.get(method, self.iterations["default"])


@dataclass(frozen=True)
class _FlatProfile:
    """The fields of a profile that are plain values; `make_settings` checks their types."""

    title: str
    notice: str
    size: int
    width: float
    features: Literal["inception", "efficientnet-lite0"]
    judge_epochs: int
    checkpoint_every: int
    log_every: int
    allow_small: bool = False
    precision: Precision = DEFAULT


def features_for(profile: str, stated: str, asked: str | None) -> str:
    """The feature extractor: the one asked for, else the one that `profile` states. Raises UserError where the profile
    takes no other than the published one.
    """
    features = asked or stated
    if profile == FULL_BUDGET and features != "inception":
        raise UserError(f"profile {FULL_BUDGET} measures FID as published: it takes no other features than inception")
    return features


def names(kind: Literal["suites", "profiles"]) -> list[str]:
    """The names in the house."""
    return sorted(path.stem for path in (HERE / kind).glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """The suite of that name or path. Raises UserError, naming file and field, for whatever is wrong in it."""
    path = _find("suite", "suites", name)
    data = _mapping(_read(path), str(path))
    _only(data, {"title", "rows", "paper", "ladder", "figure", "faces", "targets"}, str(path))
    rows = _need(data, "rows", list, str(path))
    if not rows:
        raise UserError(f"{path}: 'rows' is empty")
    suite = Suite(
        path.stem,
        _need(data, "title", str, str(path)),
        tuple(_row(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)),
        data.get("paper", ""),
        _optional(data, "ladder", False, str(path)),
        _figure(data.get("figure"), str(path)),
        _faces(data.get("faces", "aligned"), str(path)),
        _targets(data["targets"], str(path)) if "targets" in data else (),
    )
    identifiers = [row.id for row in suite.rows]
    twice = {name for name in identifiers if identifiers.count(name) > 1}
    if twice:
        raise UserError(f"{path}: row id '{min(twice)}' is used twice")
    if all(row.extended for row in suite.rows):
        raise UserError(f"{path}: every row is 'extended', so the main table has none")
    return suite


def load_profile(name: str) -> Profile:
    """The profile of that name or path. Raises UserError, naming file and field, for whatever is wrong in it."""
    path = _find("profile", "profiles", name)
    data = _mapping(_read(path), str(path))
    iterations = _mapping(data.pop("iterations", None), f"{path}: iterations")
    if "default" not in iterations:
        raise UserError(f"{path}: iterations needs a 'default'")
    for method, count in iterations.items():
        _positive(count, f"{path}: iterations of {method}")
    limits = {key: data.pop(key, None) for key in ("train_identities", "targets_per_source")}
    for key, value in limits.items():
        if value is not None:
            _positive(value, f"{path}: {key}")
    overrides = {}
    for method, entry in _mapping(data.pop("overrides", None) or {}, f"{path}: overrides").items():
        where = f"{path}: overrides of {method}"
        entry = _mapping(entry, where)
        _only(entry, {"why", "settings"}, where)
        overrides[method] = Overrides(_need(entry, "why", str, where), _mapping(entry.get("settings"), where))
    missing = {"title", "notice", "size", "width", "features", "judge_epochs", "checkpoint_every", "log_every"} - set(
        data
    )
    if missing:
        raise UserError(f"{path}: '{min(missing)}' is missing")
    flat = make_settings(_FlatProfile, data, str(path))
    for key in ("size", "judge_epochs", "checkpoint_every", "log_every"):
        _positive(getattr(flat, key), f"{path}: {key}")
    if not 0 < flat.width <= 1:
        raise UserError(f"{path}: width must lie in (0, 1], not {flat.width}")
    if flat.size < 32 or flat.size & (flat.size - 1):
        raise UserError(f"{path}: size must be a power of two, 32 at least, not {flat.size}")
    return Profile(path.stem, iterations=iterations, overrides=overrides, **limits, **vars(flat))


def _row(data: Any, where: str) -> SuiteRow:
    row = _mapping(data, where)
    _only(row, {"id", "label", "method", "guide", "data", "variant", "extended", "note"}, where)
    guide, subset = _need(row, "guide", str, where), _need(row, "data", str, where)
    if guide not in GUIDES:
        raise UserError(f"{where}: guide must be T or R, not '{guide}'")
    if subset not in SUBSETS:
        raise UserError(f"{where}: data must be F or F&P, not '{subset}'")
    return SuiteRow(
        _need(row, "id", str, where),
        _need(row, "label", str, where),
        _need(row, "method", str, where),
        cast(Guide, guide),
        cast(Subset, subset),
        _mapping(row.get("variant") or {}, f"{where}: variant"),
        _optional(row, "extended", False, where),
        _optional(row, "note", "", where),
    )


def _figure(value: Any, where: str) -> SuiteFigure | None:
    if value is not None and value not in get_args(SuiteFigure):
        raise UserError(f"{where}: figure must be {' or '.join(get_args(SuiteFigure))}, not {value!r}")
    return cast("SuiteFigure | None", value)


def _faces(value: Any, where: str) -> FacesKind:
    if value not in get_args(FacesKind):
        raise UserError(f"{where}: faces must be {' or '.join(get_args(FacesKind))}, not {value!r}")
    return cast("FacesKind", value)


def _targets(value: Any, where: str) -> tuple[str, ...]:
    """In the order of `EXPRESSIONS`; none where they are all."""
    if not isinstance(value, list) or not value:
        raise UserError(f"{where}: targets must be a list of expressions, not {value!r}")
    for name in value:
        if name not in EXPRESSIONS:
            raise unknown("expression", str(name), EXPRESSIONS, f"in the targets of {where}")
        if value.count(name) > 1:
            raise UserError(f"{where}: target '{name}' is named twice")
    return tuple(name for name in EXPRESSIONS if name in value) if len(value) < len(EXPRESSIONS) else ()


def _find(kind: str, folder: Literal["suites", "profiles"], name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UserError(f"{kind} file {name} does not exist")
        return path
    path = HERE / folder / f"{name}.yaml"
    if name not in names(folder):
        raise unknown(kind, name, names(folder))
    return path


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{where}: a mapping of names to values is needed, not {value!r}")
    return dict(value)


def _only(data: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise UserError(f"{where}: no field '{key}'{did_you_mean(key, known)}")


def _need(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    if key not in data:
        raise UserError(f"{where}: '{key}' is missing")
    if not isinstance(data[key], kind):
        raise UserError(f"{where}: '{key}' must be of type {kind.__name__}, not {data[key]!r}")
    return data[key]


def _optional(data: Mapping[str, Any], key: str, default: V, where: str) -> V:
    """The value of a field that may be left out, of the type of its default."""
    return cast(V, _need(data, key, type(default), where)) if key in data else default


def _positive(value: Any, where: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{where} must be a whole number of at least 1, not {value!r}")
