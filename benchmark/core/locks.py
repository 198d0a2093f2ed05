"""Locks of artifacts: the kernel's on one machine, leases with a heartbeat where several machines share a folder.

A lease is a numbered file in a folder of its key, `leases/KEY/00000003`. Who creates the next number, which the file
system lets only one do, holds the lease, and changes the file every `HEARTBEAT` seconds. No clock of another machine is
read: a lease is stale when its file has not changed for `STALE` seconds of the observer's own monotonic clock, or when
its process was on this machine and is gone. The number is also a fence: what a holder writes carries it, so that one
that was stopped for an hour cannot write into the work of the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from benchmark.core.errors import UserError

Tell = Callable[[str], None]
POLL = 0.2
"""Seconds between two tries for a lock that another process holds."""
HEARTBEAT, STALE = 10.0, 60.0
"""Seconds between two changes of a held lease, and without a change after which it is stale."""
NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "beegfs", "fhgfs", "gpfs", "ceph", "fuse.ceph", "glusterfs",
    "fuse.glusterfs", "fuse.sshfs", "fuse.juicefs", "afs", "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2",
})  # fmt: skip
"""Types of file systems that several machines share."""
ESCAPED = re.compile(r"\\([0-7]{3})")
"""A space, tab, newline or backslash in the path of a mount, as the kernel writes it."""


class Busy(UserError):  # noqa: N818 - the name says what is wrong
    """Another process makes the same artifact."""


class LeaseLost(Exception):  # noqa: N818 - the name says what is wrong
    """Another process has taken over the artifact that this one was making, since its lease was stale."""


def is_network(folder: Path) -> bool:
    """Return whether several machines share the file system of a folder, by its type; False where unknown."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    here = Path(os.path.realpath(folder))  # resolve() raises RuntimeError for a loop of links
    deepest = ("", "")
    for line in mounts:
        _, point, kind, *_ = line.split()
        point = ESCAPED.sub(lambda match: chr(int(match[1], 8)), point)
        if here.is_relative_to(point) and len(point) >= len(deepest[0]):
            deepest = point, kind
    return deepest[1] in NETWORK


class Claim(ABC):
    """A lock that is held."""

    number: int | None = None
    """Another one for every holder of a lease; None for a lock of the kernel."""

    @abstractmethod
    def lost(self) -> bool:
        """Return whether another process has taken over."""


class Locks(ABC):
    """Locks by key."""

    shared: bool
    """Whether they hold between machines."""

    @abstractmethod
    def take(self, key: str, name: str) -> Claim | None:
        """Take a lock; return None where another process holds it. name: of the artifact, for messages."""

    @abstractmethod
    def release(self, key: str, claim: Claim) -> None:
        """Release a lock."""

    @abstractmethod
    def where(self, key: str) -> str:
        """Name the lock in a message: its path, or its lease."""

    @abstractmethod
    def latest(self, key: str) -> int:
        """Return the number of the last lease; 0 where there was none."""

    def is_free(self, key: str) -> bool:
        """Return whether nobody holds the lock. A stale lease is noticed only if this is called repeatedly."""
        claim = self.take(key, "")
        if claim is not None:
            self.release(key, claim)
        return claim is not None

    @abstractmethod
    def end_stale(self, key: str) -> None:
        """Release a lock that `is_free` has reported as stale, so that the next process can take it at once."""

    @contextmanager
    def hold(self, key: str, name: str, patience: float = 0.0, tell: Tell = lambda _: None) -> Iterator[Claim]:
        """Hold a lock. Raises Busy where another process holds it for longer than `patience` seconds."""
        until = time.monotonic() + patience
        told = False
        while (claim := self.take(key, name)) is None:
            if time.monotonic() >= until:
                raise Busy(
                    f"another process is at work on '{name}' ({self.where(key)}); wait for it, or give this one its "
                    "own --out or --store"
                )
            if not told:
                tell(f"{name}: waiting until another process, which is at work on it, ends")
                told = True
            time.sleep(POLL)
        try:
            yield claim
        finally:
            self.release(key, claim)


# ------------------------------------------------------------------------------------------------ of one machine
class FileClaim(Claim):
    """An open file with a lock, which the kernel releases when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def lost(self) -> bool:
        """Return False: the kernel takes no lock away."""
        return False


class FileLocks(Locks):
    """Advisory locks on empty files of one folder.

    The files stay: if one were removed, two processes could hold locks on two files of one name.
    """

    shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, key: str, name: str) -> Claim | None:
        """Lock the file of that name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / key, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return FileClaim(descriptor)

    def release(self, key: str, claim: Claim) -> None:
        """Close the file."""
        assert isinstance(claim, FileClaim)
        os.close(claim.descriptor)

    def where(self, key: str) -> str:
        """Return the path of the file."""
        return str(self._folder / key)

    def latest(self, key: str) -> int:
        """Return 0: these locks have no numbers."""
        return 0

    def end_stale(self, key: str) -> None:
        """Do nothing: these locks do not become stale."""


@contextmanager
def locked(path: Path, name: str, patience: float = 0.0, tell: Tell = lambda _: None) -> Iterator[None]:
    """Hold a lock of this machine on a file. Raises Busy as `Locks.hold`."""
    with FileLocks(path.parent).hold(path.name, name, patience, tell):
        yield


# ------------------------------------------------------------------------------------------------ of several machines
class LeaseFiles(Protocol):
    """Small files by name, on a store that creates each name once."""

    def create(self, name: str, content: bytes) -> bool:
        """Create a file, whole; False where the name is taken."""

    def write(self, name: str, content: bytes) -> None:
        """Replace the content of a file of the same size."""

    def read(self, name: str) -> bytes | None:
        """Return the content as it is now, or None where there is no such file."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files of a folder; none where it is missing."""


class FolderFiles:
    """Lease files in a folder that several machines share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, name: str, content: bytes) -> bool:
        """Create it with O_EXCL, which NFS (from version 3 on) and the cluster file systems hold to."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write in place and close, which a reader on NFS sees when it opens the file."""
        with (self.folder / name).open("r+b") as stream:
            stream.write(content)

    def read(self, name: str) -> bytes | None:
        """Open and read it."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Unlink it."""
        (self.folder / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """List the folder."""
        try:
            return os.listdir(self.folder / folder)  # noqa: PTH208 - names alone
        except FileNotFoundError:
            return []


@dataclass
class Lease(Claim):
    """A lease that this process holds, and the thread that keeps it fresh."""

    leases: Leases
    key: str
    number: int
    beat: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)
    """Held while the file is changed: the last change is that of `Leases.release`."""

    def keep_fresh(self) -> None:
        """Change the file every `heartbeat` seconds until the lease is released or lost."""
        while not self.ended.wait(self.leases.heartbeat):
            self.beat += 1
            with suppress(Exception):  # a store that does not answer for a moment
                if self.lost():
                    return
                with self.writing:
                    if not self.ended.is_set():
                        self.leases.write(self, free=False)

    def lost(self) -> bool:
        """Return whether there is a lease of a higher number."""
        return self.leases.latest(self.key) != self.number


@dataclass(frozen=True)
class _Observation:
    """The content of a lease file, and since when it has been the same, by this process's own clock."""

    number: int
    content: bytes | None
    since: float


class Leases(Locks):
    """Leases of this process and of others on one store."""

    shared = True

    def __init__(self, files: LeaseFiles, heartbeat: float = HEARTBEAT, stale: float = STALE) -> None:
        """heartbeat, stale: seconds, the same for all processes of a store."""
        self._files, self.heartbeat, self._stale = files, heartbeat, stale
        self._owner = uuid4().hex
        self._observed: dict[str, _Observation] = {}

    def take(self, key: str, name: str) -> Claim | None:
        """Create the next number, where the last lease is released or stale."""
        last = self.latest(key)
        if last and not self._over(key, last):
            return None
        lease = Lease(self, key, last + 1)
        if not self._files.create(_name(key, lease.number), self._content(lease, free=False)):
            return None
        if lease.lost():  # a number that was used before, whose file is deleted
            self._files.delete(_name(key, lease.number))
            return None
        if last:
            self._files.delete(_name(key, last))
        self._observed.pop(key, None)
        threading.Thread(target=lease.keep_fresh, daemon=True).start()
        return lease

    def release(self, key: str, claim: Claim) -> None:
        """Mark the lease as free; its file stays, so that no number is used twice."""
        assert isinstance(claim, Lease)
        claim.ended.set()
        with suppress(Exception):  # it becomes stale
            if not claim.lost():
                with claim.writing:
                    self.write(claim, free=True)

    def is_free(self, key: str) -> bool:
        """Return whether nobody holds the lease. A stale one is noticed only if this is called repeatedly."""
        last = self.latest(key)
        return not last or self._over(key, last)

    def end_stale(self, key: str) -> None:
        """Release a lease that `is_free` has reported as stale, so that the next process can take it at once."""
        claim = self.take(key, "")
        if claim is not None:
            self.release(key, claim)

    def where(self, key: str) -> str:
        """Return the name of the last lease."""
        return f"lease {_name(key, self.latest(key))}"

    def latest(self, key: str) -> int:
        """Return the highest number."""
        return max((int(name) for name in self._files.names(key) if name.isdecimal()), default=0)

    def write(self, lease: Lease, free: bool) -> None:
        """Change the file of a lease."""
        self._files.write(_name(lease.key, lease.number), self._content(lease, free))

    def _content(self, lease: Lease, free: bool) -> bytes:
        """Return JSON of the same size for all beats of a lease."""
        machine, process = this_process()
        entry = {"owner": self._owner, "machine": machine, "process": process, "beat": f"{lease.beat:010d}"}
        return json.dumps({**entry, "state": "free" if free else "held"}).encode()

    def _over(self, key: str, number: int) -> bool:
        """Return whether a lease is released, stale, or of a process of this machine that has ended."""
        content = self._files.read(_name(key, number))
        try:
            entry: dict[str, Any] = json.loads(content or b"")
            if entry["state"] == "free" or _is_gone(entry["machine"], entry["process"]):
                return True
        except (ValueError, KeyError, TypeError):
            pass  # it is being written, or whoever wrote it was cut: only its age counts
        last = self._observed.get(key)
        now = time.monotonic()
        if last is None or (last.number, last.content) != (number, content):
            self._observed[key] = _Observation(number, content, now)
            return False
        return now - last.since >= self._stale


def _name(key: str, number: int) -> str:
    return f"{key}/{number:08d}"


@cache
def _machine() -> str:
    """Identify the boot of this machine and the container on it; "" where that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return ""


def this_process() -> tuple[str, str]:
    """Identify the machine, and the process on it by number and start."""
    return _machine(), f"{os.getpid()} {_start_of(os.getpid())}"


def _start_of(pid: int) -> str:
    """Return when a process of this machine started, in the kernel's ticks; "" where it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if status[0] in "ZX" else status[19]


def _is_gone(machine: str, process: str) -> bool:
    """Return whether a process was on this machine and has ended."""
    pid, _, start = process.partition(" ")
    return bool(machine) and machine == _machine() and _start_of(int(pid)) != start
