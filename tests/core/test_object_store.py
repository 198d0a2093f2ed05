"""Artifacts in an object store: packed, whole or not there, held against their hashes; states of trainings too."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from s3fs import S3FileSystem

from benchmark.core import object_store
from benchmark.core.artifacts import MANIFEST, Artifact, Recipe, Store, lock_of
from benchmark.core.cli import Interrupted
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.locks import Busy, LeaseLost
from benchmark.core.object_store import ARTIFACTS, DAMAGED_MANIFEST, ObjectFiles, ObjectStore

STATE = "state.safetensors"
RECIPE = Recipe("train", "train it", {"a": 1}, {}, 1, ("one.bin",), STATE)
CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    """A local server of the protocol; the options of fsspec for it."""
    from moto.server import ThreadedMotoServer

    served = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    try:
        yield {"key": "testing", "secret": "testing", "endpoint_url": f"http://{host}:{port}"}
    finally:
        served.stop()


@pytest.fixture(params=["memory", "file", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], ObjectStore]:
    """Open the same objects with a cache of one's own, as another machine does."""
    options: dict[str, Any] = {}
    url = f"memory://{uuid4().hex}/runs"
    if request.param == "file":
        url = (tmp_path / "objects").as_uri()
    elif request.param == "s3":
        options = request.getfixturevalue("server")
        bucket = uuid4().hex
        ObjectFiles(f"s3://{bucket}", **options).fs.mkdir(bucket)
        url = f"s3://{bucket}/runs"

    def open_it(machine: str) -> ObjectStore:
        return ObjectStore(tmp_path / machine, url, 0.0, **options)

    return open_it


def make(store: ObjectStore, recipe: Recipe = RECIPE, content: bytes = CONTENT) -> Artifact:
    with store.making(recipe) as partial:
        (partial / "one.bin").write_bytes(content)
        (partial / "two.txt").write_text("text")
        return store.finish(recipe, partial, ["one.bin", "two.txt"], {"count": 3}, 1.5, {"by": "a test"})


def test_what_one_machine_makes_another_finds(opened: Callable[[str], ObjectStore]) -> None:
    one, two = opened("one"), opened("two")
    one.check()
    assert not two.exists(RECIPE)
    assert two.find(RECIPE) is None
    made = make(one)
    assert two.exists(RECIPE)
    found = two.find(RECIPE)
    assert found is not None
    assert found.folder == two.root / RECIPE.folder
    assert found.manifest == made.manifest
    assert (found.folder / "one.bin").read_bytes() == CONTENT
    assert (found.folder / MANIFEST).read_bytes() == (made.folder / MANIFEST).read_bytes()
    assert not list((two.root / "cache" / "incoming").iterdir())


def test_without_its_manifest_nothing_is_there(opened: Callable[[str], ObjectStore]) -> None:
    """What an upload that was cut leaves."""
    one, two = opened("one"), opened("two")
    make(one)
    one._files.delete(f"{ARTIFACTS}/{RECIPE.folder}/{MANIFEST}")
    assert not two.exists(RECIPE)
    assert two.find(RECIPE) is None


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
@pytest.mark.parametrize("damage", ["pack", "cut", "gone", "manifest", "more"])
def test_what_is_damaged_is_set_aside_and_made_again(opened: Callable[[str], ObjectStore], damage: str) -> None:
    one, two = opened("one"), opened("two")
    make(one)
    at = f"{ARTIFACTS}/{RECIPE.folder}"
    (pack,) = (name for name in one._files.names(at) if name.endswith(".tar"))
    content = one._files.read(f"{at}/{pack}") or b""
    match damage:
        case "pack":
            where = content.index(CONTENT) + 7
            one._files.write(f"{at}/{pack}", content[:where] + b"!" + content[where + 1 :])
        case "cut":
            one._files.write(f"{at}/{pack}", content[: len(content) // 2])
        case "gone":
            one._files.delete(f"{at}/{pack}")
        case "manifest":
            text = one._files.read(f"{at}/{MANIFEST}") or b""
            one._files.write(f"{at}/{MANIFEST}", text.replace(b'"count": 3', b'"count": 4'))
        case "more":
            one._files.write(f"{at}/{pack}", content.replace(b"two.txt", b"../twox", 1))
    assert two.find(RECIPE) is None
    assert not two.exists(RECIPE)
    assert not (two.root / RECIPE.folder).exists()
    assert one._files.exists(f"{at}/{DAMAGED_MANIFEST}")
    make(two)
    assert opened("three").find(RECIPE) is not None


def test_a_damaged_cache_is_downloaded_again(opened: Callable[[str], ObjectStore]) -> None:
    one, told = opened("one"), list[str]()
    folder = make(one).folder
    (folder / "one.bin").write_bytes(b"other")
    again = opened("one")
    found = again.find_or_set_aside(RECIPE, told.append)
    assert found is not None
    assert (found.folder / "one.bin").read_bytes() == CONTENT
    assert "damaged" in told[0]


def test_the_state_of_a_training_goes_on_on_another_machine(
    opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "STATE_SECONDS", 0.05)
    one, two = opened("one"), opened("two")
    assert two.saved_state(RECIPE) is None
    with one.making(RECIPE) as partial:
        with pytest.raises(Busy), two.making(RECIPE):
            pass
        (partial / STATE).write_bytes(b"iteration 5")
        late = time.monotonic() + 10
        while (first := two.saved_state(RECIPE)) is None:
            assert time.monotonic() < late
            time.sleep(0.02)
        (partial / f"{STATE}.tmp").write_bytes(b"iteration 9")
        (partial / f"{STATE}.tmp").replace(partial / STATE)
    assert two.saved_state(RECIPE) not in (None, first)
    assert two.begun(RECIPE)
    with two.making(RECIPE) as partial:
        assert (partial / STATE).read_bytes() == b"iteration 9"
    newest = f"states/{RECIPE.key[:24]}/{two.saved_state(RECIPE)}"
    two._files.write(newest, b"torn")  # an upload that was cut, where objects are files
    with opened("three").making(RECIPE) as partial:
        assert (partial / STATE).read_bytes() == b"iteration 5"
    make(two)
    assert two._files.names(f"states/{RECIPE.key[:24]}") == []


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_an_upload_that_was_killed_does_not_end_the_uploads(opened: Callable[[str], ObjectStore]) -> None:
    one, two = opened("one"), opened("two")
    partial = one.root / f"{RECIPE.folder}.partial"
    partial.mkdir(parents=True)
    (partial / STATE).write_bytes(b"iteration 5")
    (partial / f"{STATE}.upload").hardlink_to(partial / STATE)
    with one.making(RECIPE) as partial:
        (partial / f"{STATE}.tmp").write_bytes(b"iteration 9")
        (partial / f"{STATE}.tmp").replace(partial / STATE)
    with two.making(RECIPE) as partial:
        assert (partial / STATE).read_bytes() == b"iteration 9"


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_a_signal_ends_the_work_of_a_silent_store_too(
    opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: object) -> None:
        raise RunFailed("the store does not answer")

    monkeypatch.setattr(object_store._StateUploads, "_upload", silent)
    told: list[str] = []
    with pytest.raises(Interrupted), opened("one").making(RECIPE, told.append):
        raise Interrupted(signal.SIGTERM)
    assert told == ["train it: its last state is on this machine alone: the store does not answer"]
    with pytest.raises(RunFailed), opened("one").making(RECIPE, told.append):
        pass


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_a_finished_artifact_that_could_not_be_uploaded_is_uploaded_later(
    opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAUSES", (0.01, 0.02))
    one, two = opened("one"), opened("two")
    with one.making(RECIPE) as partial:
        (partial / "one.bin").write_bytes(CONTENT)
        one._files.patience = 0.05
        one._files.fs = Away(one._files.fs, 10_000, ConnectionError("refused"))
        with pytest.raises(RunFailed, match="cannot be used"):
            one.finish(RECIPE, partial, ["one.bin"], {}, 1.5, {})
    (lease,) = two._files.names(f"leases/{lock_of(RECIPE)}")
    two._files.delete(f"leases/{lock_of(RECIPE)}/{lease}")  # its process has ended
    assert not two.exists(RECIPE)
    again = opened("one")
    assert not again.exists(RECIPE)  # it has to be made, or uploaded, before others can use it
    with again.making(RECIPE):
        found = again.find_or_set_aside(RECIPE, print, held=True)
    assert found is not None
    assert again.exists(RECIPE)
    assert two.find(RECIPE) is not None
    assert not list((again.root / "cache" / "to-upload").iterdir())


@pytest.mark.parametrize("opened", ["memory", "s3"], indirect=True)
def test_of_two_who_upload_the_first_counts(opened: Callable[[str], ObjectStore]) -> None:
    """One that is slower, or wakes up, takes what the other has made."""
    one, two = opened("one"), opened("two")
    first = make(one)
    second = Store.finish(two, RECIPE, partial_of(two), ["one.bin", "two.txt"], {"count": 4}, 2.5, {"by": "another"})
    two._set_mark(RECIPE)
    assert second.manifest != first.manifest
    found = opened("two").find(RECIPE)
    assert found is not None
    assert found.manifest == first.manifest
    at = f"{ARTIFACTS}/{RECIPE.folder}"
    assert len(one._files.names(at)) == 2


def partial_of(store: ObjectStore) -> Path:
    partial = store.root / f"{RECIPE.folder}.1.partial"
    partial.mkdir(parents=True)
    for name in ("one.bin", "two.txt"):
        (partial / name).write_bytes(CONTENT)
    return partial


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_one_whose_lease_was_taken_over_has_nothing_to_write_to(
    opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "STATE_SECONDS", 0.05)
    one, two = opened("one"), opened("two")

    def work() -> None:
        with one.making(RECIPE) as mine:
            (mine / STATE).write_bytes(b"iteration 5")
            lease = f"leases/{lock_of(RECIPE)}/00000001"
            two._files.write(lease, (two._files.read(lease) or b"").replace(b"held", b"free"))
            with two.making(RECIPE) as theirs:
                late = time.monotonic() + 10
                while mine.exists():
                    assert time.monotonic() < late
                    time.sleep(0.02)
                (theirs / "one.bin").write_bytes(CONTENT)
                two.finish(RECIPE, theirs, ["one.bin"], {}, 0.0, {})
            (mine / STATE).write_bytes(b"iteration 6")

    with pytest.raises(LeaseLost):
        work()
    assert one.find(RECIPE) is not None


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_one_whose_lease_was_taken_over_finishes_nothing(opened: Callable[[str], ObjectStore]) -> None:
    one, two = opened("one"), opened("two")

    def work() -> None:
        with one.making(RECIPE) as mine:
            (mine / "one.bin").write_bytes(CONTENT)
            two._files.create(f"leases/{lock_of(RECIPE)}/00000002", b"")
            one.finish(RECIPE, mine, ["one.bin"], {}, 0.0, {})

    with pytest.raises(LeaseLost, match="train it: another process has taken it over"):
        work()
    assert not two.exists(RECIPE)
    assert not one.exists(RECIPE)


def test_what_comes_from_another_store_is_uploaded(opened: Callable[[str], ObjectStore], tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    with other.making(RECIPE) as partial:
        (partial / "one.bin").write_bytes(CONTENT)
        artifact = other.finish(RECIPE, partial, ["one.bin"], {}, 0.0, {})
    one, two = opened("one"), opened("two")
    one.adopt(artifact, RECIPE)
    found = two.find(RECIPE)
    assert found is not None
    assert (found.folder / "one.bin").read_bytes() == CONTENT
    two.adopt(artifact, RECIPE)
    assert not list((two.root / "cache").glob("to-upload/*"))


class Away:
    """A store's file system that does not answer a few times."""

    def __init__(self, fs: Any, times: int, error: Exception) -> None:
        self._fs, self.times, self._error = fs, times, error

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any, **more: Any) -> Any:
            if self.times:
                self.times -= 1
                raise self._error
            return getattr(self._fs, name)(*arguments, **more)

        return ask


@pytest.mark.parametrize("opened", ["memory"], indirect=True)
def test_a_store_that_does_not_answer_is_asked_again(
    opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAUSES", (0.01, 0.02))
    files = opened("one")._files
    files.patience = 0.3
    working = files.fs
    files.fs = Away(working, 3, ConnectionError("refused\nat length"))
    files.write("name", b"content")
    assert files.read("name") == b"content"
    files.fs = away = Away(working, 10_000, ConnectionError("refused\nat length"))
    with pytest.raises(
        RunFailed, match=r"the store memory://\S+ cannot be used \(ConnectionError: refused\); "
    ) as error:
        files.read("name")
    assert "\n" not in str(error.value)
    before = away.times
    with pytest.raises(RunFailed):  # it is asked once, until it has answered
        files.exists("name")
    assert before - away.times == 1
    files.fs = Away(working, 1, PermissionError("denied"))
    with pytest.raises(RunFailed, match=r"cannot be used \(PermissionError: denied\)"):
        files.write("name", b"content")
    full = OSError(errno.ENOSPC, "No space left on device")
    files.fs = Away(working, 1, full)
    with pytest.raises(OSError, match="No space left"):
        files.write("name", b"content")


def test_no_call_lists_more_than_one_key(opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing does not grow with what is there."""
    one, lengths = opened("one"), list[int]()
    names, listed = ObjectFiles.names, S3FileSystem._lsdir

    def count(self: ObjectFiles, folder: str) -> list[str]:
        found = names(self, folder)
        lengths.append(len(found))
        return found

    async def count_listed(self: S3FileSystem, *arguments: Any, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await listed(self, *arguments, **more)
        lengths.append(len(found))
        return found

    monkeypatch.setattr(ObjectFiles, "names", count)
    monkeypatch.setattr(S3FileSystem, "_lsdir", count_listed)
    for number in range(5):
        make(one, Recipe("train", f"train {number}", {"a": number}, {}, 1, ("one.bin",), STATE), b"x")
    assert lengths or one.url.startswith("file://")
    assert max(lengths, default=0) <= 2


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("runs", "s3://BUCKET/FOLDER is wanted"),
        ("http://somewhere/x", "s3://BUCKET/FOLDER is wanted"),
        ("file:///proc/nowhere", "cannot be written"),
        ("s3://", "s3://BUCKET/FOLDER is wanted"),
        ("s3:///folder", "s3://BUCKET/FOLDER is wanted"),
        ("file://", "file:///FOLDER, from the root on, is wanted"),
        ("file://runs", "file:///FOLDER, from the root on, is wanted"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(tmp_path: Path, url: str, wrong: str) -> None:
    with pytest.raises(UserError, match=wrong) as error:
        ObjectStore(tmp_path, url).check()
    assert "\n" not in str(error.value)


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path, server: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"--store s3://nowhere/x cannot be written \(") as error:
        ObjectStore(tmp_path, "s3://nowhere/x", **server).check()
    assert "\n" not in str(error.value)


def test_a_store_that_overwrites_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectFiles, "create", lambda self, name, content: self.write(name, content) is None)
    with pytest.raises(UserError, match="it has no conditional writes"):
        ObjectStore(tmp_path, f"memory://{uuid4().hex}").check()
