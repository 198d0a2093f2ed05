"""The options of a run as given, and the plan request that they are checked into."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.config.loading import REFERENCE
from benchmark.config.paper import claims_path
from benchmark.config.precision import Precision
from benchmark.config.profiles import FeatureSpace, Profile, features_for, load_profile
from benchmark.config.reference import check_stored
from benchmark.config.suites import Suite, load_suite
from benchmark.core.artifacts import Store
from benchmark.core.cli import writable_folder
from benchmark.core.errors import UserError, did_you_mean, quoted
from benchmark.core.hashes import sha256_of
from benchmark.data.registry import open_source
from benchmark.data.source import DataSource
from benchmark.pipeline.engines.options import LOCAL, EngineOptions, check_engine, check_sbatch
from benchmark.protocol import JUDGE_SEED, MAX_SEED
from benchmark.stages.features import ExtractorChoice, choose_extractor
from benchmark.stages.network_choice import NetworkChoice, choose_networks
from benchmark.training.device import check_jobs, check_threads, choose_device
from benchmark.training.registry import code_digest, is_known, known_methods

if TYPE_CHECKING:
    from benchmark.importing.stage import Imported

MOST_SEEDS = 1000
PACKAGES = ("benchmark", "baselines", "models", "results/paper")
CODE = {".py", ".yaml", ".json", ".sha256", ".j2", ".css", ".js"}
"""Suffixes of files in the hash of the code. The request has separate hashes of pictures and weights."""
ACCELERATORS = ("nvidia*", "nvhost*", "nvgpu*", "nvmap*", "kfd", "dxg")
"""Device files of GPUs that torch may find: of NVIDIA's and AMD's drivers, and of Windows below Linux."""


@dataclass(frozen=True)
class RunOptions:
    """The options of `benchmark.run` and `benchmark.run_suite`; both document them."""

    suite: str
    profile: str = "quick"
    data: str = "rendered"
    methods: Sequence[str] | None = None
    checkpoints: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    device: str = "auto"
    threads: int | None = None
    jobs: str = "auto"
    precision: Precision | None = None
    features: FeatureSpace | None = None
    fid_weights: Path | None = None
    allow_other_weights: bool = False
    allow_small: bool = False
    networks: Sequence[str] = ()
    out: Path = Path("runs")
    reference: Path | None = None
    retrain: bool = False
    faces_in_page: bool = False
    quiet: bool = False
    engine: EngineOptions = LOCAL


@dataclass(frozen=True)
class PlanRequest:
    """Everything that a plan depends on."""

    suite: Suite
    profile: Profile
    source: DataSource
    """Source of the pictures to train on."""
    seeds: tuple[int, ...]
    extractor: ExtractorChoice
    device: str
    checkpoints: Mapping[str, Imported] = field(default_factory=dict)
    """Checkpoints that replace trainings, by row id."""
    reference: Path = REFERENCE
    """Folder of stored results."""
    retrain: bool = False
    """Whether stored trainings are left alone."""
    faces_in_page: bool = False
    """Whether the page shows pictures that may not be passed on."""
    options: tuple[str, ...] = ()
    """Options of `benchmark.run`, as the page prints them; no part of any key."""
    finished_only: bool = False
    """Whether rows and seeds whose training is neither finished nor stored are left out."""
    judge_seed: int = JUDGE_SEED
    """Seed of judge and reader; other values only measure their spread."""
    networks: tuple[NetworkChoice, ...] = ()
    """Networks of the user that rows are measured in, too."""

    @cached_property
    def edited(self) -> DataSource:
        """Return the source of the pictures to edit: `source`, or non-aligned pictures of the same people."""
        return self.source.uncropped() if self.suite.faces == "nonaligned" else self.source

    @property
    def key(self) -> str:
        """Return the SHA-256 of all that decides the keys of the plan: the request and this project's code."""
        extractor = self.extractor
        parts = (
            dataclasses.asdict(self.suite),
            claims_path(self.suite.claims).read_bytes() if self.suite.claims else b"",
            dataclasses.asdict(self.profile),
            *(
                [source.name, source.version, source.content_key(), source.split_settings(), sorted(source.knows)]
                for source in dict.fromkeys((self.source, self.edited))
            ),
            self.seeds,
            [extractor.name, extractor.identity, extractor.published, extractor.allow_other_weights],
            self.device,
            self.judge_seed,
            {row: checkpoint.recipe.key for row, checkpoint in self.checkpoints.items()},
            [[network.path.name, network.settings, network.described.measures] for network in self.networks],
            [self.retrain, self.finished_only, self.faces_in_page, _stored(self.reference)],
            code_of_project(),
            [code_digest(row.method) for row in self.suite.rows if is_known(row.method)],
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def check_options(options: RunOptions) -> tuple[PlanRequest, Store]:
    """Load and check everything that the options name. Raises UserError, before any work."""
    suite, profile = load_suite(options.suite), load_profile(options.profile)
    if options.methods is not None:
        suite = suite.only(list(options.methods))
    _check_methods(profile, suite)
    check_threads(options.threads)
    check_jobs(options.jobs)
    if options.reference is not None:
        check_stored(options.reference)
    seeds = _seeds(options.seeds)
    checkpoints = _checkpoints(options.checkpoints, suite, profile)
    check_engine(options.engine)
    if options.engine.engine == "slurm":
        check_sbatch()
    store = _store(options)
    source = open_source(options.data, store.root / "cache")
    features = features_for(profile.name, profile.features, options.features)
    if options.allow_small:
        profile = dataclasses.replace(profile, allow_small=True)
    if options.precision:
        profile = dataclasses.replace(profile, precision=options.precision)
    extractor = choose_extractor(features, options.fid_weights, options.allow_other_weights)
    device = _device(options)
    request = PlanRequest(
        suite, profile, source, seeds, extractor, device, checkpoints, options.reference or REFERENCE, options.retrain,
        options.faces_in_page, tuple(shown_options(options)),
        networks=choose_networks((*suite.networks, *options.networks)),
    )  # fmt: skip
    return request, store


def shown_options(options: RunOptions) -> list[str]:
    """Return the options of `benchmark.run` that decide results, without `--methods` and defaults."""
    seeds = ",".join(map(str, options.seeds))
    named = {
        "--suite": options.suite, "--profile": options.profile, "--data": options.data, "--seeds": seeds,
        "--device": options.device if options.device != "auto" else None, "--precision": options.precision,
        "--features": options.features, "--fid-weights": options.fid_weights, "--reference": options.reference,
    }  # fmt: skip
    flags = {
        "--allow-other-weights": options.allow_other_weights,
        "--allow-small": options.allow_small,
        "--retrain": options.retrain,
    }
    return [
        *(word for name, value in named.items() if value is not None for word in (name, str(value))),
        *(word for checkpoint in options.checkpoints for word in ("--checkpoint", checkpoint)),
        *(word for network in options.networks for word in ("--network", network)),
        *(name for name, on in flags.items() if on),
    ]


def _store(options: RunOptions) -> Store:
    """Open the store; an engine of several machines makes it one that they share."""
    root, engine = writable_folder(options.out, "--out"), options.engine
    if not engine.store:
        return Store(root, engine.shared or engine.is_remote)
    from benchmark.core.object_store import ObjectStore

    store = ObjectStore(root, engine.store)
    store.check()
    return store


def _device(options: RunOptions) -> str:
    """Choose the device; `cuda` of a cluster is its nodes', whatever this machine has."""
    if options.engine.is_remote and options.device == "cuda":
        return "cuda"
    return device_at_a_glance(options.device) or choose_device(options.device)


def device_at_a_glance(wanted: str) -> str | None:
    """Return `cpu` where `choose_device` certainly would; None where torch must decide."""
    if wanted == "cpu":
        return "cpu"
    known = wanted == "auto" and sys.platform == "linux"
    return "cpu" if known and not any(any(Path("/dev").glob(name)) for name in ACCELERATORS) else None


def _check_methods(profile: Profile, suite: Suite) -> None:
    """Raise UserError where the profile names a method that neither exists nor is in the suite."""
    of_suite = {row.method for row in suite.rows}
    for name in {**profile.overrides, **profile.iterations}:
        if name != "default" and name not in of_suite and not is_known(name):
            known = {*known_methods(), *of_suite}
            raise UserError(f"profile {profile.name}: no method {quoted(name)} exists{did_you_mean(name, known)}")


def _seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    if not seeds or len(seeds) > MOST_SEEDS:
        raise UserError(f"--seeds: 1 to {MOST_SEEDS} training seeds are needed, not {len(seeds)}")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
            raise UserError(f"--seeds: {quoted(seed)} is no seed (whole numbers from 0 to {MAX_SEED})")
    return tuple(dict.fromkeys(seeds))


def _checkpoints(arguments: Sequence[str], suite: Suite, profile: Profile) -> dict[str, Imported]:
    if not arguments:
        return {}
    from benchmark.importing.stage import choose_checkpoints  # torch, which a finished suite does without

    return choose_checkpoints(arguments, suite, profile)


def code_of_project() -> str:
    """Return the SHA-256 of this project's code and tables and of the interpreter's version, in any folder."""
    digest = hashlib.sha256(sys.version.encode())
    root = Path(benchmark.__file__).parents[1]
    for path in _files(root):
        digest.update(f"{path.relative_to(root).as_posix()}|{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _stored(reference: Path) -> list[tuple[str, str]]:
    """Return names and hashes of all indices and manifests of the stored results."""
    paths = (path for path in sorted(reference.rglob("*.json")) if "cache" not in path.relative_to(reference).parts)
    return [(str(path.relative_to(reference)), sha256_of(path)) for path in paths]


def _files(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(path for path in (root / package).rglob("*") if path.suffix in CODE)
