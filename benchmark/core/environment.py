"""The environment of a result: command, platform, versions, commit, memory."""

from __future__ import annotations

import platform
import re
import resource
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fesbench", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "scipy", "scikit-image", "pandas",
    "pyarrow", "pillow", "safetensors", "pytorch-fid", "mlflow",
)  # fmt: skip


STORE_OPTIONS = ("--out", "--from", "--to")
"""Options of commands that are followed by the address of a store."""


@dataclass(frozen=True)
class Environment:
    """The machine and the software of one call."""

    command: str
    device: str
    threads: int
    jobs: int = 1
    """Number of stages run side by side, each with `threads` threads."""

    def describe(self) -> dict[str, Any]:
        """Return the entries of the manifest that reproduce the environment."""
        return {
            "command": self.command,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": self.device,
            "threads": self.threads,
            "jobs": self.jobs,
            "platform": platform.platform(),
            "processor": processor_name(),
            "python": platform.python_version(),
            "packages": versions(),
            "commit": commit(),
        }


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that results depend on."""
    installed = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


@cache
def commit() -> str:
    """Return the checkout's commit, with `+changes` where the tree differs; "" outside a checkout."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10)
        if head.returncode:
            return ""
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")


def processor_name() -> str:
    """Return the CPU's model name; bits can differ between models."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes, shared libraries included.

    From VmHWM on Linux: ru_maxrss starts at the parent's peak after a fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
        if peak:
            return int(peak[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass
class Peaks:
    """Peak memory of all processes of a call."""

    workers: dict[int, int] = field(default_factory=dict)
    """Bytes by number of the worker process, as last reported."""

    @property
    def sum(self) -> int:
        """Return the sum over all processes, an upper bound: peaks differ in time, shared libraries count for each."""
        return peak_memory() + sum(self.workers.values())

    def sentence(self) -> str:
        """Format as `peak memory: 1.9 GB at most (this process 0.7, workers 0.6 + 0.6)`."""
        workers = " + ".join(f"{peak / 1e9:.1f}" for _, peak in sorted(self.workers.items()))
        each = f" (this process {peak_memory() / 1e9:.1f}, workers {workers})" if workers else ""
        return f"peak memory: {self.sum / 1e9:.1f} GB{' at most' if workers else ''}{each}"


def command_line() -> str:
    """Return the command as typed, in its module form and quoted for a shell."""
    program = Path(sys.argv[0])
    module = f"python -m {program.parent.name}.{program.stem}" if program.suffix == ".py" else program.name
    return " ".join([module, shlex.join(sys.argv[1:])]).strip()


def words_of(command: str) -> list[str] | None:
    """Return the words of a recorded command; None for one of an earlier version whose quotes cannot be parsed."""
    try:
        return shlex.split(command)
    except ValueError:
        return None


def without_store(command: str) -> str:
    """Return a command without the addresses of stores: published manifests do not name folders of their machine."""
    words = words_of(command)
    if words is None:
        return command
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if before not in STORE_OPTIONS and word.partition("=")[0] not in STORE_OPTIONS
    ]
    return shlex.join(kept)
