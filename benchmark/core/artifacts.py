"""Artifacts: folders that are named by what made them, complete or not there at all.

The key of an artifact is a hash of everything that decides its content. A folder counts only once its `manifest.json`
is in it; the folder is built beside its place, under a name that ends in `.partial`, and moved there by one rename
after the manifest is written. What a killed stage left in its `.partial` folder (a trainer's state, say) is there for
the next try.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.hashes import Stamps, sha256_of, sync, write_text

MANIFEST = "manifest.json"
PARTIAL = ".partial"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class Recipe:
    """All that decides an artifact's content: its kind, the stage's settings and version, and the keys of its
    inputs.
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: int

    @cached_property
    def key(self) -> str:
        """64 hex digits. The name has no part in it: it is for people."""
        content = {
            "kind": self.kind,
            "settings": self.settings,
            "inputs": self.inputs,
            "version": self.version,
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Where it lies below the store's root."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("&", "")).strip("-")
        return f"{self.kind}/{slug}-{self.key[:12]}"


@dataclass(frozen=True)
class File:
    """A file of an artifact as its manifest has it."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says: the recipe, the files, and how, when and with what the artifact was made."""

    key: str
    kind: str
    name: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: int
    files: Mapping[str, File]
    facts: Mapping[str, Any]
    """What the stage found out and later stages or estimates want (counts, accuracy); part of the result."""
    seconds: float
    made: Mapping[str, Any]
    """The environment (command, time, platform, versions, commit) and the amount of work. No part of the key."""

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Parse a manifest. Raises ValueError where it is not one."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            raw["files"] = {name: File(**file) for name, file in raw["files"].items()}
            return cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is not a manifest: {error}") from error


@dataclass(frozen=True)
class Artifact:
    """A finished folder."""

    folder: Path
    manifest: Manifest


class Store:
    """All artifacts below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: dict[str, Artifact] = {}
        self._stamps = Stamps(root / "cache" / "checked-files.json")

    def find(self, recipe: Recipe) -> Artifact | None:
        """The finished artifact, its files held against their hashes, or None. Raises UserError where it is damaged."""
        if recipe.key not in self._checked:
            found = self._checked_folder(recipe.folder, recipe.key, self._stamps.hashed)
            if found is None:
                return None
            self._checked[recipe.key] = found
        return self._checked[recipe.key]

    def check(self, folders: Mapping[str, str]) -> None:
        """Raises UserError where a finished artifact is damaged, one that nobody is about to read.

        folders: by key. A file that has had its hash is not hashed again until its size, its times or its inode change.
        """
        for key, folder in folders.items():
            self._checked_folder(folder, key, self._stamps.trusted)
        self._stamps.save()

    def _checked_folder(self, name: str, key: str, hashed: Callable[[Path], str]) -> Artifact | None:
        """The artifact in that folder, or None where there is none."""
        folder = self.root / name
        if not (folder / MANIFEST).exists():
            if folder.exists():
                raise UserError(
                    f"{folder} has no {MANIFEST}, so it is no artifact: remove it, and the same command makes it again"
                )
            return None
        try:
            manifest = Manifest.read(folder / MANIFEST)
        except ValueError as error:
            raise _damaged(folder, str(error)) from error
        if manifest.key != key:
            raise _damaged(folder, "its manifest has another key")
        for name, file in manifest.files.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != file.bytes or hashed(path) != file.sha256:
                raise _damaged(folder, f"{name} is not what its manifest says")
        return Artifact(folder, manifest)

    def exists(self, recipe: Recipe) -> bool:
        """Whether it is finished, by its manifest alone (nothing is hashed)."""
        return (self.root / recipe.folder / MANIFEST).exists()

    def begun(self, recipe: Recipe) -> bool:
        """Whether an earlier call has left something to go on from."""
        partial = self.root / (recipe.folder + PARTIAL)
        return partial.is_dir() and any(partial.iterdir())

    def manifests(self, kind: str) -> Iterator[Manifest]:
        """The manifests of all finished artifacts of a kind; unreadable ones are passed over."""
        for path in sorted((self.root / kind).glob(f"*/{MANIFEST}")):
            try:
                yield Manifest.read(path)
            except ValueError:
                continue

    @contextmanager
    def making(self, recipe: Recipe) -> Iterator[Path]:
        """The `.partial` folder to work in, locked against other processes. Call `finish` inside, last."""
        partial = self.root / (recipe.folder + PARTIAL)
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.root / ".locks" / recipe.key[:24], recipe.name):
            partial.mkdir(exist_ok=True)
            try:
                yield partial
            finally:
                if partial.exists() and not any(partial.iterdir()):
                    partial.rmdir()  # nothing was begun: leave no trace

    def finish(
        self,
        recipe: Recipe,
        partial: Path,
        keep: list[str],
        facts: Mapping[str, Any],
        seconds: float,
        made: Mapping[str, Any],
    ) -> Artifact:
        """Drop all but the files named in `keep`, write the manifest, and move the folder to its place."""
        for path in partial.iterdir():
            if path.name not in keep:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        files = {name: File((partial / name).stat().st_size, sha256_of(partial / name)) for name in sorted(keep)}
        manifest = Manifest(
            recipe.key, recipe.kind, recipe.name, recipe.settings, recipe.inputs, recipe.version,
            files, facts, round(seconds, 3), made,
        )  # fmt: skip
        for name in keep:
            sync(partial / name)
        write_text(partial / MANIFEST, json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n")
        folder = self.root / recipe.folder
        partial.replace(folder)
        # As everyone reads it who comes later: what is made of it has one order of names, and lists for tuples.
        self._checked[recipe.key] = Artifact(folder, Manifest.read(folder / MANIFEST))
        return self._checked[recipe.key]


@contextmanager
def whole_folder(out: Path, option: str) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block ends, and is gone when it fails. Raises UserError, naming
    `option`, where nothing can be written.
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


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(
        f"the artifact {folder} is damaged ({why}): remove that folder, and the same command makes it again"
    )


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold an advisory lock; the kernel drops it when the process ends, however it ends. The empty file stays: to
    remove it could leave two processes with locks on two files of one name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is at work on '{name}' ({path}); wait for it, or give this one its "
                "own --out or --store"
            ) from None
        yield
