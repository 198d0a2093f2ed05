"""Stages that take a moment and show what became of them: which steps were done, and by how many processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from benchmark.core.cli import Interrupted, held_signals
from benchmark.core.hashes import write_text
from benchmark.stages.base import Context, NoFacts, Stage, StageResult, Work

STATE = "counted.txt"


class Counting(Stage[NoFacts]):
    """A training: it adds a number to its state every now and then, and goes on from there."""

    kind, facts_type, files, state = "train", NoFacts, ("result.txt",), STATE

    def __init__(self, name: str, steps: int, die_at: tuple[int, ...] = (), seconds: float = 0.1) -> None:
        """die_at: steps at which its process is killed before the state is saved, each time that it comes there."""
        self.steps, self.die_at, self.seconds = steps, die_at, seconds
        super().__init__(name, {"name": name, "steps": steps, "die_at": [*die_at]}, {})

    def work(self) -> Work:
        return Work("count", self.steps, 1000)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        path = folder / STATE
        done = path.read_text().split(",") if path.exists() else []
        with context.reporter.bar(self.name, self.steps, len(done)) as bar, held_signals() as received:
            while len(done) < self.steps:
                time.sleep(self.seconds)
                if len(done) in self.die_at:
                    print(f"about to die at {len(done)}", flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)
                done.append(str(len(done)))
                write_text(path, ",".join(done))
                bar.advance(1)
                if received:
                    raise Interrupted(received[0])
        write_text(folder / "result.txt", ",".join(done))
        return StageResult(NoFacts())


class Joined(Stage[NoFacts]):
    """A short stage: how many lines its inputs have, and how many of them were made by this process."""

    kind, facts_type, files = "synth", NoFacts, ("result.txt",)

    def __init__(self, name: str, *inputs: Stage) -> None:
        super().__init__(name, {"name": name}, {stage.name: stage for stage in inputs})

    def work(self) -> Work:
        return Work("join", 1, 1000)

    def run(self, context: Context, folder: Path) -> StageResult[NoFacts]:
        texts = [(stage.folder(context) / "result.txt").read_text() for stage in self.inputs.values()]
        counts = [int(text.split()[0]) if "lines" in text else len(text.split(",")) for text in texts]
        write_text(folder / "result.txt", f"{sum(counts)} lines in {len(counts)}")
        return StageResult(NoFacts())


class Last(Joined):
    """What the driver makes itself."""

    kind = "reports"
