"""The benchmark from Python: run a suite, load results, and turn them into a pandas frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.config.precision import Precision
from benchmark.config.profiles import FeatureSpace
from benchmark.pipeline import suite_run
from benchmark.pipeline.engines.options import LOCAL, EngineOptions
from benchmark.pipeline.request import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.report.results import SuiteResults

RESULTS = "results.json"


@dataclass(frozen=True)
class Results:
    """The results of a suite. folder: its report, with tables, figures and `results.json`."""

    folder: Path

    @cached_property
    def suite(self) -> SuiteResults:
        """Return the content of `results.json`. Raises UserError where it cannot be read."""
        from benchmark.report.results import load_results as load

        return load(self.folder / RESULTS)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a line for each row and seed and a column for each metric (`benchmark.report.frame`)."""
        from benchmark.report.frame import to_frame

        return to_frame(self.suite)


def run_suite(
    suite: str | Path = "table1",
    profile: str | Path = "quick",
    data: str = "rendered",
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    out: str | Path = "runs",
    *,
    checkpoints: Sequence[str] = (),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    jobs: int | Literal["auto"] = "auto",
    precision: Precision | None = None,
    features: FeatureSpace | None = None,
    fid_weights: str | Path | None = None,
    allow_other_weights: bool = False,
    allow_small: bool = False,
    networks: Sequence[str | Path] = (),
    faces_in_page: bool = False,
    reference: str | Path | None = None,
    retrain: bool = False,
    quiet: bool = False,
    engine: EngineOptions = LOCAL,
) -> Results:
    """Train, synthesise, measure and report a suite, as `python -m benchmark.run` does; finished stages are reused.

    suite, profile: names, or paths of YAML files. data: as `--data`. methods: only their rows. checkpoints: texts
    `METHOD=DIR` or `ROW_ID=DIR`, as `--checkpoint`. networks: files of networks of one's own, as `--network`. engine:
    where stages are made (docs/cluster.md). All other options are those of the command.

    Raises UserError where an option is wrong, and RunFailed where a training fails (both in `benchmark.core.errors`).
    """
    return Results(
        suite_run.run(
            RunOptions(
                suite=str(suite),
                profile=str(profile),
                data=data,
                methods=methods,
                checkpoints=checkpoints,
                seeds=seeds,
                device=device,
                threads=threads,
                jobs=str(jobs),
                precision=precision,
                features=features,
                fid_weights=Path(fid_weights) if fid_weights is not None else None,
                allow_other_weights=allow_other_weights,
                allow_small=allow_small,
                networks=[str(network) for network in networks],
                faces_in_page=faces_in_page,
                out=Path(out),
                reference=Path(reference) if reference is not None else None,
                retrain=retrain,
                quiet=quiet,
                engine=engine,
            )
        )
    )


def load_results(path: str | Path) -> Results:
    """Return the results in a report's folder, or of its `results.json`. Raises UserError where there are none."""
    folder = Path(path).parent if Path(path).name == RESULTS else Path(path)
    results = Results(folder)
    _ = results.suite
    return results
