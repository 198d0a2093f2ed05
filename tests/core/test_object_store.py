"""Artifacts in an object store: packed, whole or not there, held against their hashes; states of trainings too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmark.core import object_store
from benchmark.core.artifacts import MANIFEST, Artifact, Recipe
from benchmark.core.errors import UserError
from benchmark.core.locks import Busy
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


def test_no_call_lists_more_than_one_key(opened: Callable[[str], ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing does not grow with what is there."""
    one, seen = opened("one"), list[tuple[str, int]]()
    names = ObjectFiles.names

    def count(self: ObjectFiles, folder: str) -> list[str]:
        found = names(self, folder)
        seen.append((folder, len(found)))
        return found

    monkeypatch.setattr(ObjectFiles, "names", count)
    for number in range(5):
        make(one, Recipe("train", f"train {number}", {"a": number}, {}, 1, ("one.bin",), STATE), b"x")
    assert seen or one.url.startswith("file://")
    assert max((length for _, length in seen), default=0) <= 2


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
