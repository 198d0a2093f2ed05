"""The command that reproduces one row."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.report.results import Row, SuiteResults


@dataclass(frozen=True)
class RowCommand:
    """The command that reproduces a row; `key` is the content key of its first score, "" where it is not known."""

    label: str
    subset: str
    command: str
    key: str


def suite_options(results: SuiteResults) -> list[str]:
    """Derive options of `benchmark.run` from results, for where those of the command are not known."""
    options = ["--suite", results.suite, "--profile", results.profile, "--data", results.data]
    return [*options, "--seeds", ",".join(map(str, results.seeds))] if results.seeds else options


def command(options: Sequence[str]) -> str:
    """Write `python -m benchmark.run` with options, quoted for a shell."""
    return shlex.join(["python", "-m", "benchmark.run", *options])


def row_commands(results: SuiteResults, options: Sequence[str]) -> list[RowCommand]:
    """Make the command of every row that was run: the suite's, with the row's method alone."""
    return [
        RowCommand(
            row.marked_label, row.subset, command([*options, "--methods", row.method]), _key(row, results)
        )
        for row in results.rows
        if row.seeds
    ]  # fmt: skip


def _key(row: Row, results: SuiteResults) -> str:
    """Return the key of the row's scores of its first seed."""
    name = next(iter(row.trainings.values()), "")
    return results.keys.get(f"score {name} {row.guide}", "")
