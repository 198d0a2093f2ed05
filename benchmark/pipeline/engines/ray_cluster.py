"""The Ray engine: a task for each job. Tasks receive pickled stages and return only messages.

Ray itself retries nothing, since it counts a lost machine as a failure of the task: a lost job is reported to the
driver, which knows whether its state has advanced.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import pickle
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark.core.errors import RunFailed, UserError, first_line
from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Died, Event, Executor, Job, MessageReceived, Output, Refused
from benchmark.pipeline.engines.options import EngineOptions
from benchmark.pipeline.engines.relay import Fitness, Relay, tied_to
from benchmark.pipeline.request import code_of_project

TOGETHER = 60.0
"""Expected seconds of short stages in one task: a task takes three seconds to start."""
REACH_SECONDS = 10.0
MOST_UNHEARD = 100
"""Most messages whose arrival is unconfirmed before arrived ones are dropped from the list."""
LOOK_SECONDS = 5.0
"""Seconds between two checks of which machines answer."""
SPARE_MEMORY = 1.1
"""Memory requested, as a multiple of what was measured."""


@dataclass(frozen=True)
class Starts:
    """A job starts on a machine."""

    node: str
    """Ray's id of the machine."""


Post = messages.Report | Starts | str
"""What a task sends: messages of its job, where it runs, or why its machine is unfit."""


class Mailbox:
    """An actor on the driver's machine that keeps messages until they are taken.

    Since it waits, Ray calls it in any order: each message has its number in its job.
    """

    def __init__(self) -> None:
        self._messages: list[tuple[int, int, Post]] = []
        self._arrived = asyncio.Event()

    async def put(self, job: int, number: int, message: Post) -> None:
        """Add a message of a job, or the reason why a machine is unfit for it."""
        self._messages.append((job, number, message))
        self._arrived.set()

    async def take(self, seconds: float) -> list[tuple[int, int, Post]]:
        """Return all messages with their jobs and numbers; wait up to `seconds` for the first."""
        with suppress(TimeoutError):
            if seconds and not self._messages:
                await asyncio.wait_for(self._arrived.wait(), seconds)
        self._arrived.clear()
        taken, self._messages = self._messages, []
        return taken


class Letters:
    """Puts the messages of one job, which arrive in any order, in the order they were sent."""

    def __init__(self) -> None:
        self._early: dict[int, Post] = {}
        self._next = 0

    def put(self, number: int, message: Post) -> Iterator[Post]:
        """Add a message; yield those whose predecessors have all arrived."""
        self._early[number] = message
        while self._next in self._early:
            self._next += 1
            yield self._early.pop(self._next - 1)


def make_job(mailbox: Any, job: int, setup: bytes, keys: list[str], fitness: Fitness) -> str:
    """Make the stages of a job on this machine; returns the machine's Ray id if it is unfit, else ""."""
    numbers, unheard = itertools.count(), list[Any]()

    def send(message: Post) -> None:
        nonlocal unheard
        if len(unheard) >= MOST_UNHEARD:
            _, unheard = ray.wait(unheard, num_returns=len(unheard), timeout=0)
        unheard.append(mailbox.put.remote(job, next(numbers), message))

    if fault := fitness.fault():
        send(fault)
        ray.get(unheard)
        return str(ray.get_runtime_context().get_node_id())
    send(Starts(ray.get_runtime_context().get_node_id()))
    relay = Relay(setup, keys, send)
    before = signal.signal(signal.SIGINT, lambda *_: relay.stop())  # what `ray.cancel` raises
    try:
        relay.run()
    finally:
        signal.signal(signal.SIGINT, before)
    ray.get(unheard)  # the driver receives all messages before it sees that the task has ended
    return ""


class RayExecutor(Executor):
    """Tasks of a running Ray cluster."""

    remote = True
    together = TOGETHER

    def __init__(self, options: EngineOptions, setup: messages.WorkerSetup, jobs: int) -> None:
        """Connect. Raises UserError where there is no cluster."""
        self._setup, self._most, self._share = setup, jobs, options.gpu_share
        _connect(options.address)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        self._task: Any = ray.remote(max_retries=0, retry_exceptions=False, max_calls=1)(make_job)
        self._fitness = Fitness(code_of_project(), tied_to(options.processor, setup.machine.device))
        self._tasks: dict[Any, int] = {}
        self._unfinished: dict[int, int] = {}
        """Number of unfinished stages by job; jobs that have sent their final message are removed."""
        self._letters: defaultdict[int, Letters] = defaultdict(Letters)
        self._nodes: dict[int, str] = {}
        """Ray's id of the machine where each job has started."""
        self._next_look = 0.0
        self._unfit: dict[str, str] = {}
        self._warned = False

    @property
    def room(self) -> int:
        """Return the room in Ray's queue, which has all ready jobs so that an autoscaling cluster sees its load."""
        return self._most - len(self._tasks)

    @property
    def running(self) -> bool:
        """Return whether a task has not ended."""
        return bool(self._tasks)

    def submit(self, job: Job) -> None:
        """Submit a task with the resources of the job."""
        stages = {stage.recipe.key: stage for stage in job.stages}
        setup = pickle.dumps(dataclasses.replace(self._setup, stages=stages))
        needs = job.resources
        options: dict[str, Any] = {"num_cpus": needs.threads, "num_gpus": needs.gpus * self._share}
        if needs.memory is not None:
            largest = max((node["Resources"].get("memory", 0) for node in _machines()), default=0)
            options["memory"] = int(min(needs.memory * SPARE_MEMORY, largest))  # a larger request is never granted
        if self._unfit:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._unfit)})"}
        task = self._task.options(**options).remote(self._mailbox, job.number, setup, list(stages), self._fitness)
        self._tasks[task] = job.number
        self._unfinished[job.number] = len(stages)

    def receive(self, seconds: float) -> Iterator[Event]:
        """Yield messages, and the ends of tasks that have sent no final message."""
        yield from self._taken(seconds)
        if not self._tasks:
            return
        if line := self._lack():
            yield Output(line)
        yield from self._lost()
        if not self._tasks:
            return
        ended, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        if ended:
            yield from self._taken(0)
        for task in ended:
            number = self._forget(task)
            try:
                unfit, ending = ray.get(task), "ended without a message"
            except TaskCancelledError:
                unfit, ending = "", "was cancelled"
            except RayError as error:
                unfit, ending = "", f"was lost ({type(error).__name__})"
            if number in self._unfinished and not unfit:
                del self._unfinished[number]
                yield Died(number, ending)

    def _lost(self) -> Iterator[Event]:
        """Yield the ends of jobs on machines that Ray has declared dead.

        Ray itself ends such a task when the connection breaks, which takes minutes where a link was cut.
        """
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        alive = {node["NodeID"] for node in _machines()}
        for task, number in list(self._tasks.items()):
            if number in self._nodes and self._nodes[number] not in alive:
                self._forget(task)
                if self._unfinished.pop(number, 0):
                    yield Died(number, "was lost, since its machine does not answer")

    def _forget(self, task: Any) -> int:
        """Drop a task that has ended, or whose machine is lost; returns the number of its job."""
        number = self._tasks.pop(task)
        self._nodes.pop(number, None)
        self._letters.pop(number, None)
        return number

    def _taken(self, seconds: float) -> Iterator[Event]:
        try:
            taken = ray.get(self._mailbox.take.remote(seconds))
        except RayActorError as error:
            self._tasks.clear()
            raise RunFailed("the connection to the Ray cluster is lost; the same command goes on from there") from error
        for job, number, message in taken:
            if job not in self._unfinished:
                continue  # a machine that was lost has come back
            for each in self._letters[job].put(number, message):
                yield from self._event(job, each)

    def _event(self, number: int, message: Post) -> Iterator[Event]:
        if isinstance(message, Starts):
            self._nodes[number] = message.node
            return
        if isinstance(message, str):
            self._unfinished.pop(number, None)
            task = next(task for task, job in self._tasks.items() if job == number)
            self._unfit[ray.get(task)] = message
            threads = self._setup.machine.threads
            able = {node["NodeID"] for node in _machines() if node["Resources"].get("CPU", 0) >= threads}
            if not able - self._unfit.keys():
                raise UserError(f"--engine ray: no machine of the cluster can be used; {message}")
            yield Refused(number, message)
            return
        if isinstance(message, messages.Done | messages.Elsewhere):
            self._unfinished[number] -= 1
            if not self._unfinished[number]:
                del self._unfinished[number]
        elif isinstance(message, messages.Failed | messages.Stopped | messages.Died):
            self._unfinished.pop(number, None)
        if isinstance(message, messages.Died):
            yield Died(number, message.ending, message.log)
        else:
            yield MessageReceived(number, message)

    def _lack(self) -> str:
        """Return a warning, once, where no machine of the cluster has the GPU or threads that stages need; else ""."""
        if self._warned:
            return ""
        self._warned = True
        nodes = [node["Resources"] for node in _machines()]
        threads = self._setup.machine.threads
        if self._setup.machine.device == "cuda" and not any(node.get("GPU") for node in nodes):
            return "no machine of the Ray cluster has a GPU yet: stages wait until one has"
        if not any(node.get("CPU", 0) >= threads for node in nodes):
            return f"no machine of the Ray cluster has {threads} CPUs yet: stages wait until one has"
        return ""

    def cancel(self) -> None:
        """Interrupt all tasks, which save their states."""
        for task in self._tasks:
            ray.cancel(task, force=False)

    def kill(self) -> None:
        """End the processes of all tasks."""
        for task in self._tasks:
            ray.cancel(task, force=True)

    def close(self) -> None:
        """Disconnect; the cluster stays."""
        ray.shutdown()


def _machines() -> list[dict[str, Any]]:
    """Return the machines of the cluster that answer."""
    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
    return [node for node in nodes() if node["Alive"]]


def _connect(address: str) -> None:
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()  # Ray tries for minutes
        with _kept_handlers():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, namespace="fesbench")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--engine ray: no cluster answers at {address} ({first_line(error)}); "
            "`ray start --head` makes this machine one"
        ) from error


@contextmanager
def _kept_handlers() -> Iterator[None]:
    """Restore the signal handlers that Ray replaces: on SIGTERM, states are saved first."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
