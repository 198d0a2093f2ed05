"""What cannot be written, to stdout or stderr, is one line and status 1, or costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.core.cli import EXIT_FAILED, EXIT_OK, run_command
from benchmark.core.errors import UserError
from benchmark.core.progress import Reporter

ROOT = Path(__file__).parents[2]
LINE = "failed: cannot write (No space left on device): make room; the same command goes on from what is saved\n"


@pytest.mark.parametrize(
    "call", [["benchmark"], ["benchmark.run", "--help"], ["benchmark.import_checkpoint", "--help"]]
)
def test_a_full_stdout_is_one_line(call: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *call], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (EXIT_FAILED, LINE)


@pytest.mark.parametrize("size", [10, 10**6])
def test_a_full_stdout_is_noticed_however_much_is_written(
    size: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched, Path("/dev/full").open("w") as full:
        patched.setattr(sys, "stdout", full)
        assert run_command(lambda: sys.stdout.write("x" * size) * 0) == EXIT_FAILED
    assert capsys.readouterr().err == LINE


def test_a_full_stderr_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        reporter = Reporter()
        reporter.say("a line")
        reporter.warn("a warning")
        with reporter.bar("work", 2) as bar:
            bar.advance(2)

    def fail() -> None:
        raise UserError("the input")

    with monkeypatch.context() as patched, Path("/dev/full").open("w", buffering=1) as full:
        patched.setattr(sys, "stderr", full)
        assert run_command(work) == EXIT_OK
        assert run_command(fail) == 2
        patched.setattr(full, "close", lambda: None)
