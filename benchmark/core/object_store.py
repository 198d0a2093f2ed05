"""Artifacts in an object store (S3 or compatible), with the output folder as a cache.

Below the URL:

    artifacts/KIND/NAME/0123456789abcdef01234567.tar    the files of an artifact
    artifacts/KIND/NAME/manifest.json                   its manifest, written last, which names the pack by its own hash
    states/KEY/00000002-00000007-SHA256                 the state of an unfinished training: lease, count, hash
    leases/KEY/00000002                                 leases (`benchmark.core.locks`)

Nothing is listed but the folder of one key, so no call grows with what is there. What is downloaded is held against the
hashes of its manifest before it is put into the cache.

Requests to a store that does not answer are repeated for `PATIENCE` seconds. What was finished, and could not be
uploaded, stays in the cache with a mark in `cache/to-upload/`, and is uploaded by the next process that wants it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from benchmark.core.artifacts import MANIFEST, PARTIAL, Artifact, Manifest, Recipe, Store, Tell, lock_of
from benchmark.core.errors import RunFailed, UserError, first_line, quoted
from benchmark.core.hashes import sha256_of
from benchmark.core.locks import FolderFiles, LeaseFiles, LeaseLost, Leases

ARTIFACTS, STATES, LEASES = "artifacts", "states", "leases"
STATE_SECONDS = 30.0
"""Least time between two uploads of one training's state; ten times as long as an upload takes, if that is more."""
SHARE = 10
PATIENCE = 120.0
"""Seconds for which a store that does not answer is asked again."""
PAUSES = (0.5, 10.0)
"""Seconds between two tries: at first, and at most."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Errors of this machine's disk."""
DAMAGED_MANIFEST = f"{MANIFEST}.damaged"
PROTOCOLS = ("s3", "file")
NAMED = {"s3": re.compile(r"[a-zA-Z0-9._-]{1,255}(/|$)"), "file": re.compile("/.")}
WANTED = {"s3": "s3://BUCKET/FOLDER", "file": "file:///FOLDER, from the root on,"}
"""What is behind `://`: a bucket as boto3 takes them, or an absolute path."""
Answer = TypeVar("Answer")


class ObjectFiles:
    """Objects below a URL, by fsspec."""

    def __init__(self, url: str, **options: Any) -> None:
        """options: of fsspec's file system. Raises UserError for a URL of another kind, or without its package."""
        protocol = url.partition("://")[0] if "://" in url else ""
        if protocol not in (*PROTOCOLS, "memory"):
            raise UserError(f"--store {quoted(url)}: s3://BUCKET/FOLDER is wanted")
        place = url.partition("://")[2].rstrip("/")
        if protocol in NAMED and not NAMED[protocol].match(place):
            raise UserError(f"--store {quoted(url)}: {WANTED[protocol]} is wanted")
        import fsspec

        try:
            self.fs, self.root = fsspec.url_to_fs(url.rstrip("/"), **{**FRESH.get(protocol, {}), **options})
        except ImportError as error:
            raise UserError(f"--store {url} needs s3fs: pip install 'fesbench[s3]'") from error
        self.url = url
        self.patience = PATIENCE if protocol == "s3" else 0.0
        """Seconds for which a store that does not answer is asked again."""
        self._silent = False
        """Whether the last request failed for that long: then a request is tried once."""

    def _ask(self, what: Callable[[], Answer]) -> Answer:
        """Run a request, and repeat it while the store does not answer. Raises RunFailed after `patience` seconds.

        Errors of other stores and of this machine's disk, FileNotFoundError and FileExistsError are raised as they are.
        """
        if not self.patience:
            return what()
        until, pause = time.monotonic() + (0.0 if self._silent else self.patience), PAUSES[0]
        while True:
            try:
                answer = what()
            except (FileNotFoundError, FileExistsError):
                raise
            except Exception as error:  # of any of the layers below fsspec
                if isinstance(error, OSError) and error.errno in FULL:
                    raise
                denied = isinstance(error, PermissionError) or "Credentials" in type(error).__name__
                if denied or time.monotonic() >= until:
                    self._silent = True
                    raise RunFailed(
                        f"the store {self.url} cannot be used ({_reason(error)}); the same command goes on from "
                        "what is saved"
                    ) from error
            else:
                self._silent = False
                return answer
            time.sleep(pause)
            pause = min(2 * pause, PAUSES[1])

    def path(self, name: str) -> str:
        """Return the path of an object for fsspec."""
        return f"{self.root}/{name}"

    def create(self, name: str, content: bytes) -> bool:
        """Create an object by a conditional write; True also where an earlier try had created it unnoticed."""

        def try_it() -> bool:
            try:
                self.fs.pipe_file(self.path(name), content, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if "PreconditionFailed" in str(error) or "ConditionalRequestConflict" in str(error):
                    return False
                raise
            return True

        return self._ask(try_it) or self.read(name) == content

    def write(self, name: str, content: bytes) -> None:
        """Replace an object."""
        self._ask(lambda: self.fs.pipe_file(self.path(name), content))

    def read(self, name: str) -> bytes | None:
        """Return an object, or None."""
        try:
            return bytes(self._ask(lambda: self.fs.cat_file(self.path(name))))
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Return whether there is such an object."""
        return bool(self._ask(lambda: self.fs.exists(self.path(name))))

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with suppress(FileNotFoundError):
            self._ask(lambda: self.fs.rm_file(self.path(name)))

    def names(self, folder: str) -> list[str]:
        """Return the names of the objects of a folder.

        `ls` would list the folder above, which has all keys, where this one is empty.
        """
        try:
            listing = self._ask(lambda: self.fs.find(self.path(folder), refresh=True))
        except FileNotFoundError:
            return []
        return [name.rpartition("/")[2] for name in listing if not name.endswith("/")]

    def upload(self, file: Path, name: str) -> None:
        """Upload a file."""
        path = self.path(name)

        def put() -> None:
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self.fs.put_file(str(file), path)

        self._ask(put)

    def download(self, name: str, file: Path) -> None:
        """Download an object."""
        self._ask(lambda: self.fs.get_file(self.path(name), str(file)))


FRESH: Mapping[str, Mapping[str, Any]] = {
    "s3": {"use_listings_cache": False, "skip_instance_cache": True},
    "file": {"auto_mkdir": True},
}
"""Options of file systems that make other processes' objects visible at once."""


class ObjectStore(Store):
    """A store whose artifacts are objects, and folders of this machine where they are in use."""

    def __init__(self, root: Path, url: str, patience: float | None = None, **options: Any) -> None:
        """root: the cache. url: of the objects. options: of fsspec. Raises UserError where nothing can be written."""
        super().__init__(root, patience=patience)
        self._files = ObjectFiles(url, **options)
        self.url = url
        self.shared = True
        self._locks = Leases(self._lease_files())
        self._remote: set[str] = set()
        """Keys of artifacts known to be in the store."""

    def _lease_files(self) -> LeaseFiles:
        if self.url.startswith("file://"):
            return FolderFiles(Path(self._files.path(LEASES)))
        return _FolderOfObjects(self._files, LEASES)

    def check(self) -> None:
        """Raise UserError where objects cannot be written or conditional writes do not work."""
        probe = f"{LEASES}/probe-{uuid4().hex}"
        patience, self._files.patience = self._files.patience, 0.0
        try:
            once, twice = self._files.create(probe, b"1"), self._files.create(probe, b"2")
            self._files.delete(probe)
        except Exception as error:  # of any of the layers below fsspec
            hint = "; credentials and AWS_ENDPOINT_URL are those of boto3" if self.url.startswith("s3:") else ""
            raise UserError(f"--store {self.url} cannot be written ({_reason(error)}){hint}") from error
        finally:
            self._files.patience = patience
        if not once or (twice and not self.url.startswith("file://")):
            raise UserError(f"--store {self.url}: it has no conditional writes, which keep two machines apart")

    # ------------------------------------------------------------------------------------------------ artifacts
    def find(self, recipe: Recipe) -> Artifact | None:
        """Return the artifact, downloaded where it is not in the cache. Raises Damaged for one in the cache."""
        artifact = super().find(recipe)
        if artifact is not None and self._mark(recipe).exists():
            return self._deliver(recipe, artifact)
        return artifact or (super().find(recipe) if self._fetch(recipe) else None)

    def find_or_set_aside(self, recipe: Recipe, tell: Tell, held: bool = False) -> Artifact | None:
        """Return the artifact; a damaged one in the cache is downloaded again."""
        return super().find_or_set_aside(recipe, tell, held) or self.find(recipe)

    def exists(self, recipe: Recipe) -> bool:
        """Return whether the store has its manifest; an uploaded artifact of the cache counts without a request."""
        if recipe.key in self._remote or (super().exists(recipe) and not self._mark(recipe).exists()):
            return True
        there = self._files.exists(f"{ARTIFACTS}/{recipe.folder}/{MANIFEST}")
        if there:
            self._remote.add(recipe.key)
        return there

    def finish(
        self, recipe: Recipe, partial: Path, keep: list[str], facts: Mapping[str, Any], seconds: float,
        made: Mapping[str, Any],
    ) -> Artifact:  # fmt: skip
        """Finish an artifact in the cache and upload it, its manifest last. Raises LeaseLost.

        Where the store does not answer, it stays in the cache until it does.
        """
        with suppress(RunFailed):
            if self._locks.latest(lock_of(recipe)) != _number_of(partial):
                raise LeaseLost(f"{recipe.name}: another process has taken it over")
        self._set_mark(recipe)
        return self._deliver(recipe, super().finish(recipe, partial, keep, facts, seconds, made))

    def adopt(self, artifact: Artifact, recipe: Recipe, tell: Tell = lambda _: None) -> Artifact:
        """Copy a finished artifact of another store, and upload it, unless this store has it. Raises Busy."""
        if not self.exists(recipe):
            self._set_mark(recipe)
        return super().adopt(artifact, recipe, tell)

    def _mark(self, recipe: Recipe) -> Path:
        """Return the mark of an artifact of the cache that is to be uploaded."""
        return self.root / "cache" / "to-upload" / recipe.key

    def _set_mark(self, recipe: Recipe) -> None:
        self._mark(recipe).parent.mkdir(parents=True, exist_ok=True)
        self._mark(recipe).touch()

    def _deliver(self, recipe: Recipe, artifact: Artifact) -> Artifact:
        """Upload an artifact of the cache; return it, or the one that another machine has uploaded before."""
        while not self._push(recipe, artifact.folder):
            if self._fetch(recipe, replace=True):
                self._verified.pop(recipe.key, None)
                artifact = super().find(recipe) or artifact
                break
        self._mark(recipe).unlink(missing_ok=True)
        for name in self._files.names(_states(recipe)):
            self._files.delete(f"{_states(recipe)}/{name}")
        return artifact

    def _push(self, recipe: Recipe, folder: Path) -> bool:
        """Upload an artifact of the cache; return False where there is one of another machine."""
        manifest = (folder / MANIFEST).read_bytes()
        pack = self._incoming()
        try:
            with tarfile.open(pack, "w") as tar:
                for name in sorted(Manifest.read(folder / MANIFEST).files):
                    tar.add(folder / name, name, recursive=False)
            self._files.upload(pack, f"{ARTIFACTS}/{recipe.folder}/{_pack_name(manifest)}")
        finally:
            pack.unlink(missing_ok=True)
        if not self._files.create(f"{ARTIFACTS}/{recipe.folder}/{MANIFEST}", manifest):
            self._files.delete(f"{ARTIFACTS}/{recipe.folder}/{_pack_name(manifest)}")
            return False
        self._remote.add(recipe.key)
        return True

    def _fetch(self, recipe: Recipe, replace: bool = False) -> bool:
        """Download an artifact into the cache, if it is there and whole; a damaged one is renamed.

        replace: also where the cache has one.
        """
        at = f"{ARTIFACTS}/{recipe.folder}"
        content = self._files.read(f"{at}/{MANIFEST}")
        if content is None:
            return False
        folder = self._incoming()
        folder.mkdir()
        try:
            (folder / MANIFEST).write_bytes(content)
            manifest = Manifest.read(folder / MANIFEST)
            if manifest.key != recipe.key:
                raise ValueError("its manifest is of another artifact")
            self._unpack(f"{at}/{_pack_name(content)}", folder, manifest)
            target = self.root / recipe.folder
            target.parent.mkdir(parents=True, exist_ok=True)
            if replace:
                shutil.rmtree(target)
            with suppress(OSError):  # another process of this machine was faster
                folder.rename(target)
            for left in target.parent.glob(f"{target.name}.*{PARTIAL}"):  # of a lease that was taken over
                shutil.rmtree(left, ignore_errors=True)
            return True
        except (ValueError, FileNotFoundError, tarfile.TarError):
            self._files.write(f"{at}/{DAMAGED_MANIFEST}", content)
            self._files.delete(f"{at}/{MANIFEST}")
            self._remote.discard(recipe.key)
            return False
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _unpack(self, name: str, folder: Path, manifest: Manifest) -> None:
        """Extract the files of a manifest and no others. Raises ValueError where one differs from it."""
        pack = self._incoming()
        try:
            self._files.download(name, pack)
            with tarfile.open(pack) as tar:
                for member in tar:
                    file = manifest.files.get(member.name)
                    source = tar.extractfile(member) if file is not None and member.isreg() else None
                    if file is None or source is None or member.size != file.bytes:
                        raise ValueError(f"{member.name} is not what the manifest says")
                    with (folder / member.name).open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
        finally:
            pack.unlink(missing_ok=True)
        for wanted, file in manifest.files.items():
            if not (folder / wanted).is_file() or sha256_of(folder / wanted) != file.sha256:
                raise ValueError(f"{wanted} is not what the manifest says")

    def _incoming(self) -> Path:
        path = self.root / "cache" / "incoming" / uuid4().hex
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # ------------------------------------------------------------------------------------------------ states
    @contextmanager
    def making(self, recipe: Recipe, tell: Tell = lambda _: None) -> Iterator[Path]:
        """Yield the folder to work in, with the last state that any machine has uploaded; new states are uploaded."""
        with super().making(recipe, tell) as partial:
            if not recipe.state:
                yield partial
                return
            number = _number_of(partial)
            self._fetch_state(recipe, partial / recipe.state)
            uploads = _StateUploads(
                self._files, recipe, partial / recipe.state, number,
                lambda: self._locks.latest(lock_of(recipe)) != number,
            )  # fmt: skip
            try:
                yield partial
            except BaseException:
                try:
                    uploads.close()
                except RunFailed as error:  # what ends the work, a signal for example, is the error that counts
                    tell(f"{recipe.name}: its last state is on this machine alone: {error}")
                raise
            uploads.close()

    def begun(self, recipe: Recipe) -> bool:
        """Return whether there is a state to resume from, here or in the store."""
        return super().begun(recipe) or self.saved_state(recipe) is not None

    def saved_state(self, recipe: Recipe) -> object:
        """Return the name of the last state in the store."""
        return max(self._files.names(_states(recipe)), default=None) if recipe.state else None

    def _fetch_state(self, recipe: Recipe, path: Path) -> None:
        """Download the last undamaged state of the store, unless this machine has it."""
        for name in sorted(self._files.names(_states(recipe)), reverse=True):
            digest = name.rpartition("-")[2]
            if path.exists() and sha256_of(path) == digest:
                return
            incoming = self._incoming()
            try:
                self._files.download(f"{_states(recipe)}/{name}", incoming)
                if sha256_of(incoming) == digest:
                    incoming.replace(path)
                    return
            except FileNotFoundError:
                continue
            finally:
                incoming.unlink(missing_ok=True)


class _StateUploads:
    """A thread that uploads the state of a training at intervals, and once more at the end.

    Where another process has taken over the training, its folder is removed: this process has nothing to write to.
    """

    def __init__(self, files: ObjectFiles, recipe: Recipe, path: Path, number: int, lost: Callable[[], bool]) -> None:
        """number, lost: of the lease."""
        self._lost = lost
        self._files, self._folder, self._path, self._number = files, _states(recipe), path, number
        self._count = 0
        self._digest = sha256_of(path) if path.exists() else ""
        self._ended = threading.Event()
        self._pause = STATE_SECONDS
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Upload the last state, unless the training is finished."""
        self._ended.set()
        self._thread.join()
        self._upload()

    def _work(self) -> None:
        while not self._ended.wait(self._pause):
            with suppress(Exception):  # a store that does not answer for a moment costs no training
                started = time.monotonic()
                if self._lost():
                    shutil.rmtree(self._path.parent, ignore_errors=True)
                self._upload()
                self._pause = max(STATE_SECONDS, SHARE * (time.monotonic() - started))

    def _upload(self) -> None:
        """Upload the state if it is new, and delete all but the one before it."""
        kept = self._path.with_name(f"{self._path.name}.upload")
        kept.unlink(missing_ok=True)  # of a process that was killed while it uploaded
        try:
            os.link(self._path, kept)  # the file may be replaced meanwhile
        except FileNotFoundError:
            return
        try:
            digest = sha256_of(kept)
            if digest == self._digest:
                return
            self._count += 1
            self._files.upload(kept, f"{self._folder}/{self._number:08d}-{self._count:08d}-{digest}")
            self._digest = digest
        finally:
            kept.unlink(missing_ok=True)
        for name in sorted(self._files.names(self._folder))[:-2]:
            self._files.delete(f"{self._folder}/{name}")


class _FolderOfObjects:
    """The objects of one folder as lease files."""

    def __init__(self, files: ObjectFiles, folder: str) -> None:
        self._files, self._folder = files, folder

    def create(self, name: str, content: bytes) -> bool:
        return self._files.create(f"{self._folder}/{name}", content)

    def write(self, name: str, content: bytes) -> None:
        self._files.write(f"{self._folder}/{name}", content)

    def read(self, name: str) -> bytes | None:
        return self._files.read(f"{self._folder}/{name}")

    def delete(self, name: str) -> None:
        self._files.delete(f"{self._folder}/{name}")

    def names(self, folder: str) -> list[str]:
        return self._files.names(f"{self._folder}/{folder}")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _states(recipe: Recipe) -> str:
    return f"{STATES}/{recipe.key[:24]}"


def _number_of(partial: Path) -> int:
    """Return the number of the lease in the name of a working folder."""
    return int(partial.name.split(".")[-2])


def _pack_name(manifest: bytes) -> str:
    return f"{hashlib.sha256(manifest).hexdigest()[:24]}.tar"
