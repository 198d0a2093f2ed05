"""Signals stop what is at work once, with one line, wherever they come."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import pytest

from benchmark import messages, worker
from benchmark.cli import Interrupted, held_signals, run_command
from benchmark.environment import Environment
from benchmark.recipe import Machine

SIGNALS = [signal.SIGINT, signal.SIGTERM]
EQUIPMENT = messages.Equipment


class Cell:
    """Something to refer to."""


def send(signum: int) -> None:
    """To this process; the handler has run when it returns."""
    signal.raise_signal(signum)


def in_a_callback_of_the_collector(signum: int) -> None:
    """Python reports what is raised there, and goes on."""
    cell = Cell()
    reference = weakref.ref(cell, lambda _: send(signum))
    del cell
    assert reference() is None


def wait_for_it() -> int:
    late = time.monotonic() + 10
    while time.monotonic() < late:
        time.sleep(0.01)
    return 0


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_command_is_stopped_with_one_line(signum: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    assert run_command(lambda: send(signum)) == 128 + signum
    assert capsys.readouterr().err == f"stopped by {signum.name}; the same command goes on from the last saved state\n"
    assert [signal.getsignal(number) for number in SIGNALS] == before
