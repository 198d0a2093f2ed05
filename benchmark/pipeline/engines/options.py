"""The options of engines and stores, for every command that makes a plan. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, get_args

from benchmark.core.errors import UserError, quoted, unknown

Engine = Literal["local", "ray", "slurm"]
MAX_PORT = 65_535
STORES = ("s3://", "file://")
DAY = 24 * 60
"""Minutes: the default time limit of a Slurm job, without `--slurm time=`."""
ENGINES: tuple[Engine, ...] = get_args(Engine)
PACKAGES: Mapping[Engine, str] = {"ray": "ray", "slurm": "submitit"}
"""Package of each engine; the extra has the engine's name."""
SLURM_OPTIONS = (
    "account", "constraint", "cpus_per_task", "exclude", "gres", "mem", "nodelist", "partition", "qos", "reservation",
    "time",
)  # fmt: skip
"""Of `sbatch`, those that `--slurm` takes, with underscores as submitit has them; `time` is in minutes or H:MM:SS."""


@dataclass(frozen=True)
class EngineOptions:
    """Where stages are made, and where their artifacts are kept besides the output folder."""

    engine: Engine = "local"
    address: str = "auto"
    """Address of a running Ray cluster."""
    shared: bool = False
    """Whether several machines use the output folder."""
    store: str = ""
    """URL of an object store; "" for the output folder alone."""
    processor: str = ""
    """Processor model that CPU stages need; "" for this machine's, `any` for all."""
    gpu_share: float = 1.0
    """Share of a GPU for each stage."""
    slurm: Mapping[str, str] = field(default_factory=dict)
    """Options of `sbatch`."""

    @property
    def is_remote(self) -> bool:
        """Return whether stages may be made on other machines."""
        return self.engine != "local"


LOCAL = EngineOptions()
"""This machine alone."""


def add_engine_arguments(command: argparse.ArgumentParser, object_store: bool = True) -> None:
    """Add the options to a command; `engine_options` reads them. object_store: with `--store`."""
    group = command.add_argument_group("several machines (docs/cluster.md)")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="where stages are made: here, or on a cluster (default: local)",
    )
    group.add_argument(
        "--address",
        default="auto",
        metavar="HOST:PORT",
        help="of the Ray cluster (default: auto, the one of this machine)",
    )
    group.add_argument(
        "--shared", action="store_true", help="several machines use --out; found out where it is on NFS or its like"
    )
    if object_store:
        group.add_argument(
            "--store",
            default="",
            metavar="URL",
            help="keep artifacts in an object store, s3://BUCKET/FOLDER; --out is a cache",
        )
    group.add_argument(
        "--processor", default="", metavar="NAME",
        help="make CPU stages on this kind of processor alone (default: this machine's; any: on all)",
    )  # fmt: skip
    group.add_argument(
        "--gpu-share", type=float, default=1.0, metavar="SHARE", help="how much of a GPU a stage takes (default: 1)"
    )
    group.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of sbatch: partition=gpu, time=12:00:00",
    )


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """Read the options that `add_engine_arguments` has added. Raises UserError."""
    given = getattr(arguments, "store", None)
    store = given if isinstance(given, str) else ""  # another command's is a path
    return EngineOptions(
        arguments.engine, arguments.address, arguments.shared, store, arguments.processor,
        arguments.gpu_share, _pairs(arguments.slurm),
    )  # fmt: skip


def check_engine(options: EngineOptions) -> None:
    """Raise UserError where options do not fit together, or a package is missing."""
    if options.engine not in ENGINES:
        raise unknown("engine", options.engine, ENGINES)
    package = PACKAGES.get(options.engine)
    if package and find_spec(package) is None:
        raise UserError(f"--engine {options.engine} needs {package}: pip install 'fesbench[{options.engine}]'")
    if not 0 < options.gpu_share <= 1:
        raise UserError(f"--gpu-share must be above 0 and at most 1, not {options.gpu_share:g}")
    if options.gpu_share != 1 and options.engine != "ray":
        raise UserError("--gpu-share is for --engine ray")
    if options.processor and not options.is_remote:
        raise UserError("--processor is for --engine ray and --engine slurm")
    if options.slurm and options.engine != "slurm":
        raise UserError("--slurm is for --engine slurm")
    if "time" in options.slurm:
        minutes(options.slurm["time"])
    if options.store and not options.store.startswith(STORES):
        raise UserError(f"--store {quoted(options.store)}: s3://BUCKET/FOLDER is wanted")
    if options.address != "auto":
        if options.engine != "ray":
            raise UserError("--address is for --engine ray")
        host, _, port = options.address.rpartition(":")
        if not re.fullmatch(r"[\w.\-\[\]:]+", host) or not re.fullmatch(r"[1-9]\d{0,4}", port) or int(port) > MAX_PORT:
            raise UserError(f"--address must be auto or HOST:PORT, not {quoted(options.address)}")


def check_sbatch() -> None:
    """Raise UserError on a machine that cannot submit jobs to Slurm."""
    if shutil.which("sbatch") is None:
        raise UserError("--engine slurm: there is no sbatch here; call it on a login node of the cluster")


def minutes(text: str) -> int:
    """Parse a time limit of sbatch into minutes: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S. Raises UserError."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?", text, re.ASCII)
    if match is None or not re.search("[1-9]", text):
        raise UserError(f"--slurm time={quoted(text)[1:-1]}: minutes, H:MM:SS or D-HH:MM:SS are wanted")
    days, *rest = match.groups()
    numbers = [int(number) for number in rest if number is not None]
    if days is not None:
        hours, mins, seconds = [*numbers, 0, 0][:3]
        return max(1, int(days) * DAY + hours * 60 + mins + (seconds > 0))
    if len(numbers) == 3:
        return max(1, numbers[0] * 60 + numbers[1] + (numbers[2] > 0))
    return max(1, numbers[0] + (len(numbers) == 2 and numbers[1] > 0))


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise UserError(f"--slurm {quoted(text)}: NAME=VALUE is wanted, such as partition=gpu")
        if name not in SLURM_OPTIONS:
            raise unknown("option of sbatch", name, SLURM_OPTIONS, "in --slurm")
        if name in pairs:
            raise UserError(f"--slurm {name}= is given twice: {quoted(pairs[name])} and {quoted(value)}")
        pairs[name] = value
    return pairs
