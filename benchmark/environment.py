"""What a result was made with: command, platform, versions, commit."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fesbench", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "scipy", "scikit-image", "pandas",
    "pyarrow", "pillow", "safetensors", "pytorch-fid", "mlflow",
)  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """The machine and the software of one call."""

    command: str
    device: str
    threads: int

    def describe(self) -> dict[str, Any]:
        """For the manifest; everything a person needs to set the same thing up again."""
        return {
            "command": self.command,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": self.device,
            "threads": self.threads,
            "platform": platform.platform(),
            "processor": _processor(),
            "python": platform.python_version(),
            "packages": versions(),
            "commit": commit(),
        }


def versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """The checkout's commit, with `+changes` where the tree differs from it; "" outside a checkout."""
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


def _processor() -> str:
    """The CPU's model name: bits can differ between models."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def command_line() -> str:
    """The command as typed, module form restored."""
    program = Path(sys.argv[0])
    module = f"python -m {program.parent.name}.{program.stem}" if program.suffix == ".py" else program.name
    return " ".join([module, *sys.argv[1:]])
