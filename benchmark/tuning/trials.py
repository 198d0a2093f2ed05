"""The trials of a tuning: settings drawn up front from a space, the same number of the same length for every method."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.config.profiles import Profile
from benchmark.config.spaces import MethodSpace, Space
from benchmark.config.suites import LONGEST_TITLE, MOST_ITERATIONS, Suite, SuiteRow
from benchmark.core.errors import UserError, quoted
from benchmark.settings import documented
from benchmark.training.registry import find_method
from benchmark.training.row_settings import row_settings

Kind = Literal["published", "profile", "drawn"]
MOST = 99
FIXED = 2
"""Trials that are not drawn: the published values, and the profile's."""


@dataclass(frozen=True)
class Trial:
    """One training. settings: those of the space; all others are the profile's."""

    method: str
    number: int
    kind: Kind
    settings: Mapping[str, Any]
    iterations: int

    @property
    def name(self) -> str:
        """Return the name of the trial, such as `mtss-03`."""
        return f"{self.method.rpartition(':')[2].lower()}-{self.number:02d}"


@dataclass(frozen=True)
class Tuning:
    """The trials and their rows. seconds: declared length of each trial on one core. rows: of each method, those by
    which its trials are measured.
    """

    suite: Suite
    profile: Profile
    space: Space
    seconds: float
    trials: tuple[Trial, ...]
    rows: Mapping[str, tuple[SuiteRow, ...]]

    def of_method(self, method: str) -> list[Trial]:
        """Return the trials of a method in order."""
        return [trial for trial in self.trials if trial.method == method]


def plan_tuning(
    suite: Suite, profile: Profile, space: Space, trials: int, share: float, seed: int, methods: Sequence[str] | None
) -> Tuning:
    """Draw all trials. methods: of the suite; None for all that it names.

    share: length of a trial as a share of the mean length of the profile's trainings, by the space's declared costs.
    Raises UserError for a method that the suite or the space does not have, for a setting that no training can have,
    and for fewer trials than two or more than `MOST`.
    """
    if trials < FIXED:
        raise UserError(
            f"--trials must be at least {FIXED} (the published values and the profile's), not {quoted(trials)}"
        )
    if trials > MOST:
        raise UserError(f"--trials must be at most {MOST}, not {quoted(trials)}")
    if not 0 < share <= 1:
        raise UserError(f"--share must be above 0 and at most 1, not {share:g}")
    chosen = suite.only(list(methods)) if methods is not None else suite
    names = list(dict.fromkeys(row.method for row in chosen.rows))
    of_suite = list(dict.fromkeys(row.method for row in suite.rows))
    for name in of_suite:
        if name not in space.methods:
            raise UserError(f"space {space.name} says nothing of method {quoted(name)}")
    # Over all methods of the suite, so that a call for some of them makes the same trials.
    lengths = [profile.iterations_of(name) * space.methods[name].seconds_per_iteration for name in of_suite]
    seconds = share * sum(lengths) / len(lengths)
    drawn = [trial for name in names for trial in _trials(name, profile, space.methods[name], trials, seconds, seed)]
    return Tuning(suite, profile, space, seconds, tuple(drawn), {name: _measured(chosen, name) for name in names})


def _measured(suite: Suite, method: str) -> tuple[SuiteRow, ...]:
    """Return the rows of a method as it is, on the first subset that it has rows of."""
    rows = [row for row in suite.rows if row.method == method and not row.variant]
    if not rows:
        raise UserError(f"suite {suite.name} has no row of method {quoted(method)} without a variant")
    return tuple(row for row in rows if row.data == rows[0].data)


def _trials(
    method: str, profile: Profile, space: MethodSpace, count: int, seconds: float, seed: int
) -> Iterator[Trial]:
    """Return the published values, the profile's, and `count - 2` points of a scrambled Halton sequence."""
    defaults = {row.name: row.value for row in documented(find_method(method).Settings)}
    if lacking := sorted({*space.settings, space.batch} - defaults.keys()):
        raise UserError(f"the space of {method} has {quoted(lacking[0])}, which is none of its settings")
    present = dataclasses.asdict(row_settings(method, profile, {}))
    values: list[tuple[Kind, dict[str, Any]]] = [
        ("published", {name: defaults[name] for name in space.settings}),
        ("profile", {name: present[name] for name in space.settings}),
    ]
    drawn = _drawn_shares(method, list(space.settings), count - FIXED, seed)
    values += [("drawn", space.value_at(shares)) for shares in drawn]
    for number, (kind, settings) in enumerate(values):
        row_settings(method, profile, settings)  # raises UserError for what no training can have
        batch = settings.get(space.batch, present[space.batch])
        iterations = seconds / space.seconds_per_iteration * defaults[space.batch] / batch
        if not 0.5 <= iterations <= MOST_ITERATIONS:
            raise UserError(
                f"trial {number} of {method} would have {iterations:,.3g} iterations ({seconds:.3g} s of one core, at "
                f"{space.seconds_per_iteration:g} s each): give another --share, or mend the space"
            )
        yield Trial(method, number, kind, settings, max(1, round(iterations)))


def _drawn_shares(method: str, names: Sequence[str], count: int, seed: int) -> Iterator[dict[str, float]]:
    """Draw points in the unit cube of the settings. They depend only on the seed and the method's name."""
    from scipy.stats import qmc

    if count < 1:
        return
    own = int.from_bytes(hashlib.sha256(f"{seed}|{method}".encode()).digest()[:8], "big")
    for point in qmc.Halton(len(names), scramble=True, rng=own).random(count):
        yield dict(zip(names, map(float, point), strict=True))


def trials_suite(tuning: Tuning, left_out: Sequence[str] = ()) -> Suite:
    """Return a suite with a row for each trial and each row that its method is measured by.

    left_out: names of trials whose training has failed.
    """
    rows = [
        SuiteRow(
            row_id(trial, row),
            f"{trial.name} ({row.guide})",
            row.method,
            row.guide,
            row.data,
            dict(trial.settings),
            iterations=trial.iterations,
        )
        for trial in tuning.trials
        if trial.name not in left_out
        for row in tuning.rows[trial.method]
    ]
    return Suite(
        f"tune-{tuning.suite.name}",
        f"Trials for {tuning.suite.name}: {tuning.space.title}"[:LONGEST_TITLE],
        tuple(rows),
    )


def row_id(trial: Trial, row: SuiteRow) -> str:
    """Return the id of a trial's row, such as `mtss-03-r`."""
    return f"{trial.name}-{row.guide.lower()}"
