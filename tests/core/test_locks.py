"""Leases: one holder at a time, stale ones taken over by the observer's own clock, and fenced by their numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core import artifacts, locks
from benchmark.core.artifacts import Recipe, Store, is_shared
from benchmark.core.locks import Busy, FolderFiles, Lease, LeaseLost, Leases

KEY = "0123456789abcdef01234567"
BEAT, STALE = 0.05, 0.8
STATE = "state.safetensors"


@pytest.fixture(autouse=True)
def _on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is known to be of this machine, so that heartbeats alone count."""
    monkeypatch.setattr(locks, "_machine", lambda: "")


def leases(folder: Path) -> Leases:
    return Leases(FolderFiles(folder), BEAT, STALE)


def take(of: Leases) -> Lease:
    claim = of.take(KEY, "it")
    assert isinstance(claim, Lease)
    return claim


def wait_for(what: Callable[[], object]) -> float:
    started = time.monotonic()
    while not what():
        assert time.monotonic() < started + 20
        time.sleep(BEAT / 2)
    return time.monotonic() - started


def test_one_holds_a_lease_until_it_releases_it(tmp_path: Path) -> None:
    one, two = leases(tmp_path), leases(tmp_path)
    held = take(one)
    late = time.monotonic() + 1.5 * STALE
    while time.monotonic() < late:
        assert two.take(KEY, "it") is None
        time.sleep(BEAT)
    assert not held.lost()
    one.release(KEY, held)
    assert two.is_free(KEY)
    again = take(two)
    assert again.number == held.number + 1
    assert held.lost()
    two.release(KEY, again)
    assert [path.name for path in (tmp_path / KEY).iterdir()] == [f"{again.number:08d}"]


class SlowFiles(FolderFiles):
    """A store in which a heartbeat takes a while to arrive."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, name: str, content: bytes) -> None:
        if b'"held"' in content:
            self.begun.set()
            self.go_on.wait(5)
        super().write(name, content)


def test_a_heartbeat_on_its_way_does_not_undo_a_release(tmp_path: Path) -> None:
    files = SlowFiles(tmp_path)
    one = Leases(files, BEAT, STALE)
    held = take(one)
    assert files.begun.wait(5)
    threading.Timer(2 * BEAT, files.go_on.set).start()
    one.release(KEY, held)
    time.sleep(4 * BEAT)
    assert leases(tmp_path).is_free(KEY)


def test_a_lease_whose_heart_stops_is_taken_over_after_a_while(tmp_path: Path) -> None:
    one, two = leases(tmp_path), leases(tmp_path)
    held = take(one)
    held.ended.set()
    assert wait_for(lambda: two.is_free(KEY)) >= STALE - 4 * BEAT
    two.end_stale(KEY)
    assert held.lost()
    assert take(leases(tmp_path)).number == held.number + 2  # who has not watched it need not


@pytest.mark.parametrize("minutes", [-1, 1])
def test_clocks_a_minute_apart_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Neither the wall clock nor the times of files take part: the holder's are those of another machine."""
    held = take(leases(tmp_path))
    monkeypatch.setattr(time, "time", lambda: 60.0 * minutes)
    other = leases(tmp_path)
    late = time.monotonic() + 1.5 * STALE
    while time.monotonic() < late:
        file = tmp_path / KEY / f"{held.number:08d}"
        os.utime(file, (60.0 * minutes, 60.0 * minutes))
        assert not other.is_free(KEY)
        time.sleep(BEAT)
    held.ended.set()
    assert wait_for(lambda: other.is_free(KEY)) >= STALE - 4 * BEAT


def test_a_half_written_lease_counts_by_its_age(tmp_path: Path) -> None:
    (tmp_path / KEY).mkdir()
    (tmp_path / KEY / "00000007").write_bytes(b'{"owner": ')
    other = leases(tmp_path)
    assert other.take(KEY, "it") is None
    wait_for(lambda: other.is_free(KEY))
    assert take(other).number == 8


def test_of_many_who_take_a_free_lease_one_gets_it(tmp_path: Path) -> None:
    """Again and again, with the last one's file deleted meanwhile."""
    inside, most, times = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most, times
        mine = Leases(FolderFiles(tmp_path), 10.0, 60.0)
        for _ in range(15):
            with mine.hold(KEY, "it", 30.0):
                with guard:
                    inside += 1
                    most, times = max(most, inside), times + 1
                with guard:
                    inside -= 1

    monkey = locks.POLL
    locks.POLL = 0.001
    try:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        locks.POLL = monkey
    assert (most, times) == (1, 6 * 15)


def test_a_process_of_this_machine_that_was_killed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom benchmark.core.locks import FolderFiles, Leases\n"
        f"Leases(FolderFiles(Path({str(tmp_path)!r}))).take({KEY!r}, 'it')\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    other = Leases(FolderFiles(tmp_path))
    assert other.take(KEY, "it") is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert take(other).number == 2


# ---------------------------------------------------------------------------------------------------- stores
RECIPE = Recipe("train", "train it", {"a": 1}, {}, 1, (), STATE)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """Of two processes, with a fast heart."""
    monkeypatch.setattr(artifacts, "Leases", lambda files: Leases(files, BEAT, STALE))
    return Store(tmp_path, shared=True, patience=0.0), Store(tmp_path, shared=True, patience=0.0)


def finish(store: Store, partial: Path) -> None:
    store.finish(RECIPE, partial, [path.name for path in partial.iterdir()], {}, 0.0, {})


def test_a_store_that_was_shared_once_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Store(tmp_path / "alone").shared
    assert Store(tmp_path / "shared", shared=True).shared
    assert Store(tmp_path / "shared").shared
    mounts = (
        f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path}/n\\040fs nfs4 rw 0 0\ntmpfs {tmp_path}/n\\040fs/t tmpfs rw 0 0\n"
        f"server:/y {tmp_path}/Größe\\040данные nfs4 rw 0 0\n"
    )
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, **how: mounts if str(self) == "/proc/self/mounts" else read(self, **how)
    )
    assert is_shared(tmp_path / "n fs" / "runs")
    assert not is_shared(tmp_path / "n fs" / "t" / "runs")
    assert not is_shared(tmp_path / "n fs2")
    assert is_shared(tmp_path / "Größe данные" / "runs")


def test_what_is_at_work_elsewhere_is_busy_and_then_there(stores: tuple[Store, Store]) -> None:
    one, two = stores
    with one.making(RECIPE) as partial:
        (partial / "file").write_text("content")
        with pytest.raises(Busy, match="another process is at work on 'train it'"), two.making(RECIPE):
            pass
        assert not two.is_free(RECIPE)
        finish(one, partial)
    assert two.exists(RECIPE)
    assert two.find(RECIPE) is not None
    assert not list(one.root.glob("*/*.partial"))


def test_what_a_dead_machine_has_saved_goes_on_elsewhere(stores: tuple[Store, Store]) -> None:
    one, two = stores
    before = two.saved_state(RECIPE)
    making = one.making(RECIPE)
    partial = making.__enter__()
    (partial / STATE).write_text("iteration 5")
    stop_heart(one)
    wait_for(lambda: two.is_free(RECIPE))
    assert two.saved_state(RECIPE) not in (None, before)
    with two.making(RECIPE) as folder:
        assert (folder / STATE).read_text() == "iteration 5"


def test_one_that_was_only_stopped_cannot_write_into_the_work_of_the_next(stores: tuple[Store, Store]) -> None:
    one, two = stores

    def work() -> None:
        with one.making(RECIPE) as mine:
            (mine / STATE).write_text("iteration 5")
            stop_heart(one)
            wait_for(lambda: two.is_free(RECIPE))
            with two.making(RECIPE) as other:
                with pytest.raises(FileNotFoundError):
                    (mine / STATE).write_text("iteration 6, which is late")
                assert (other / STATE).read_text() == "iteration 5"
                (other / "file").write_text("content")
                finish(two, other)
            finish(one, mine)

    with pytest.raises(LeaseLost, match="train it: another process has taken it over"):
        work()
    assert two.find(RECIPE) is not None


def stop_heart(store: Store) -> None:
    """As SIGSTOP does to the process of a store: its threads stand still."""
    for thread in threading.enumerate():
        beating = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(beating, Lease) and beating.leases is store._locks:
            beating.ended.set()
