"""The interface of engines: submit stages with their resources, receive messages and ends of processes, cancel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.pipeline import messages
from benchmark.stages.base import Stage


@dataclass(frozen=True)
class Resources:
    """The resources that a stage needs."""

    threads: int
    gpus: float = 0.0
    """A share below 1 lets stages use one GPU together."""
    memory: int | None = None
    """Bytes, as measured; None where its kind of work was never measured."""


@dataclass(frozen=True)
class Job:
    """Stages that one process makes, in the order given: the inputs of each are finished, or come before it."""

    number: int
    """Number of the job, unique in its executor."""
    stages: tuple[Stage, ...]
    resources: Resources


@dataclass(frozen=True)
class MessageReceived:
    """A message of a process."""

    job: int | None
    """None where the process has no job."""
    message: messages.Report
    worker: int = 0
    """The number of the process, where several jobs share one."""


@dataclass(frozen=True)
class Output:
    """A line that a library wrote to stdout or stderr."""

    line: str


@dataclass(frozen=True)
class Died:
    """The process of a job ended without a final message, or its machine is lost."""

    job: int | None
    """None where the process had no job."""
    ending: str
    """End of a sentence: `was killed by SIGKILL`."""
    log: tuple[str, ...] = ()
    """The last lines that it wrote."""


@dataclass(frozen=True)
class Refused:
    """The machine that a job was sent to is unfit for it; the job goes to another one."""

    job: int
    why: str


Event = MessageReceived | Output | Died | Refused


class Executor(ABC):
    """Processes that make the stages of jobs.

    The messages of a job arrive in the order they were sent. The final one is `Done` of its last stage, `Failed` or
    `Stopped`; where there is none, `Died` follows.
    """

    remote: bool
    """Whether its processes may run on other machines: they can be lost, and stages go on elsewhere."""
    together = 0.0
    """Expected seconds of short stages that are grouped into one job."""

    @property
    @abstractmethod
    def room(self) -> int:
        """Return how many more jobs may be submitted now."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Return whether there is a process or a job that has not ended."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Submit a job; never waits."""

    @abstractmethod
    def receive(self, seconds: float) -> Iterator[Event]:
        """Yield the new events; wait up to `seconds` for the first."""

    @abstractmethod
    def cancel(self) -> None:
        """Stop all processes after they have saved the states of their stages."""

    @abstractmethod
    def kill(self) -> None:
        """End all processes at once."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources; end the processes that still run."""
