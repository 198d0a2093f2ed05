"""Make the missing stages of a plan in the processes of an engine.

This process alone draws on the terminal and logs to MLflow. It makes the report itself, which waits for all others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from benchmark.core.artifacts import Store
from benchmark.core.cli import Interrupted, held_signals
from benchmark.core.errors import RunFailed
from benchmark.core.progress import Bar, Pace, PlanProgress
from benchmark.core.store_address import StoreAddress
from benchmark.pipeline import messages
from benchmark.pipeline.engines.executor import Died, Event, Executor, Job, MessageReceived, Output, Refused, Resources
from benchmark.pipeline.engines.open import open_executor
from benchmark.pipeline.engines.options import LOCAL, EngineOptions
from benchmark.pipeline.schedule import Schedule
from benchmark.stages.base import Context, Stage, make

POLL = 0.25
"""Seconds between two checks for received signals."""
DEATHS = 3
"""The run fails after so many processes in succession have died at one stage without saving a new state."""
ELSEWHERE = 2.0
"""Seconds between two checks of the stages that other processes are making."""
ESTIMATES = 0.05
"""Largest share of the time for estimates of the time left."""


def make_stages(
    schedule: Schedule,
    last: Stage | None,
    context: Context,
    jobs: int,
    engine: EngineOptions = LOCAL,
    memory: Callable[[Stage], int | None] = lambda _: None,
) -> None:
    """Make all stages of a schedule, `jobs` at a time; `last`, if there is one, and with one job all, in this process.

    Stages of a shared store are made by a worker also where there is one job: it goes on with others while another
    process is at work on one of them. memory: measured bytes of a stage's kind of work.

    Raises what the first stage that fails raises, RunFailed where a worker is killed, and Interrupted; the other stages
    are stopped first, and their states saved.
    """
    with context.reporter.plan_progress(schedule.unfinished) as progress:
        others = any(stage is not last for stage in schedule.remaining)
        if others and (jobs > 1 or engine.is_remote or context.store.shared):
            executor = open_executor(engine, _setup(schedule, last, context), jobs)
            Driver(schedule, last, context, executor, jobs, progress, memory).run()
        for stage in schedule.remaining:
            schedule.start(stage)
            progress.begin(stage.name, schedule.left(1))
            started = time.monotonic()
            make(stage, context)
            schedule.finish(stage)
            progress.end(stage.name, time.monotonic() - started)


def _address(store: Store) -> StoreAddress:
    return StoreAddress(store.root.absolute(), store.shared, store.url)


def _setup(schedule: Schedule, last: Stage | None, context: Context) -> messages.WorkerSetup:
    return messages.WorkerSetup(
        {stage.recipe.key: stage for stage in schedule.remaining if stage is not last},
        _address(context.store),
        context.machine,
        context.environment,
        context.reporter.quiet,
    )


@dataclass
class RunningJob:
    """A submitted job: the stages that it has not finished, and the bar of the first of them."""

    stages: list[Stage]
    state: object
    """Saved state of the first stage when work on it began."""
    label: str = ""
    """Name of the first stage in the progress display; "" until it begins."""
    again: bool = False
    """Whether its process repeats a stage that the job had finished before a restart."""
    bar: Bar | None = None
    pace: Pace | None = None
    drawn: ExitStack = field(default_factory=ExitStack)

    def begin_bar(self, bar: AbstractContextManager[Bar], pace: Pace) -> None:
        """Begin to draw the bar of the first stage."""
        self.bar, self.pace = self.drawn.enter_context(bar), pace

    def move_bar(self, count: int, note: str | None) -> None:
        """Advance the bar."""
        if self.bar is not None and self.pace is not None:
            if note is not None:
                self.bar.note(note)
            self.bar.advance(count)
            self.pace.advance(count)

    def end_bar(self) -> None:
        """Remove the bar."""
        self.drawn.close()
        self.bar = self.pace = None


class Driver:
    """Submits the stages of a schedule to an executor, and acts on the messages and ends of its processes."""

    def __init__(
        self,
        schedule: Schedule,
        last: Stage | None,
        context: Context,
        executor: Executor,
        jobs: int,
        progress: PlanProgress,
        memory: Callable[[Stage], int | None] = lambda _: None,
    ) -> None:
        """last: the stage for this process. jobs: number of parallel jobs, for the estimate."""
        self._schedule, self._last, self._context, self._jobs, self._progress = schedule, last, context, jobs, progress
        self._executor, self._store, self._reporter, self._memory = executor, context.store, context.reporter, memory
        self._mine = sum(stage is last for stage in schedule.remaining)
        """Number of stages for this process; 0 where the report exists."""
        self._running: dict[int, RunningJob] = {}
        self._submitted, self._stopping = 0, False
        self._elsewhere: list[Stage] = []
        self._looked = 0.0
        self._deaths: Counter[str] = Counter()
        self._received: list[int] = []
        self._estimate, self._estimated, self._next_estimate = 0.0, 0.0, 0.0

    def run(self) -> None:
        """Make all stages but the last."""
        with held_signals() as self._received:
            try:
                while self._schedule.unfinished > self._mine:
                    if self._received:
                        raise Interrupted(self._received[0])
                    self._submit()
                    for event in self._executor.receive(POLL):
                        self._handle(event)
                    self._look_elsewhere()
                    self._progress.left(self._left())
            except BaseException:
                self._stop()
                raise
            finally:
                self._executor.close()

    # ------------------------------------------------------------------------------------------------ handing out
    def _submit(self) -> None:
        """Submit ready stages while the executor has room."""
        while self._executor.room > 0:
            stage = next((stage for stage in self._schedule.ready(2) if stage is not self._last), None)
            if stage is None:
                return
            stages = self._schedule.group(stage, self._is_short, self._executor.together)
            for each in stages:
                self._schedule.start(each)
            self._submitted += 1
            job = self._running[self._submitted] = RunningJob(stages, self._store.saved_state(stage.recipe))
            if not self._executor.remote:
                self._begin(job, "")
            self._executor.submit(Job(self._submitted, tuple(stages), self._resources(stage)))

    def _is_short(self, stage: Stage) -> bool:
        """Return whether a stage may share a process: it saves no state, and is not made in this process."""
        return not stage.recipe.state and stage is not self._last

    def _resources(self, stage: Stage) -> Resources:
        machine = self._context.machine
        memory = self._memory(stage) if self._executor.remote else None
        return Resources(machine.threads, 1.0 if machine.device == "cuda" else 0.0, memory)

    def _begin(self, job: RunningJob, node: str) -> None:
        """Note that work on the first stage of a job begins."""
        stage = job.stages[0]
        job.label = f"{stage.name} @ {node}" if node else stage.name
        self._progress.begin(job.label, self._left())

    def _left(self) -> float:
        """Return the estimated seconds left; for a large plan the estimate is cached for a moment."""
        now = time.monotonic()
        if now >= self._next_estimate:
            running = {
                job.stages[0].recipe.key: job.pace.left
                for job in self._running.values()
                if job.pace is not None and job.pace.left is not None
            }
            self._estimate, self._estimated = self._schedule.left(self._jobs, running), now
            self._next_estimate = now + (time.monotonic() - now) / ESTIMATES
        return max(0.0, self._estimate - (now - self._estimated))

    # ------------------------------------------------------------------------------------------------ listening
    def _handle(self, event: Event) -> None:
        """Handle one event. Raises the error that ends the run."""
        match event:
            case MessageReceived(None, messages.Failed(error)):
                raise error
            case MessageReceived(None, messages.Stopped(signum, _)):
                raise Interrupted(signum)
            case MessageReceived(number, message, worker) if number in self._running:
                self._receive(number, message, worker)
            case Output(line):
                self._reporter.pass_on(line)
            case Died():
                self._handle_death(event)
            case Refused(number, why):
                self._reporter.say(f"{self._give_up(number)[0].name}: {why}; it goes to another one")

    def _receive(self, number: int, message: messages.Report, worker: int) -> None:
        """Handle a message of the process that makes a job."""
        job = self._running[number]
        match message:
            case messages.Say(text, warning):
                (self._reporter.warn if warning else self._reporter.say)(text)
            case messages.Begins(key, node):
                self._put_back(job)  # after a restart of the job
                job.again = key != job.stages[0].recipe.key
                if not job.again:
                    self._begin(job, node)
            case messages.Requeued():
                self._put_back(job)
                job.state = self._store.saved_state(job.stages[0].recipe)
                self._reporter.say(f"{job.stages[0].name}: its job is queued again, and goes on from the saved state")
            case messages.Done() | messages.Elsewhere() if job.again:
                pass  # the message came before the restart, too
            case messages.BarBegins(name, total, done):
                label = name.replace(job.stages[0].name, job.label)
                job.begin_bar(self._reporter.bar(label, total, done), Pace(total, done))
            case messages.BarMoves(count, note):
                job.move_bar(count, note)
            case messages.BarEnds():
                job.end_bar()
            case messages.Losses(training, history):
                self._context.tracker.losses(training)(history)
            case messages.Done(seconds, peak):
                self._measured(worker, peak)
                stage = self._next_stage(number)
                self._schedule.finish(stage)
                self._progress.end(job.label, seconds)
                job.label = ""
            case messages.Elsewhere():
                self._leave(number)
            case messages.Failed(error):
                self._give_up(number)
                raise error
            case messages.Stopped(signum, peak):
                self._measured(worker, peak)
                stages = self._give_up(number)
                if not self._executor.remote:
                    raise Interrupted(signum)
                if not self._stopping:
                    self._reporter.say(f"{stages[0].name}: its machine is wanted back; it goes on from the saved state")

    def _measured(self, worker: int, peak: int) -> None:
        """Note the peak memory of a process of this machine."""
        if not self._executor.remote:
            self._context.peaks.workers[worker] = peak

    def _next_stage(self, number: int) -> Stage:
        """Remove the first stage of a job and return it; remove the job after its last stage."""
        job = self._running[number]
        stage = job.stages.pop(0)
        job.end_bar()
        if not job.stages:
            del self._running[number]
        elif not job.stages[0].recipe.state:
            job.state = None
        return stage

    def _give_up(self, number: int) -> list[Stage]:
        """Put the stages of a lost job back into the schedule and return them."""
        job = self._running.pop(number)
        self._put_back(job)
        for stage in job.stages:
            self._schedule.put_back(stage)
        return job.stages

    def _put_back(self, job: RunningJob) -> None:
        """Note that work on the first stage of a job ended without a result."""
        job.end_bar()
        if job.label:
            self._progress.put_back(job.label)
        job.label = ""

    def _handle_death(self, died: Died) -> None:
        """Reschedule the stages of a lost process. Raises RunFailed after too many losses without progress."""
        job = self._running.get(died.job) if died.job is not None else None
        name = job.stages[0].name if job is not None else "worker"
        if died.job is not None and job is not None:
            self._give_up(died.job)
        if not self._executor.remote:
            raise RunFailed(
                f"{name}: its process {died.ending}; the same command goes on, and with --jobs 1 needs less memory"
            )
        if job is None or self._stopping:
            return
        recipe = job.stages[0].recipe
        advanced = bool(recipe.state) and self._store.saved_state(recipe) != job.state
        self._deaths[recipe.key] = 0 if advanced else self._deaths[recipe.key] + 1
        if self._deaths[recipe.key] >= DEATHS:
            log = "".join(f"\n  {line}" for line in died.log)
            raise RunFailed(
                f"{name}: its process died {DEATHS} times without progress; the last one {died.ending}"
                + (f", and its last lines were:{log}" if log else "")
            )
        self._reporter.say(f"{name}: its process {died.ending}; it goes on elsewhere from what is saved")

    # ------------------------------------------------------------------------------------------------ other processes
    def _leave(self, number: int) -> None:
        """Leave the first stage of a job to another process that is making it."""
        self._put_back(self._running[number])
        stage = self._next_stage(number)
        if not self._elsewhere:
            self._looked = time.monotonic()
        self._elsewhere.append(stage)
        self._reporter.say(f"{stage.name}: another process is at work on it")

    def _look_elsewhere(self) -> None:
        """Finish stages that other processes have made, and reschedule those that they gave up."""
        if not self._elsewhere or time.monotonic() < self._looked + ELSEWHERE:
            return
        self._looked = time.monotonic()
        for stage in self._elsewhere[:]:
            if self._store.exists(stage.recipe):
                self._schedule.finish(stage)
                self._progress.begin(stage.name, self._left())
                self._progress.end(stage.name, 0.0)
            elif self._store.is_free(stage.recipe):
                self._schedule.put_back(stage)
            else:
                continue
            self._elsewhere.remove(stage)

    # ------------------------------------------------------------------------------------------------ stopping
    def _stop(self) -> None:
        """Make all processes save their states and wait for them; a further signal kills them."""
        self._stopping = True
        busy = [job.stages[0].name for job in self._running.values()]
        self._executor.cancel()
        if busy and self._executor.running:
            self._reporter.say(f"waiting until {' and '.join(busy)} can be left; Ctrl-C again ends at once")
        begun, come = time.monotonic(), len(self._received)
        while self._executor.running:
            if time.monotonic() < begun + 1:
                come = len(self._received)  # a signal to a process group may arrive twice
            elif len(self._received) > come:
                self._executor.kill()
            try:
                for event in self._executor.receive(POLL):
                    self._handle(event)
            except (Exception, Interrupted):  # the first error is reported
                continue
