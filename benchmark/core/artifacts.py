"""Artifacts: folders named after their recipe, each complete or absent.

The key of an artifact is a hash of everything that decides its content. A folder counts only once its `manifest.json`
is in it. A stage works in a folder of the same name that ends in `.partial`; one rename finishes it after the manifest
is written. What a killed stage left in its `.partial` folder (such as the state of a training) is there for the next
call.

A manifest holds the hash of every file and one of itself. An artifact that differs from its manifest is damaged: a
command that can make it again renames it to `.damaged` first, any other raises `Damaged`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from benchmark.core.environment import without_store
from benchmark.core.errors import UserError, quoted
from benchmark.core.files import read_regular
from benchmark.core.hashes import Stamps, sha256_of, sync, write_text
from benchmark.core.locks import Busy, Claim, FileLocks, FolderFiles, LeaseLost, Leases, Locks, is_network

MANIFEST = "manifest.json"
PARTIAL, DAMAGED = ".partial", ".damaged"
LONGEST_NAME = 200
"""Characters of a folder's name before the key: file systems take 255 in all."""
FORMAT = 2
"""Format of manifests. Those of format 1 have no hash of themselves and count as damaged."""
LARGEST_MANIFEST = 256 << 20
PATIENCE = 60.0
"""Seconds to wait for an artifact that another process makes: a worker whose parent was killed saves its state and
ends."""
LOCKS, LEASES, SHARED = ".locks", ".locks/leases", ".locks/shared"
"""Below the root: the kernel's locks, leases, and the mark of a store that several machines share."""
Tell = Callable[[str], None]


class Damaged(UserError):  # noqa: N818 - the name says what is wrong
    """An artifact is not what its manifest says."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"the artifact {folder} is damaged ({why}); the command that made it sets it aside and makes it anew"
        )
        self.folder, self.why = folder, why

    def __reduce__(self) -> tuple[type[Damaged], tuple[Path, str]]:
        return Damaged, (self.folder, self.why)


def canonical(value: Any) -> str:
    """Serialise to JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides an artifact's content: kind, settings and version of the stage, keys of its inputs."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: int
    files: tuple[str, ...] = ()
    """Names of files that the artifact must have. No part of the key."""
    state: str = ""
    """Name of the file from which an interrupted call goes on, if there is one. No part of the key."""

    @cached_property
    def key(self) -> str:
        """Return 64 hex digits. The name is no part of the key."""
        content = {
            "kind": self.kind,
            "settings": self.settings,
            "inputs": self.inputs,
            "version": self.version,
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Return the folder's path below the store's root."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("&", "")).strip("-")
        return f"{self.kind}/{slug[:LONGEST_NAME].rstrip('-')}-{self.key[:12]}"


@dataclass(frozen=True)
class File:
    """Size and SHA-256 of a file of an artifact."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`: recipe, files, and how, when and with what the artifact was made."""

    key: str
    kind: str
    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: int
    files: Mapping[str, File]
    facts: Mapping[str, Any]
    """What the stage measured and later stages or estimates need (counts, accuracy); part of the result."""
    seconds: float
    made: Mapping[str, Any]
    """The environment (command, time, platform, versions, commit) and the amount of work. No part of the key."""

    @classmethod
    def read(cls, path: Path, older: bool = False) -> Manifest:
        """Parse a manifest and check it against its own hash. Raises ValueError.

        older: accept also one of format 1, which has no such hash.
        """
        try:
            raw = json.loads(read_regular(path, LARGEST_MANIFEST))
            if "format" not in raw and not older:
                raise ValueError("it was written by an earlier version")
            written = raw.pop("format", 1), raw.pop("sha256", None)
            if written != (1, None) and written != (FORMAT, _digest(raw)):
                raise ValueError("it is not what was written")
            if wrong := [name for name in raw["files"] if Path(name).name != name or name == MANIFEST]:
                raise ValueError(f"{quoted(wrong[0])} is no name of a file in a folder")
            raw["files"] = {name: File(**file) for name, file in raw["files"].items()}
            return cls(**raw)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            raise ValueError(f"{path.name}: {reason}") from error

    @property
    def ended(self) -> datetime | None:
        """Return the time at which the artifact was finished; None where the manifest has none."""
        try:
            return datetime.fromisoformat(str(self.made["time"]))
        except (KeyError, ValueError):
            return None

    @property
    def began(self) -> datetime | None:
        """Return the time at which it was begun, assuming no interruption; None where unknown."""
        return None if self.ended is None else self.ended - timedelta(seconds=self.seconds)

    def for_others(self) -> Manifest:
        """Return the manifest as it is passed on: without the address of the store it was made in."""
        command = str(self.made.get("command", ""))
        return replace(self, made={**self.made, "command": without_store(command)}) if command else self

    def dump(self) -> str:
        """Return the text of `manifest.json`."""
        content = json.loads(json.dumps(asdict(self)))  # names that are numbers become text, as they are read again
        content |= {"sha256": _digest(content), "format": FORMAT}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A finished folder."""

    folder: Path
    manifest: Manifest


def is_shared(root: Path) -> bool:
    """Return whether several machines use a store: it is marked as shared, or lies on a network file system."""
    return (root / SHARED).exists() or is_network(root)


class Store:
    """All artifacts below one folder."""

    def __init__(self, root: Path, shared: bool = False, patience: float | None = None) -> None:
        """shared: mark the store as used by several machines; if not given, `is_shared` decides. patience: seconds to
        wait for an artifact that another process makes; by default `PATIENCE`, and without limit in a shared store.
        """
        self.root = root
        self.url = ""
        """URL of the object store that the folder is a cache of; "" where it is none."""
        self.shared = shared or is_shared(root)
        if shared:
            (root / SHARED).parent.mkdir(parents=True, exist_ok=True)
            (root / SHARED).touch()
        self._patience = patience
        self._locks: Locks = Leases(FolderFiles(root / LEASES)) if self.shared else FileLocks(root / LOCKS)
        self._verified: dict[str, Artifact] = {}
        self._stamps = Stamps(root / "cache" / "checked-files.json")

    def find(self, recipe: Recipe) -> Artifact | None:
        """Return the finished artifact, its files hashed, or None. Raises Damaged."""
        if recipe.key not in self._verified:
            artifact = self._verify(recipe.folder, recipe.key, self._stamps.hashed, recipe.files)
            if artifact is None:
                return None
            self._verified[recipe.key] = artifact
        return self._verified[recipe.key]

    def find_or_set_aside(self, recipe: Recipe, tell: Tell, held: bool = False) -> Artifact | None:
        """Return the finished artifact, or None where it must be made; a damaged one is renamed, with a line.

        held: whether this process is inside `making`.
        """
        try:
            return self.find(recipe)
        except Damaged:
            with suppress(Busy), nullcontext() if held else self._locks.hold(lock_of(recipe), recipe.name):
                try:  # another process may have made it again meanwhile
                    return self.find(recipe)
                except Damaged as error:
                    aside = free_name(error.folder, DAMAGED)
                    error.folder.rename(aside)
                    tell(f"{error.folder} was damaged ({error.why}): set aside as {aside.name}, and made anew")
            return None

    def damaged(self, recipes: Mapping[str, str]) -> list[str]:
        """Return the keys of those that are damaged.

        recipes: folder below the root by key. A file is hashed again only if its size, times or inode have changed.
        """
        damaged = []
        for key, folder in recipes.items():
            try:
                self._verify(folder, key, self._stamps.trusted)
            except Damaged:
                damaged.append(key)
        self._stamps.save()
        return damaged

    def lineage(self, key: str, folder: str) -> dict[str, str]:
        """Return the folders of an artifact and of all its inputs by key, relative to the root.

        Inputs that no longer exist are left out. Raises ValueError where a manifest cannot be read.
        """
        finished = {path.parent.name[-12:]: path.parent for path in self.root.glob(f"*/*/{MANIFEST}")}
        folders, todo = {key: folder}, [folder]
        while todo:
            for other in Manifest.read(self.root / todo.pop() / MANIFEST).inputs.values():
                if other not in folders and other[:12] in finished:
                    folders[other] = str(finished[other[:12]].relative_to(self.root))
                    todo.append(folders[other])
        return folders

    def _verify(
        self, name: str, key: str, digest_of: Callable[[Path], str], needed: tuple[str, ...] = ()
    ) -> Artifact | None:
        """Return the artifact in a folder, or None where there is no such folder. Raises Damaged."""
        folder = self.root / name
        if not os.path.lexists(folder):
            return None
        try:
            manifest = Manifest.read(folder / MANIFEST)
        except ValueError as error:
            if isinstance(error.__cause__, PermissionError):
                raise error.__cause__ from None  # it may be whole
            raise Damaged(folder, str(error)) from error
        if manifest.key != key:
            raise Damaged(folder, "its manifest is of another artifact")
        if missing := sorted(set(needed) - set(manifest.files)):
            raise Damaged(folder, f"its manifest lists no {missing[0]}")
        for name, file in manifest.files.items():
            path = folder / name
            if (
                not path.is_file()
                or path.stat().st_size != file.bytes
                # What is remembered of a file may be damaged too.
                or (digest_of(path) != file.sha256 and self._stamps.hashed(path) != file.sha256)
            ):
                raise Damaged(folder, f"{name} is not what its manifest says")
        return Artifact(folder, manifest)

    def exists(self, recipe: Recipe) -> bool:
        """Return whether the artifact has its manifest, which is written last."""
        return (self.root / recipe.folder / MANIFEST).is_file()

    def begun(self, recipe: Recipe) -> bool:
        """Return whether an interrupted call has left a folder to resume from."""
        partial = self._partial(recipe)
        return partial is not None and partial.is_dir() and any(partial.iterdir())

    def saved_state(self, recipe: Recipe) -> object:
        """Return a value that changes with the saved state of an unfinished artifact; None where it has none."""
        partial = self._partial(recipe) if recipe.state else None
        return None if partial is None else _stamp_of(partial / recipe.state)

    def is_free(self, recipe: Recipe) -> bool:
        """Return whether no other process is making an artifact of a shared store.

        Call it repeatedly: a lease of another machine counts as free only once it has been observed to be stale.

        An artifact of a process on another machine is free once its lease has been seen to be stale.
        """
        free = self._locks.is_free(lock_of(recipe))
        if free:
            self._locks.end_stale(lock_of(recipe))
        return free

    def _partial(self, recipe: Recipe, number: int | None = None) -> Path | None:
        """Return the latest `.partial` folder: that of the highest lease up to `number`, or the one without a lease."""
        last = self._locks.latest(lock_of(recipe)) if number is None else number
        names = (f"{recipe.folder}.{count}{PARTIAL}" for count in range(last, 0, -1))
        paths = (self.root / name for name in (*names, recipe.folder + PARTIAL))
        return next((path for path in paths if os.path.lexists(path)), None)

    def finished(self, kind: str) -> list[str]:
        """Return the folders of all finished artifacts of a kind, relative to the root; none is opened."""
        try:
            names = sorted(os.listdir(self.root / kind))  # noqa: PTH208 - names alone
        except OSError:
            return []
        return [f"{kind}/{name}" for name in names if not name.endswith((PARTIAL, DAMAGED))]

    def manifests(self, kind: str) -> Iterator[Manifest]:
        """Yield the manifests of all finished artifacts of a kind; skip unreadable ones."""
        for path in sorted((self.root / kind).glob(f"*/{MANIFEST}")):
            if path.parent.suffix in (PARTIAL, DAMAGED):
                continue
            try:
                yield Manifest.read(path)
            except ValueError:
                continue

    @contextmanager
    def making(self, recipe: Recipe, tell: Tell = lambda _: None) -> Iterator[Path]:
        """Lock an artifact and yield its `.partial` folder to work in; call `finish` last.

        Waits for another process that makes it, and prints a line. Raises Busy if that takes too long, and LeaseLost if
        another process has taken over meanwhile.
        """
        patience = self._patience if self._patience is not None else inf if self.shared else PATIENCE
        with self._locks.hold(lock_of(recipe), recipe.name, patience, tell) as claim:
            partial = self._folder_of(recipe, claim)
            partial.mkdir(exist_ok=True)
            try:
                yield partial
            except Exception as error:
                if claim.lost():
                    raise LeaseLost(f"{recipe.name}: another process has taken it over") from error
                raise
            finally:
                if partial.exists() and not any(partial.iterdir()):
                    partial.rmdir()  # nothing was begun: leave no trace

    def _folder_of(self, recipe: Recipe, claim: Claim) -> Path:
        """Return the working folder for the holder of a lock, with what the previous holder left in it.

        It has the number of a lease, so that an earlier holder, who may not know that it has lost the lease, has no
        folder to write to.
        """
        number = f".{claim.number}" if claim.number is not None else ""
        partial = self.root / f"{recipe.folder}{number}{PARTIAL}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        left = self._partial(recipe, claim.number or 0)
        if left is not None and not left.is_dir():
            left.rename(free_name(left, DAMAGED))
        elif left is not None and left != partial:
            left.rename(partial)
        return partial

    def adopt(self, artifact: Artifact, recipe: Recipe, tell: Tell = lambda _: None) -> Artifact:
        """Copy a finished artifact of another store, unless this store has it. Raises Busy."""
        with self.making(recipe, tell) as partial:
            if own := self.find_or_set_aside(recipe, tell, held=True):
                return own
            for path in partial.iterdir():
                _remove(path)
            for name in artifact.manifest.files:
                shutil.copyfile(artifact.folder / name, partial / name)
                sync(partial / name)
            write_text(partial / MANIFEST, artifact.manifest.dump())
            partial.replace(self.root / recipe.folder)
        adopted = self.find(recipe)
        assert adopted is not None
        return adopted

    def finish(
        self,
        recipe: Recipe,
        partial: Path,
        keep: list[str],
        facts: Mapping[str, Any],
        seconds: float,
        made: Mapping[str, Any],
    ) -> Artifact:
        """Remove all but the files named in `keep`, write the manifest, and rename the folder."""
        for path in partial.iterdir():
            if path.name not in keep:
                _remove(path)
        files = {name: File((partial / name).stat().st_size, sha256_of(partial / name)) for name in sorted(keep)}
        manifest = Manifest(
            recipe.key, recipe.kind, recipe.name, recipe.settings, recipe.inputs, recipe.version,
            files, facts, round(seconds, 3), made,
        )  # fmt: skip
        for name in keep:
            sync(partial / name)
        if missing := sorted(set(recipe.files) - set(files)):
            raise RuntimeError(f"'{recipe.name}' left no {missing[0]}")
        write_text(partial / MANIFEST, manifest.dump())
        folder = self.root / recipe.folder
        partial.replace(folder)
        # Read again, so that whoever made it sees the order of names and the lists that later readers see.
        self._verified[recipe.key] = Artifact(folder, Manifest.read(folder / MANIFEST))
        return self._verified[recipe.key]


def check_files(folder: Path) -> None:
    """Hash the files of a finished artifact in any folder. Raises Damaged where one differs from the manifest."""
    try:
        files = Manifest.read(folder / MANIFEST).files
    except ValueError as error:
        raise Damaged(folder, str(error)) from error
    for name, file in files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != file.sha256:
            raise Damaged(folder, f"{name} is not what its manifest says")


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Return size, time and inode of a file; None where it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def lock_of(recipe: Recipe) -> str:
    """Return the name of an artifact's lock."""
    return recipe.key[:24]


@contextmanager
def whole_folder(out: Path, option: str) -> Iterator[Path]:
    """Yield a temporary folder; rename it to `out` when the block ends, remove it when the block fails.

    Raises UserError, naming `option`, where nothing can be written.
    """
    refused = f"{option} {out} cannot be written ({{}}): choose another folder"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise UserError(refused.format(error.strerror or error)) from error
    try:
        yield partial
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o777 & ~mask)  # a temporary folder is its owner's alone
        partial.replace(out)
    except OSError as error:
        raise UserError(refused.format(error.strerror or error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def replacing_folder(out: Path, option: str) -> Iterator[Path]:
    """A temporary folder that replaces the folder `out` when the block ends, and is removed when it fails.

    `out` stays as it is until then; one rename sets it aside, a second one replaces it. If the process is killed in
    between, the next call puts it back first. Raises UserError, naming `option`, where nothing can be written.
    """
    new, old = (out.with_name(f"{out.name}{suffix}{PARTIAL}") for suffix in (".new", ".old"))
    try:
        if os.path.lexists(old) and not os.path.lexists(out):
            old.rename(out)
        for left in (new, old):
            _remove(left)
        new.mkdir(parents=True)
        yield new
        if os.path.lexists(out):
            out.rename(old)
        new.rename(out)
        _remove(old)
    except OSError as error:
        raise UserError(f"{option} {out} cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a folder or file, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def free_name(path: Path, suffix: str) -> Path:
    """Return `path` with `suffix` added to its name, after `.2` and so on where that name is taken."""
    numbers = itertools.chain([""], (f".{count}" for count in itertools.count(2)))
    paths = (path.with_name(f"{path.name}{number}{suffix}") for number in numbers)
    return next(free for free in paths if not os.path.lexists(free))
