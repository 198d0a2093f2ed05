"""What is drawn while stages are made, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from benchmark.core.progress import Pace, Reporter, counted


def terminal(width: int = 120) -> tuple[Reporter, io.StringIO]:
    reporter, written = Reporter(), io.StringIO()
    reporter.console = Console(file=written, force_terminal=True, width=width, height=20, color_system=None)
    return reporter, written


def shown(reporter: Reporter) -> list[str]:
    """The lines of bars as they stand."""
    progress: Any = reporter._shared
    out = io.StringIO()
    Console(file=out, width=reporter.console.width).print(progress.get_renderable())
    return out.getvalue().splitlines()


def test_every_stage_under_way_has_a_row_and_so_has_the_whole() -> None:
    reporter, written = terminal()
    with reporter.plan_progress(7) as progress:
        progress.begin("train a", 700)
        progress.begin("judge F", 3661)
        with reporter.bar("train a", 100, 20) as bar:
            bar.advance(30)
            bar.note("distance 0.5 " * 20)
            everything, training, judge = shown(reporter)
            assert re.search(r"^all stages .* 0/7 +0:00:00 left 1:01:0[01] ", everything)
            assert re.search(r"^train a .* 50/100 +0:00:00 left \S+ +distance 0.5 .*…$", training)
            assert judge.startswith("judge F")
            progress.end("judge F", 12.4)
            progress.left(59)
            everything, training = shown(reporter)
            assert re.search(r"1/7 +0:00:00 left 0:00:5[89]", everything)
            assert "50/100" in training
    assert "[1/7] judge F, 12 s" in written.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_long_notes_leave_the_rest_of_the_line_alone(width: int) -> None:
    reporter, _ = terminal(width)
    with reporter.plan_progress(12) as progress:
        progress.begin("train ganimation F&P seed 0", 1)
        with reporter.bar("train ganimation F&P seed 0", 5000) as bar:
            bar.advance(1234)
            bar.note("critic/penalty 0.123456789 " * 10)
            line = shown(reporter)[1]
            assert len(line) <= width
            assert line.startswith("train ganimation F&P seed 0 ")
            assert "1234/5000 0:00:00 left" in line


def test_without_a_terminal_every_stage_has_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    with reporter.plan_progress(2) as progress:
        progress.begin("prepare", 130)
        with reporter.bar("prepare", 4) as bar:
            bar.advance(4)
        progress.end("prepare", 1)
        progress.begin("report", 7)
    assert capfd.readouterr().err == (
        "[1/2] prepare; about 2 min 10 s left in all\nprepare: 4 to do\nprepare: 4/4, done in 0 s\n"
        "[2/2] report; about 7 s left in all\n"
    )


def test_quiet_says_warnings_alone(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(quiet=True)
    with reporter.plan_progress(1) as progress, reporter.bar("a", 1) as bar:
        progress.begin("a", 1)
        bar.advance(1)
        reporter.say("nothing")
        reporter.warn("something")
    assert capfd.readouterr().err == "warning: something\n"


def test_the_pace_is_that_of_this_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("benchmark.core.progress.time.monotonic", lambda: now)
    pace = Pace(100, 60)
    assert pace.left is None
    pace.advance(10)
    now = 105.0
    assert pace.left == 5 / 10 * 30


def test_counts_become_steps() -> None:
    class Bar:
        steps: list[int] = []  # noqa: RUF012

        def advance(self, count: int) -> None:
            self.steps.append(count)

        def note(self, text: str) -> None:
            raise AssertionError

    bar = Bar()
    tell = counted(bar, 3)
    for total in (5, 5, 9):
        tell(total)
    assert bar.steps == [2, 0, 4]
