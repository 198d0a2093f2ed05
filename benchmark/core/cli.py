"""Command line: arguments with one-line errors, exit statuses, signals. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from benchmark.core.errors import ContractError, RunFailed, UserError, did_you_mean, quoted
from benchmark.core.files import fault_of, folder_fault_of
from benchmark.core.paths import cut, printable, printable_lines, readable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop a command: Ctrl-C, the end of a job, the end of the terminal."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
"""Errors of a disk or a device."""
DATA_HELP = (
    "rendered, rendered:DIR, rafd:DIR, cfee:DIR or folder:DIR; of photographs, rafd:DIR,leave-out=kid+05 leaves people "
    "or groups out, and rafd:DIR,faces=none looks for no faces"
)
"""Help of `--data`."""
LONGEST_ERROR = 1000
LONGEST_MESSAGE = 2500
"""Most characters of a message, which may quote a long path."""
SHOWN = 20


class Interrupted(BaseException):
    """A signal of `STOPPING` arrived. Derives from BaseException so that no `except Exception` swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interruption:
    """Signals raise Interrupted in the main thread until `restore`.

    An exception that is lost, since Python only prints what a callback of the garbage collector raises, is raised
    again. once: ignore further signals, so that they do not interrupt the clean-up. After `end` no signal raises.
    """

    AGAIN = 0.05
    """Seconds until a lost exception is raised again."""

    def __init__(self, numbers: Iterable[int], once: bool = False) -> None:
        self._once, self._raised, self._ended = once, False, False
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        self._previous = {number: signal.signal(number, self._interrupt) for number in map(_heeded, numbers) if number}

    def end(self) -> None:
        """Ignore all signals from now on."""
        self._ended = True

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook

    def _interrupt(self, signum: int, _frame: FrameType | None) -> None:
        if self._ended or self._raised:
            return
        self._raised = self._once
        raise Interrupted(signum)

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, Interrupted):
            self._hook(lost)
            return
        self._raised = True  # nothing is raised in this function
        timer = threading.Timer(self.AGAIN, self._again, [lost.exc_value.signum])
        timer.daemon = True
        timer.start()

    def _again(self, signum: int) -> None:
        self._raised = False
        main = threading.main_thread().ident
        if not self._ended and main is not None:
            signal.pthread_kill(main, signum)


def _heeded(number: int) -> int:
    """Return the signal, or 0 where the parent process has set it to be ignored (`nohup`)."""
    return 0 if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN else number


class Parser(argparse.ArgumentParser):
    """`argparse` with examples under the help and errors that are one line on stderr (exit status 2)."""

    def __init__(self, prog: str, description: str, examples: Sequence[str] = ()) -> None:
        epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples) if examples else None
        super().__init__(
            prog=f"python -m {prog}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse; an unknown option is an error that names the nearest."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            options = [option for action in self._actions for option in action.option_strings]
            hint = (
                did_you_mean(rest[0], options) if rest[0].startswith("-") else "; --help shows what this command takes"
            )
            self.error(f"unknown argument '{rest[0]}'{hint}")
        return parsed

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuse an empty value, which an unset variable gives, and a NUL character, which no path may have."""
        if not arg_string and action.option_strings and action.default != "":
            raise argparse.ArgumentError(action, "a value is needed, not ''")
        if "\0" in arg_string:
            raise argparse.ArgumentError(action, f"a value without NUL characters is needed, not {quoted(arg_string)}")
        return super()._get_value(action, arg_string)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the nearest choice, or all where none is near."""
        if action.choices is not None and value not in action.choices:
            hint = did_you_mean(str(value), map(str, action.choices))
            raise argparse.ArgumentError(action, f"invalid choice: {quoted(value)}{hint}")

    def error(self, message: str) -> NoReturn:
        """Write `message` in one line, cut to a screen, and exit with status 2."""
        line = printable(message)
        _tell(f"error: {line if len(line) < LONGEST_ERROR else line[:LONGEST_ERROR] + '...'}")
        raise SystemExit(EXIT_USAGE)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; exit with status 1 where it cannot be written, an error that argparse ignores."""

        def write() -> None:
            (file or sys.stdout).write(self.format_help())

        status = run_command(write)
        if status:
            raise SystemExit(status)


def run_command(work: Callable[[], int | None]) -> int:
    """Run `work` and turn what it raises into one line on stderr and an exit status.

    SIGINT, SIGTERM and SIGHUP raise Interrupted, so that a training can save its state; the status is then 128 plus the
    signal. A full disk, or a stdout that cannot be written, is a failure.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file may have a name that the terminal cannot show
    interruption = Interruption(STOPPING)
    try:
        try:
            status = work() or EXIT_OK
            sys.stdout.flush()
            return status
        finally:
            interruption.end()
    except UserError as error:
        shown = printable_lines if isinstance(error, ContractError) else printable
        _tell(f"error: {cut(shown(str(error)), LONGEST_MESSAGE)}")
        return EXIT_USAGE
    except RunFailed as error:
        _tell(f"failed: {cut(printable_lines(str(error)), LONGEST_MESSAGE)}")
        return EXIT_FAILED
    except Interrupted as stop:
        _tell(f"stopped by {stop}; the same command goes on from the last saved state")
        return 128 + stop.signum
    except BrokenPipeError:  # the reader of our stdout (head, less) has left
        _discard_stdout()
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _report_os_error(error)
    finally:
        interruption.restore()


def _report_os_error(error: OSError) -> int:
    """Write the line for an error of the file system and return the exit status. Raises an error that names no file."""
    if error.errno == errno.ENAMETOOLONG:
        _tell(f"error: {cut(readable(os.fsdecode(error.filename or '')), 100)} is too long for a file's name")
        return EXIT_USAGE
    if error.errno == errno.ELOOP:
        link = cut(readable(os.fsdecode(error.filename or "")), LONGEST_ERROR)
        _tell(f"error: {link} is a link that leads to itself: give another path, or mend it")
        return EXIT_USAGE
    path = error.filename2 or error.filename  # of a rename, the new name
    name = f"{readable(os.fsdecode(path))} " if isinstance(path, (str, bytes)) and path else ""
    if error.errno in FULL:
        _discard_stdout()
        reason = os.strerror(error.errno)
        _tell(f"failed: cannot write {name}({reason}): make room; the same command goes on from what is saved")
        return EXIT_FAILED
    if not name:
        raise error
    if isinstance(error, PermissionError):
        _tell(f"error: {cut(name, LONGEST_ERROR)}cannot be used ({error.strerror}): check its permissions")
        return EXIT_USAGE
    _tell(f"failed: {cut(name, LONGEST_ERROR)}cannot be used ({error.strerror}): give another path, or mend it")
    return EXIT_FAILED


def _tell(line: str) -> None:
    """Write a line to stderr; ignore that it cannot be written (a closed terminal, a full disk)."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")


def _discard_stdout() -> None:
    """Point a stdout that cannot be written to nowhere, so that the interpreter's last flush is quiet."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def held_signals() -> Iterator[list[int]]:
    """Collect the signals of `STOPPING` in a list, so that the block can end where it can be resumed from.

    Raises Interrupted at the end of the block for the first of them, unless the block has raised. Does nothing outside
    the main thread.
    """
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)

    try:
        previous = {number: signal.signal(number, note) for number in map(_heeded, STOPPING) if number}
    except ValueError:
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted(received[0])


def list_faults(kind: str, lines: Sequence[str]) -> None:
    """Write a line for each of a kind on stderr, the first `SHOWN` of them, and how many more there are."""
    for line in lines[:SHOWN]:
        sys.stderr.write(f"{kind}: {line}\n")
    if len(lines) > SHOWN:
        sys.stderr.write(f"{kind}: {len(lines) - SHOWN:,} more\n")


def writable_folder(folder: Path, option: str) -> Path:
    """Return the folder given as `option`, created if missing. Raises UserError where it is not writable."""
    if (fault := folder_fault_of(folder)) not in ("", "is missing"):
        raise UserError(f"{option} {folder} {fault}: choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{option} {folder} cannot be written ({error.strerror or error}): choose another folder"
        ) from error
    return folder


def check_writable(folder: Path, option: str) -> None:
    """Raise UserError where `folder`, which may be missing, could not be written; nothing is created."""
    there = next(path for path in (folder, *folder.absolute().parents) if folder_fault_of(path) != "is missing")
    if fault := folder_fault_of(there):
        name = folder if there == folder else f"{folder}: {there}"
        raise UserError(f"{option} {name} {fault}: choose another folder")
    writable_folder(there, option)


def writable_file(path: Path, option: str) -> Path:
    """Return the path of a file that `option` asks for, its folder created if missing.

    Raises UserError, before any work, where it has no name, is a folder, a named pipe or a device, or its folder is not
    writable.
    """
    if not path.name:
        raise UserError(f"{option} {quoted(str(path))}: the name of a file is needed")
    fault = fault_of(path)
    if fault not in ("", "is missing"):
        raise UserError(f"{option} {path} {fault}: choose another name")
    writable_folder(path.parent, option)
    return path
