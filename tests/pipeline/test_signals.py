"""Signals stop what is at work once, with one line, wherever they come."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import NoReturn

import pytest

from benchmark.core.cli import EXIT_OK, Interrupted, Interruption, held_signals, run_command
from benchmark.core.environment import Environment
from benchmark.core.errors import UserError
from benchmark.core.store_address import StoreAddress
from benchmark.pipeline import messages
from benchmark.pipeline.worker import HELD
from benchmark.stages.base import Machine

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ROOT = Path(__file__).parents[2]


class Cell:
    """Something that can be referred to weakly."""


def in_a_callback_of_the_collector(signum: int) -> None:
    """Python prints what is raised there, and goes on."""
    cell = Cell()
    reference = weakref.ref(cell, lambda _: signal.raise_signal(signum))
    del cell
    assert reference() is None


def wait_for_a_signal() -> int:
    """Returns where none comes."""
    late = time.monotonic() + 20
    while time.monotonic() < late:
        time.sleep(0.01)
    return EXIT_OK


def said(signum: signal.Signals) -> str:
    return f"stopped by {signum.name}; the same command goes on from the last saved state\n"


@pytest.fixture(autouse=True)
def _handlers_are_given_back() -> Iterator[None]:
    before = [*map(signal.getsignal, SIGNALS), sys.unraisablehook]
    yield
    assert [*map(signal.getsignal, SIGNALS), sys.unraisablehook] == before


# ---------------------------------------------------------------------------------------------------- a command
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_command_is_stopped_with_one_line(signum: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: signal.raise_signal(signum)) == 128 + signum
    assert capsys.readouterr().err == said(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_stop_that_python_only_reports_is_not_lost(
    signum: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        in_a_callback_of_the_collector(signum)
        return wait_for_a_signal()

    assert run_command(work) == 128 + signum
    assert capsys.readouterr().err == said(signum)


def test_a_stop_that_is_lost_again_and_again_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        for _ in range(3):
            in_a_callback_of_the_collector(signal.SIGTERM)
        return wait_for_a_signal()

    assert run_command(work) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == said(signal.SIGTERM)


def test_what_else_is_raised_in_a_callback_is_still_reported() -> None:
    reported: list[BaseException | None] = []

    def fail(_: object) -> NoReturn:
        raise ValueError("in a callback")

    def work() -> int:
        cell = Cell()
        reference = weakref.ref(cell, fail)
        del cell
        assert reference() is None
        return 7

    before, sys.unraisablehook = sys.unraisablehook, lambda lost: reported.append(lost.exc_value)
    try:
        assert run_command(work) == 7
    finally:
        sys.unraisablehook = before
    assert [repr(error) for error in reported] == ["ValueError('in a callback')"]


def test_a_command_that_ends_before_a_lost_stop_comes_again_has_ended() -> None:
    assert run_command(lambda: in_a_callback_of_the_collector(signal.SIGTERM)) == EXIT_OK
    time.sleep(3 * Interruption.AGAIN)  # pytest would be stopped


def bad_input() -> NoReturn:
    raise UserError("the input")


@pytest.mark.parametrize(
    ("work", "status", "words"),
    [
        (lambda: signal.raise_signal(signal.SIGINT), 128 + signal.SIGINT, said(signal.SIGINT)),
        (bad_input, 2, "error: the input\n"),
    ],
)
def test_a_signal_does_not_cut_the_last_message(
    work: Callable[[], None], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    class Interrupting:
        """Stderr, as another signal comes."""

        def write(self, text: str) -> None:
            signal.raise_signal(signal.SIGTERM)
            written.append(text)

    monkeypatch.setattr(sys, "stderr", Interrupting())
    assert run_command(work) == status
    assert "".join(written) == words


def cut_by(signum: signal.Signals) -> NoReturn:
    signal.raise_signal(signum)
    raise UserError("an error of the block, which is told")


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_that_nobody_has_acted_on_is_raised_where_signals_are_let_go(signum: signal.Signals) -> None:
    """The last stage of the workers may end as it comes."""
    with pytest.raises(Interrupted) as stop, held_signals():
        signal.raise_signal(signum)
    assert stop.value.signum == signum
    with pytest.raises(UserError), held_signals():
        cut_by(signum)


def test_nohup_is_heeded(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_command(lambda: signal.raise_signal(signal.SIGHUP)) == EXIT_OK
        with held_signals() as received:
            signal.raise_signal(signal.SIGHUP)
        assert received == []
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err == ""


def test_a_clean_up_is_not_interrupted_again() -> None:
    cleaned = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    interruption = Interruption([signal.SIGTERM], once=True)
    try:
        with pytest.raises(Interrupted):
            work()
    finally:
        interruption.restore()
    assert cleaned


# ---------------------------------------------------------------------------------------------------- a worker
class Worker:
    """`benchmark.pipeline.worker` with other work: the text of a function `work(parent, setup)`."""

    def __init__(self, folder: Path, work: str) -> None:
        self.connection, theirs = Pipe()
        script = folder / "worker.py"
        script.write_text(
            "import signal, sys, time\n"
            "from benchmark.pipeline import messages, worker\n"
            "from benchmark.core.cli import held_signals\n"
            f"{work}\n"
            "worker.work = work\n"
            "sys.exit(worker.main(int(sys.argv[1])))\n"
        )
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(theirs.fileno())],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, pass_fds=[theirs.fileno()],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        environment = Environment("test", "cpu", 1)
        self.connection.send_bytes(
            pickle.dumps(messages.WorkerSetup({}, StoreAddress(folder), Machine("cpu", 1), environment, quiet=True))
        )

    def end(self) -> list[messages.Report]:
        """All that it has said, and that it ended well and quietly."""
        reports = []
        with self.connection:
            while self.connection.poll(60):
                try:
                    reports.append(self.connection.recv())
                except EOFError:
                    break
        written, _ = self.process.communicate(timeout=60)
        assert (self.process.returncode, written) == (0, "")
        return reports


def ready(connection: Connection) -> None:
    assert connection.recv() == messages.Say("ready")


def test_a_worker_stopped_while_it_says_that_it_was_stopped_reports_it_once(tmp_path: Path) -> None:
    worker = Worker(
        tmp_path,
        "def peak_memory():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    return 0\n"
        "worker.peak_memory = peak_memory\n"
        "def work(parent, setup):\n"
        "    signal.raise_signal(signal.SIGTERM)\n",
    )
    (report,) = worker.end()
    assert isinstance(report, messages.Stopped)
    assert report.signum == signal.SIGTERM


def test_a_worker_stopped_while_it_says_that_it_failed_says_that_it_failed(tmp_path: Path) -> None:
    worker = Worker(
        tmp_path,
        "from benchmark.core.errors import RunFailed\n"
        "def as_sent(error):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    return error\n"
        "worker._as_sent = as_sent\n"
        "def work(parent, setup):\n"
        "    raise RunFailed('no luck')\n",
    )
    (report,) = worker.end()
    assert isinstance(report, messages.Failed)
    assert str(report.error) == "no luck"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_a_worker_leaves_what_a_terminal_sends_to_its_parent(tmp_path: Path, signum: signal.Signals) -> None:
    """Also where it holds signals, as a training does."""
    worker = Worker(
        tmp_path,
        "def work(parent, setup):\n"
        "    with held_signals() as received:\n"
        "        parent.send(messages.Say('ready'))\n"
        "        while not received:\n"
        "            time.sleep(0.01)\n"
        "        parent.send(messages.Say(' '.join(signal.Signals(number).name for number in received)))\n",
    )
    ready(worker.connection)
    worker.process.send_signal(signum)
    time.sleep(0.2)
    worker.connection.send(messages.Stop())
    message, stopped = worker.end()
    assert message == messages.Say("SIGTERM")
    assert isinstance(stopped, messages.Stopped)


def test_a_stop_of_a_worker_that_python_only_reports_is_not_lost(tmp_path: Path) -> None:
    worker = Worker(
        tmp_path,
        "from tests.pipeline.test_signals import in_a_callback_of_the_collector, wait_for_a_signal\n"
        "def work(parent, setup):\n"
        "    in_a_callback_of_the_collector(signal.SIGTERM)\n"
        "    wait_for_a_signal()\n"
        "    parent.send(messages.Say('late'))\n",
    )
    (report,) = worker.end()
    assert isinstance(report, messages.Stopped)
