"""The parts of machine and software that the last bits of numbers depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.core.environment import versions
from benchmark.core.models import STRICT

KERNELS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
"""Environment variables that select the kernels of a library."""


@dataclass(frozen=True, config=STRICT)
class Machine:
    """The machine and software that bytes depend on."""

    processor: str
    """Model and instruction set."""
    device: str
    threads: Annotated[int, Field(ge=1)]
    """Of each stage."""
    python: str
    packages: dict[str, str]

    @property
    def software(self) -> dict[str, str]:
        """Versions by name, including Python's."""
        return {"python": self.python, **self.packages}

    def differences(self, other: Machine) -> list[str]:
        """Return a phrase for each difference: `torch 2.15.0 is 2.16.0 here`. other: this machine."""
        mine = {"processor": self.processor, "device": self.device, "threads": str(self.threads), **self.software}
        here = {"processor": other.processor, "device": other.device, "threads": str(other.threads), **other.software}
        return [
            f"{name} {mine.get(name, 'missing')} is {here.get(name, 'missing')} here"
            for name in dict.fromkeys([*mine, *here])
            if mine.get(name) != here.get(name)
        ]


def software() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    packages = {name: version for name, version in versions().items() if name not in ("fesbench", "mlflow")}
    return {"python": platform.python_version(), **packages}


def this_machine(device: str, threads: int) -> Machine:
    """Describe the machine of this process. threads: of each stage."""
    packages = software()
    return Machine(processor(), device, threads, packages.pop("python"), packages)


def processor() -> str:
    """Return model and family of the CPU, the instructions that torch uses, and the variables in `KERNELS`."""
    import torch

    described: dict[str, str] = {}
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            described.setdefault(name.strip(), value.strip())
    name = described.get("model name") or platform.processor()
    parts = [f"{name} (family {described.get('cpu family', '?')}, model {described.get('model', '?')})"]
    parts.append(torch.backends.cpu.get_cpu_capability())
    parts += [f"{variable}={os.environ[variable]}" for variable in KERNELS if variable in os.environ]
    return ", ".join(parts)
