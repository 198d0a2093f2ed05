"""The Slurm engine: a job of the queue for each training, and one for a group of short stages, by submitit.

Jobs write their messages into a file of the shared folder, so the driver may end, or die, and be called again: it finds
the jobs that are still queued or running, and reads all their messages.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import submitit
from submitit.helpers import DelayedSubmission

from benchmark.core.errors import UserError
from benchmark.core.hashes import write_text
from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Died, Event, Executor, Job, MessageReceived, Refused, Resources
from benchmark.pipeline.engines.options import DAY, EngineOptions, check_sbatch, minutes
from benchmark.pipeline.engines.relay import Fitness, Relay, tied_to
from benchmark.pipeline.request import code_of_project

FOLDER = "slurm"
"""Folders below the store's root: submitit's files, and one folder for each job."""
TOGETHER = 1800.0
"""Expected seconds of short stages in one job of the queue."""
SIGNAL_SECONDS = 120
"""Seconds before the time limit at which a job saves its state and goes back to the queue."""
MANY = 1000
"""Most time limits that a training may reach: submitit counts some pre-emptions as one."""
LOOK = 2.0
"""Seconds between two reads of the files of jobs."""
MOST_UNFIT = 20
SPOOL, STOP = "messages", "stop"
OVER = ("COMPLETED", "FINISHED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL",
        "DEADLINE", "INTERRUPTED", "NO PROCESS AND NO RESULT")  # fmt: skip
"""States of jobs that have ended, as sacct and submitit's local executor say."""

JOBS: dict[str, Any] = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
"""Class that follows a job of an earlier call by its id, by cluster; `AutoExecutor` has none."""


class Spool:
    """A file that one process adds pickled messages to, and another reads as they come."""

    def __init__(self, folder: Path) -> None:
        self._path, self._read = folder / SPOOL, 0

    @property
    def begun(self) -> bool:
        """Return whether a message was ever added."""
        return self._path.exists()

    def repair(self) -> None:
        """Cut off the incomplete last message of a killed process, so that the next one can be read."""
        if self.begun:
            for _ in self.new():
                pass
            os.truncate(self._path, self._read)

    def add(self, message: object) -> None:
        """Add a message, its length first."""
        content = pickle.dumps(message)
        with self._path.open("ab") as stream:
            stream.write(len(content).to_bytes(8, "big") + content)

    def new(self) -> Iterator[Any]:
        """Yield the complete messages that were not read before."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._read)
                content = stream.read()
        except FileNotFoundError:
            return
        at = 0
        while (end := at + 8 + int.from_bytes(content[at : at + 8], "big")) <= len(content) and at + 8 <= len(content):
            yield pickle.loads(content[at + 8 : end])
            self._read += end - at
            at = end


class QueuedJob:
    """The callable that a job of the queue runs, also after it was requeued."""

    def __init__(self, setup: bytes, keys: Sequence[str], folder: Path, fitness: Fitness) -> None:
        """setup: a pickled `WorkerSetup`. folder: of the job, on the shared file system."""
        self._setup, self._keys, self._folder, self._fitness = setup, list(keys), folder, fitness
        self._relay: Relay | None = None
        self._thread: threading.Thread | None = None
        self._requeued = False

    def __call__(self) -> None:
        """Make the stages in a thread, which the handler of a signal waits for."""
        if not self._folder.is_dir():
            return  # the driver has given it up, and has submitted another one
        Spool(self._folder).repair()
        if fault := self._fitness.fault():
            Spool(self._folder).add((socket.gethostname(), fault))
            return
        self._relay = Relay(self._setup, self._keys, self._send)
        self._thread = threading.Thread(target=self._relay.run)
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(LOOK / 2)
            if (self._folder / STOP).exists():
                self._relay.stop()

    def checkpoint(self) -> DelayedSubmission:
        """Save the state at the time limit or a pre-emption; submitit requeues the job."""
        self._requeued = True
        if self._relay is not None and self._thread is not None:
            self._relay.stop()
            self._thread.join()
        return DelayedSubmission(QueuedJob(self._setup, self._keys, self._folder, self._fitness))

    def _send(self, message: messages.Report) -> None:
        # A worker that is stopped while it starts ends without a message.
        again = self._requeued and isinstance(message, messages.Stopped | messages.Died)
        Spool(self._folder).add(messages.Requeued() if again else message)


@dataclass
class Submitted:
    """A job as the driver follows it."""

    number: int
    queued: Any
    """submitit's job."""
    folder: Path
    unfinished: int
    spool: Spool = field(init=False)
    over_since: float | None = None

    def __post_init__(self) -> None:
        self.spool = Spool(self.folder)


class SlurmExecutor(Executor):
    """Jobs of a Slurm cluster; `cluster="local"` runs them as processes of this machine, for tests."""

    remote = True
    together = TOGETHER

    def __init__(self, options: EngineOptions, setup: messages.WorkerSetup, jobs: int, cluster: str = "slurm") -> None:
        """jobs: most jobs in the queue, and running in one array, at once. Raises UserError without Slurm."""
        if cluster == "slurm":
            check_sbatch()
        self._setup, self._most, self._cluster = setup, jobs, cluster
        self._root = setup.store.root.absolute() / FOLDER
        self._executor = submitit.AutoExecutor(
            self._root / "submitit", cluster=cluster, **{f"{cluster}_max_num_timeout": MANY}
        )
        self._slurm = dict(options.slurm)
        self._fitness = Fitness(code_of_project(), tied_to(options.processor, setup.machine.device))
        self._waiting: list[Job] = []
        self._jobs: dict[int, Submitted] = {}
        self._unfit: list[str] = []
        self._looked = 0.0

    @property
    def room(self) -> int:
        """Return how many more `--jobs` allows."""
        return self._most - len(self._jobs) - len(self._waiting)

    @property
    def running(self) -> bool:
        """Return whether a job is queued or running."""
        return bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Find the job of an earlier call, or submit it with others that come at once."""
        if not self._attach(job):
            self._waiting.append(job)

    def _record(self, job: Job) -> Path:
        return self._root / "jobs" / f"{job.stages[0].recipe.key[:24]}.json"

    def _attach(self, job: Job) -> bool:
        """Follow a job that an earlier call has submitted, if it is still queued or running."""
        try:
            known = json.loads(self._record(job).read_text(encoding="utf-8"))
            same = known["keys"] == [stage.recipe.key for stage in job.stages] and known["cluster"] == self._cluster
            folder = self._root / "jobs" / known["folder"]
            if not same or not folder.is_dir() or (folder / STOP).exists():
                return False  # it was given up, or asked to stop
            queued = JOBS[self._cluster](self._root / "submitit", known["id"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if _is_over(queued):
            return False
        self._jobs[job.number] = Submitted(job.number, queued, folder, len(job.stages))
        return True

    def _submit_waiting(self) -> None:
        """Submit the jobs that wait as arrays, one of each kind of resources."""
        kinds: defaultdict[Resources, list[Job]] = defaultdict(list)
        for job in self._waiting:
            kinds[job.resources].append(job)
        self._waiting = []
        for resources, jobs in kinds.items():
            self._executor.update_parameters(**self._parameters(resources))
            folders = [self._root / "jobs" / uuid4().hex[:12] for _ in jobs]
            with self._executor.batch():
                queued = [self._executor.submit(self._call(job, at)) for job, at in zip(jobs, folders, strict=True)]
            for job, each, folder in zip(jobs, queued, folders, strict=True):
                self._jobs[job.number] = Submitted(job.number, each, folder, len(job.stages))
                keys = [stage.recipe.key for stage in job.stages]
                known = {"id": each.job_id, "folder": folder.name, "keys": keys, "cluster": self._cluster}
                write_text(self._record(job), json.dumps(known))

    def _call(self, job: Job, folder: Path) -> QueuedJob:
        folder.mkdir(parents=True)
        stages = {stage.recipe.key: stage for stage in job.stages}
        setup = pickle.dumps(dataclasses.replace(self._setup, stages=stages))
        return QueuedJob(setup, list(stages), folder, self._fitness)

    def _parameters(self, resources: Resources) -> dict[str, Any]:
        """Return the parameters for submitit. Raises UserError for a time limit that cannot be read."""
        if self._cluster != "slurm":
            return {"timeout_min": DAY}
        others = {name: value for name, value in self._slurm.items() if name not in ("time", "partition")}
        if self._unfit:
            others["exclude"] = ",".join([*filter(None, [others.get("exclude", "")]), *self._unfit])
        parameters: dict[str, Any] = {
            "name": "fesbench",
            "timeout_min": minutes(self._slurm.get("time", str(DAY))),
            "cpus_per_task": resources.threads,
            "slurm_signal_delay_s": SIGNAL_SECONDS,
            "slurm_array_parallelism": self._most,
            "slurm_additional_parameters": others,
        }
        if resources.gpus:
            parameters["gpus_per_node"] = 1
        if resources.memory is not None and "mem" not in others:
            parameters["mem_gb"] = max(1, -(-resources.memory // 10**9))
        if "partition" in self._slurm:
            parameters["slurm_partition"] = self._slurm["partition"]
        return parameters

    # ------------------------------------------------------------------------------------------------ listening
    def receive(self, seconds: float) -> Iterator[Event]:
        """Yield the messages of all jobs, and the ends of those that have sent no final message."""
        if self._waiting:
            self._submit_waiting()
        time.sleep(seconds)
        if time.monotonic() < self._looked + LOOK:
            return
        self._looked = time.monotonic()
        for job in list(self._jobs.values()):
            over = _is_over(job.queued)  # before its last words are read
            for message in job.spool.new():
                yield from self._event(job, message)
            if job.number in self._jobs and over:
                job.over_since = job.over_since or time.monotonic()
                if time.monotonic() > job.over_since + LOOK:  # its file may come late over the network
                    del self._jobs[job.number]
                    yield Died(job.number, f"ended as {job.queued.state}", _last_lines(job.queued))

    def _event(self, job: Submitted, message: messages.Report | tuple[str, str]) -> Iterator[Event]:
        job.over_since = None
        if isinstance(message, tuple):
            node, why = message
            del self._jobs[job.number]
            self._unfit.append(node)
            if len(self._unfit) > MOST_UNFIT:
                raise UserError(f"--engine slurm: {MOST_UNFIT} machines cannot be used; {why}; see --slurm constraint=")
            yield Refused(job.number, why)
            return
        if isinstance(message, messages.Done | messages.Elsewhere):
            job.unfinished -= 1
        if not job.unfinished or isinstance(message, messages.Failed | messages.Stopped | messages.Died):
            self._jobs.pop(job.number, None)
            shutil.rmtree(job.folder, ignore_errors=True)
        if isinstance(message, messages.Died):
            yield Died(job.number, message.ending, message.log)
        else:
            yield MessageReceived(job.number, message)

    # ------------------------------------------------------------------------------------------------ stopping
    def cancel(self) -> None:
        """Make running jobs save their states, and remove the others from the queue."""
        self._waiting = []
        for job in list(self._jobs.values()):
            (job.folder / STOP).touch()
            if not job.spool.begun:
                job.queued.cancel(check=False)
                del self._jobs[job.number]

    def kill(self) -> None:
        """Cancel all jobs."""
        for job in self._jobs.values():
            job.queued.cancel(check=False)
        self._jobs.clear()

    def close(self) -> None:
        """Disconnect; jobs that still run continue without this process."""


def _is_over(queued: Any) -> bool:
    return str(queued.state).upper().startswith(OVER)


def _last_lines(queued: Any, most: int = 20) -> tuple[str, ...]:
    """Return the last lines of a job's log."""
    text = queued.stderr() or queued.stdout() or ""
    return tuple(text.splitlines()[-most:])
