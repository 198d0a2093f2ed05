"""Make a finished run again, and check of each stage whether its result is the same.

A run is an artifact of a store (a report or any other stage), or only a `results.json`. Its plan is built again from
the command in its manifest, or from the names in its results; its inputs are found by the keys in manifests.

If only trained weights are copied and there is no judge, as beside stored results, the gate's networks without training
replace judge and reader, and the metrics that depend on these are left out.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmark.config.loading import names
from benchmark.config.profiles import PROFILES, load_profile
from benchmark.config.suites import SUITES, load_suite
from benchmark.core.artifacts import MANIFEST, Artifact, Damaged, Manifest, Store, check_files
from benchmark.core.cli import writable_folder
from benchmark.core.environment import words_of
from benchmark.core.errors import UserError
from benchmark.data.registry import open_source
from benchmark.gate.comparison import FAMILY
from benchmark.gate.differences import MADE, MEASURED, NEVER, contradictions, difference
from benchmark.gate.gate import FLIPS
from benchmark.gate.plans import TRAINED_NEEDS, ProbePlan, behind, content, make_all, measured_stages
from benchmark.gate.reference import STORED, Reference, load_reference
from benchmark.gate.verdicts import Verdict, overall
from benchmark.importing.stage import choose_checkpoints
from benchmark.metrics.registry import METRICS
from benchmark.pipeline.context import open_context
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import PlanRequest, RunOptions, check_options
from benchmark.pipeline.steps import prepare
from benchmark.report.results import SuiteResults, load_results
from benchmark.stages.base import Context, Stage
from benchmark.stages.corners import Corner
from benchmark.stages.report import Report
from benchmark.stages.score import Score
from benchmark.stages.synthesize import Synthesize
from benchmark.statistics.gating import prediction_bound
from benchmark.training.device import check_jobs, choose_jobs

Outcome = Literal["identical", "within spread", "different", "not judged", "taken over", "not compared"]
TRAINED = frozenset({"train", "judge", "reader", "weights", "record", "imported"})
"""Kinds of stages that `--quick` copies from the run."""
READERS = frozenset({"judge", "reader"})
"""Kinds of trained networks that measure."""
SAME_WEIGHTS = 1e-3
"""Relative tolerance of scores of the same weights between processors; half a printed digit is allowed, too."""
RESULTS = "results.json"


@dataclass(frozen=True)
class StageCheck:
    """One stage made again."""

    name: str
    kind: str
    outcome: Outcome
    words: str = ""


@dataclass(frozen=True)
class NumberCheck:
    """One number beside that of the run."""

    row: str
    seed: int
    metric: str
    then: float
    now: float
    bound: float | None
    """Largest difference that passes; null if its spread is unknown."""

    @property
    def outcome(self) -> Outcome:
        """The outcome by the bound."""
        if self.then == self.now:
            return "identical"
        if self.bound is None:
            return "not judged"
        return "within spread" if abs(self.now - self.then) <= self.bound else "different"


@dataclass(frozen=True)
class Verification:
    """The comparison of a run with the same run made again."""

    run: str
    stages: tuple[StageCheck, ...]
    numbers: tuple[NumberCheck, ...]
    environment: tuple[str, ...]
    """Differences of the environment, a phrase for each."""
    elsewhere: bool = False
    """Whether processor, threads or versions differ, so that bytes may."""
    notes: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    """Other statements of a `results.json` that are wrong or do not follow from its numbers, a phrase for each."""
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", self._verdict())

    def _verdict(self) -> Verdict:
        outcomes = {check.outcome for check in self.numbers}
        if not self.numbers or not self.elsewhere:
            outcomes |= {check.outcome for check in self.stages}
        if self.elsewhere and not self.numbers:  # without numbers, no spread is known
            outcomes = {"not judged" if outcome == "different" else outcome for outcome in outcomes}
        verdicts: dict[Outcome, Verdict] = {
            "identical": "pass", "within spread": "pass", "different": "regressed", "not judged": "inconclusive",
            "taken over": "new", "not compared": "new",
        }  # fmt: skip
        return overall([verdicts[outcome] for outcome in outcomes] + ["regressed"] * bool(self.contradictions))

    @property
    def first(self) -> StageCheck | None:
        """The first stage whose bytes differ."""
        return next((check for check in self.stages if check.outcome == "different"), None)


@dataclass(frozen=True)
class _Run:
    """A finished run: its path, and its manifest, results and inputs where they exist."""

    path: Path
    manifest: Manifest | None
    results: SuiteResults | None
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the run and of all that it was made from, by key."""
    root: Path | None = None
    """Root of the store."""

    def with_stages(self, stages: Iterable[Stage]) -> _Run:
        """Add stages of the plan that exist in the store.

        Manifests do not lead to all of them: stored results have weights, but no edits whose manifests name these.
        """
        if self.root is None:
            return self
        places = {stage.recipe.key: self.root / stage.recipe.folder for stage in stages}
        there = {key: folder for key, folder in places.items() if (folder / MANIFEST).is_file()}
        return dataclasses.replace(self, folders={**there, **self.folders})


Tell = Callable[[str], None]
Understand = Callable[[str, Sequence[str]], RunOptions | None]


def verify(
    path: Path,
    out: Path,
    quick: bool = False,
    data: str | None = None,
    checkpoints: Sequence[str] = (),
    jobs: str = "auto",
    quiet: bool = False,
    tell: Tell = lambda _: None,
    understand: Understand = lambda _command, _arguments: None,
) -> Verification:
    """Make a run again in `out`, and compare it with the original.

    quick: copy trained networks instead of training. checkpoints: as `--checkpoint`. understand: a function that parses
    a command's name and arguments into options, or None if the command runs no suite.

    Raises UserError if there is no such run, NotMadeHere if no plan of this code makes it.
    """
    run = _open(path)
    _check_call(run, out, data, checkpoints, jobs)
    options, plan, target = _plan_of(run, out, data, checkpoints, jobs, quiet, understand)
    run = run.with_stages(behind(_measured(plan, target)))
    threads = int(run.manifest.made.get("threads", 1)) if run.manifest else 1
    request, store = check_options(options)
    count = choose_jobs(jobs, request.device, threads * 2, request.profile.width)
    context = open_context(store, request.device, threads * count, quiet, count)
    taken: set[str] = set()
    if quick:
        taken = _take_over(_measured(plan, target), run, store, tell)
        if not taken and not checkpoints:
            raise UserError(f"--quick: {path} has no weights beside it: name them with --checkpoint ROW=DIR")
    same_weights = quick or bool(checkpoints)
    stages = behind(_measured(plan, target), taken)
    notes = []
    if same_weights and any(stage.kind in READERS and stage.recipe.key not in run.folders for stage in stages):
        notes.append("what judge and reader read is left out: there are others here")
        plan, target = _without_readers(target, request, store)
        stages = behind(_measured(plan, target), taken)
    tell(f"verify: {len(stages)} stages of {options.suite}, {options.profile}, in {out}")
    make_all("what is verified", stages, context, count)
    checks = {stage.recipe.key: _stage(stage, run, context, taken) for stage in stages}
    numbers = tuple(_numbers(run, plan, checks, context, same_weights, not notes))
    environment = _environment(run.manifest, context) if run.manifest else ["the run does not say where it was made"]
    elsewhere = any(not phrase.startswith(("commit ", "fesbench ", "platform ")) for phrase in environment)
    wrong: tuple[str, ...] = ()
    if run.results is not None and (target is None or isinstance(target, Report)):
        same_report = isinstance(target, Report) and not checkpoints
        without = _may_differ(checks.values()) if same_report else None
        wrong = tuple(contradictions(run.results, plan.report, context, without))
    return Verification(str(path), tuple(checks.values()), numbers, tuple(environment), elsewhere, tuple(notes), wrong)


def _may_differ(checks: Collection[StageCheck]) -> frozenset[str]:
    """Return the fields of a report's results that may differ, given the outcomes of its stages."""
    same = {"identical", "taken over"}
    if all(check.outcome in same for check in checks):
        return NEVER
    return MEASURED if all(check.outcome in same for check in checks if check.kind in TRAINED - READERS) else MADE


def _measured(plan: Plan, target: Stage | None) -> list[Stage]:
    """Return the stages that the run's numbers come from, without their inputs.

    For results these are all that a report reads except galleries.
    """
    if target is not None and not isinstance(target, Report):
        return [target]
    return [stage for stage in plan.report.inputs.values() if not isinstance(stage, Synthesize)]


def _without_readers(target: Stage | None, request: PlanRequest, store: Store) -> tuple[Plan, Stage | None]:
    """Return the plan of a request with a judge and a reader without training, and the target in that plan."""
    other = ProbePlan(request, store)
    if target is None or isinstance(target, Report):
        return other, target and other.report
    same = [stage for stage in other.stages if (stage.kind, stage.name) == (target.kind, target.name)]
    return other, same[0] if same else target


# ------------------------------------------------------------------------------------------------ the run
def _open(path: Path) -> _Run:
    """Read a run. Raises UserError if there is none at the path, or it is damaged."""
    folder = path.parent if path.name in (RESULTS, MANIFEST) else path
    if (folder / MANIFEST).exists():
        try:
            manifest = Manifest.read(folder / MANIFEST)
            root = folder.resolve().parent.parent
            lineage = Store(root).lineage(manifest.key, str(folder.resolve().relative_to(root)))
        except ValueError as error:
            raise UserError(f"{path} is damaged: {error}") from error
        _check_whole(folder)
        folders = {key: root / name for key, name in lineage.items()}
        results = load_results(folder / RESULTS) if (folder / RESULTS).is_file() else None
        return _Run(path, manifest, results, folders, root)
    if path.is_file() and path.name.endswith(".json"):
        return _Run(path, None, load_results(path))
    if (folder / RESULTS).is_file():
        return _Run(path, None, load_results(folder / RESULTS))
    raise UserError(f"{path} is no run: a folder with a {MANIFEST} (a report, a stage) or a {RESULTS} is needed")


def _check_call(run: _Run, out: Path, data: str | None, checkpoints: Sequence[str], jobs: str) -> None:
    """Raise UserError for wrong options before the run is planned: a wrong call is not "not comparable"."""
    check_jobs(jobs)
    writable_folder(out, "--out")
    if data is not None:
        open_source(data, out / "cache")
    if checkpoints and run.results is None:
        raise UserError(f"--checkpoint belongs to the rows of a report or a {RESULTS}, and {run.path} is neither")


def _check_checkpoints(checkpoints: Sequence[str], options: RunOptions) -> None:
    """Raise UserError for checkpoints that the suite cannot take; ignore an unknown suite or profile."""
    try:
        suite, profile = load_suite(options.suite), load_profile(options.profile)
    except UserError:
        return
    choose_checkpoints(checkpoints, suite, profile)


def _candidates(run: _Run, data: str | None, understand: Understand) -> Iterator[RunOptions]:
    """Yield options that may have made the run: of its command, of its results, then all suites and profiles."""
    understood = False
    if run.manifest is not None:
        words = words_of(str(run.manifest.made.get("command", ""))) or []
        module = next((word for word in words if word.startswith("benchmark.")), "")
        if module and (options := understand(module.partition(".")[2], words[words.index(module) + 1 :])) is not None:
            yield options
            understood = True
    if run.results is not None:
        results = run.results
        features: Any = results.features.name
        yield RunOptions(
            results.suite,
            results.profile,
            data or results.data,
            seeds=results.seeds,
            features=features,
            allow_small=False,
        )
        return
    if understood:
        return
    seed = run.manifest.settings.get("seed", 0) if run.manifest is not None else 0
    for profile in names(PROFILES):
        for suite in names(SUITES):
            yield RunOptions(suite, profile, data or "rendered", seeds=(seed if isinstance(seed, int) else 0,))


def _plan_of(
    run: _Run, out: Path, data: str | None, checkpoints: Sequence[str], jobs: str, quiet: bool, understand: Understand
) -> tuple[RunOptions, Plan, Stage | None]:
    """Return the options, the plan, and the plan's stage that is the run; None if the run is only results.

    Raises NotMadeHere if no plan of this code has that stage.
    """
    near = ""
    nothing_stored = out / "nothing-stored"  # an empty folder: no stored training replaces one to make again
    nothing_stored.mkdir(parents=True, exist_ok=True)
    for candidate in _candidates(run, data, understand):
        options = dataclasses.replace(
            candidate, out=out, reference=nothing_stored, jobs=jobs, quiet=quiet, threads=None,
            data=data or candidate.data, checkpoints=tuple(checkpoints) or candidate.checkpoints,
        )  # fmt: skip
        if checkpoints:
            _check_checkpoints(checkpoints, options)
        try:
            request, store = check_options(options)
            prepare(request, store, options)
            plan = Plan(request, store)
        except UserError as error:
            near = near or str(error)
            continue
        if run.manifest is None or checkpoints:
            return options, plan, None
        for stage in plan.stages:
            if stage.recipe.key == run.manifest.key:
                return options, plan, stage
        near = _nearest(run, plan) or near
        if run.results is not None and _same_scores(run, plan):
            return options, plan, None
    where = f"no plan of this code makes {run.path}"
    raise NotMadeHere(f"{where}: {near}" if near else where)


class NotMadeHere(UserError):  # noqa: N818 - the name says what is wrong
    """No plan of this code makes the run: settings, versions or inputs differ."""


def _same_scores(run: _Run, plan: Plan) -> bool:
    """Whether the plan makes the run's numbers, in another report."""
    keys = set(run.results.keys.values()) if run.results else set()
    scores = [score.recipe.key for entry in plan.rows for score in entry.scores.values()]
    return bool(scores) and set(scores) <= keys


def _nearest(run: _Run, plan: Plan) -> str:
    """Return how the first stage differs whose key is not that of the same stage beside the run, or ""."""
    beside = {}
    for folder in run.folders.values():
        lying = Manifest.read(folder / MANIFEST)
        beside[lying.kind, lying.name] = lying
    for stage in [*measured_stages(plan), plan.report]:
        recipe = stage.recipe
        manifest = beside.get((recipe.kind, recipe.name))
        if manifest is None or manifest.key == recipe.key:
            continue
        if recipe.version != manifest.version:
            return f"'{recipe.name}' was made by version {manifest.version} of its stage, which has {recipe.version}"
        changed = _changed(recipe.settings, manifest.settings)
        if changed:
            return f"'{recipe.name}' has other settings: {', '.join(sorted(changed))}"
        inputs = [role for role, key in recipe.inputs.items() if manifest.inputs.get(role) != key]
        return f"'{recipe.name}' has other inputs: {', '.join(inputs)}"
    return ""


def _changed(here: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that differ; nested settings have their own names."""
    changed: list[str] = []
    for key in dict.fromkeys([*here, *then]):
        one, other = here.get(key), then.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            changed += _changed(one, other)
        elif one != other:
            changed.append(key)
    return changed


def _take_over(wanted: Sequence[Stage], run: _Run, store: Store, tell: Tell) -> set[str]:
    """Copy trained networks from the run's store; return their keys. Raises UserError if one is damaged."""
    taken: set[str] = set()
    for stage in behind(wanted):
        folder = run.folders.get(stage.recipe.key)
        if stage.kind in TRAINED and folder is not None:
            _check_whole(folder)
            store.adopt(Artifact(folder, Manifest.read(folder / MANIFEST)), stage.recipe, tell)
            taken.add(stage.recipe.key)
    return taken


def _check_whole(folder: Path) -> None:
    """Raise UserError if a file of an artifact differs from its manifest."""
    try:
        check_files(folder)
    except Damaged as error:
        raise UserError(f"{error.folder} is damaged ({error.why}): nothing rests on it") from error


# ------------------------------------------------------------------------------------------------ comparisons
def _stage(stage: Stage, run: _Run, context: Context, taken: set[str]) -> StageCheck:
    """Compare the bytes of a stage with the run's, if these exist. Raises UserError if they are damaged."""
    if stage.recipe.key in taken:
        return StageCheck(stage.name, stage.kind, "taken over")
    folder = run.folders.get(stage.recipe.key)
    if folder is None:
        known = run.results is not None and stage.recipe.key in run.results.keys.values()
        words = "equal key; its files are not there" if known else "it is not beside the run"
        return StageCheck(stage.name, stage.kind, "not compared", words)
    _check_whole(folder)
    then, now = Artifact(folder, Manifest.read(folder / MANIFEST)), stage.artifact(context)
    if content(then) == content(now):
        return StageCheck(stage.name, stage.kind, "identical")
    return StageCheck(stage.name, stage.kind, "different", difference(then, now))


def _numbers(
    run: _Run, plan: Plan, checks: Mapping[str, StageCheck], context: Context, same_weights: bool, read: bool
) -> Iterator[NumberCheck]:
    """Compare each metric of each row and seed. read: include metrics that depend on judge or reader."""
    judged = {metric.key for metric in METRICS if not TRAINED_NEEDS.isdisjoint(metric.needs)}
    digits = {metric.key: metric.decimals for metric in METRICS}
    scored = [(row, seed, score) for row, seed, score in _scores(plan) if score.recipe.key in checks]
    share = FAMILY / (2 * max(1, len(scored)) * len(METRICS))  # Bonferroni over all numbers, two-sided
    for row, seed, score in scored:
        identical = checks[score.recipe.key].outcome == "identical"
        corner = isinstance(score.edits, Corner)  # its pictures depend on no training
        facts = score.facts(context)
        for key, value in _then(run, row, seed, score).items():
            here = facts.metrics.get(key)
            if value is None or here is None or (key in judged and not read):
                continue
            if identical:
                bound: float | None = 0.0  # equal bytes have equal numbers
            elif corner and key in judged and not same_weights:
                continue  # the spread over trainings of judge and reader is unknown
            elif same_weights or corner:
                flips = FLIPS * 100 / max(1, facts.edits) if key in judged else 0.0
                bound = max(SAME_WEIGHTS * abs(value), 0.5 * 10.0 ** -digits.get(key, 9), flips)
            else:
                bound = _spread(run, row, key, share)
            yield NumberCheck(row, seed, key, value, here, bound)


def _scores(plan: Plan) -> Iterator[tuple[str, int, Score]]:
    """Yield row id, seed and scores of all rows, then of the rows without a method."""
    for entry in plan.rows:
        for seed, score in entry.scores.items():
            yield entry.row.id, seed, score
    for score in plan.report.corners:
        if isinstance(score.edits, Corner):
            yield f"{score.edits.answer} {score.edits.edits.subset}", 0, score


def _then(run: _Run, row: str, seed: int, score: Score) -> Mapping[str, float | None]:
    """Return the metrics of a row and seed in the run; empty if it has none."""
    if run.results is not None:
        rows = [each for each in run.results.all_rows if each.id == row]
        if rows and rows[0].seeds:
            return rows[0].seeds.get(seed, next(iter(rows[0].seeds.values()))).metrics
    for folder in run.folders.values():  # by name, since the key changes with the judge
        manifest = Manifest.read(folder / MANIFEST)
        if (manifest.kind, manifest.name) == (score.kind, score.name):
            metrics: Mapping[str, float | None] = manifest.facts.get("metrics", {})
            return metrics
    return {}


def _spread(run: _Run, row: str, metric: str, rate: float) -> float | None:
    """Return the difference, in either direction, that another training exceeds at most at `rate`.

    It follows from the run's own seeds, or from stored results of its suite; None if both have fewer than two values.
    """
    values: list[float] = []
    if run.results is not None:
        values = [value for each in run.results.all_rows if each.id == row for value in each.values(metric)]
        if len(values) < 2 and (reference := _reference(run.results)) is not None:
            values = reference.values(row, metric)
    if len(values) < 2:
        return None
    # One seed is compared with one other, by the spread of all.
    spread = statistics.stdev(values)
    return prediction_bound(spread, 1, 1, rate, len(values) - 1)


def _reference(results: SuiteResults) -> Reference | None:
    """Return the stored results of the same suite, profile and data that come with this code, or None."""
    root = Path(__file__).parents[2] / STORED
    for path in sorted(root.glob("*.json")):
        try:
            reference = load_reference(path)
        except UserError:
            continue
        same = (reference.suite, reference.profile, reference.data.partition(":")[0])
        if same == (results.suite, results.profile, results.data) and reference.identity == results.features.identity:
            return reference
    return None


def _environment(manifest: Manifest, context: Context) -> list[str]:
    """Return a phrase for each difference of the environment."""
    then, now = dict(manifest.made), context.environment.describe()
    packages, here = then.pop("packages", {}), now.pop("packages", {})
    fields = ("processor", "platform", "python", "device", "threads", "commit")
    differing = [
        f"{name} {then.get(name)} is {now.get(name)} here" for name in fields if then.get(name) != now.get(name)
    ]
    return differing + [
        f"{name} {packages.get(name, 'missing')} is {here.get(name, 'missing')} here"
        for name in dict.fromkeys([*packages, *here])
        if packages.get(name) != here.get(name)
    ]
