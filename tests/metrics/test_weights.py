"""Weights by file, cache or download; the download from a loopback server that misbehaves in every known way."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from pytorch_fid.inception import FID_WEIGHTS_URL

from benchmark.core.errors import UserError
from benchmark.metrics.features import ensure_weights, open_extractor, weights
from benchmark.metrics.features.weights import INCEPTION, Published, cached_or_downloaded

BODY = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers by the name asked for."""

    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        kind = self.path.rsplit("/", 1)[1]
        if kind == "moved.pth":
            self.send_response(302)
            self.send_header("Location", "/whole.pth")
            self.end_headers()
            return
        if kind == "gone.pth":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        if kind == "cut.pth":
            self.wfile.write(BODY[: len(BODY) // 2])
        elif kind == "other.pth":
            self.wfile.write(BODY[::-1])
        elif kind == "silent.pth":
            self.wfile.write(BODY[:1000])
            self.wfile.flush()
            time.sleep(1.5)
        else:
            self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Quiet."""


@dataclass(frozen=True)
class Server:
    """Where it listens."""

    address: str

    def file(self, name: str) -> Published:
        """A published file of this name on the server."""
        return Published("test weights", f"{self.address}/{name}", DIGEST, len(BODY), "do without")


@pytest.fixture
def server() -> Iterator[Server]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    Handler.requests = 0
    yield Server(f"http://127.0.0.1:{listening.server_address[1]}/weights")
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, and no proxy between the test and its server."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "torch" / "hub" / "checkpoints"


def test_what_is_repeated_here_is_what_pytorch_fid_and_torch_say() -> None:
    assert INCEPTION.url == FID_WEIGHTS_URL
    assert INCEPTION.file_name == "pt_inception-2015-12-05-6726825d.pth"
    # torch hub's convention: the suffix of a file's name is how its SHA-256 begins.
    assert INCEPTION.sha256.startswith("6726825d")
    assert weights.cache_folder() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.parametrize("name", ["whole.pth", "moved.pth"])
def test_download_lands_in_the_cache_and_is_not_repeated(server: Server, cache: Path, name: str) -> None:
    actual = cached_or_downloaded(server.file(name))
    assert actual.path == cache / name
    assert actual.path.read_bytes() == BODY
    asked = Handler.requests
    assert cached_or_downloaded(server.file(name)) == actual
    assert Handler.requests == asked
    assert [path.name for path in cache.iterdir()] == [name]


def test_damaged_cache_is_replaced(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "whole.pth").write_bytes(BODY[:-1])
    assert cached_or_downloaded(server.file("whole.pth")).path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gone.pth", "HTTP status 404"),
        ("cut.pth", "524288 bytes came instead of 1048576"),
        ("other.pth", "SHA-256"),
        ("silent.pth", "no answer within 0.3 s"),
    ],
)
def test_failed_download_is_one_line_and_leaves_nothing(
    server: Server, cache: Path, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "TIMEOUT", 0.3)
    published = server.file(name)
    with pytest.raises(UserError, match=why) as raised:
        cached_or_downloaded(published)
    message = str(raised.value)
    assert "\n" not in message
    for part in (published.url, str(cache / name), "--fid-weights", "do without"):
        assert part in message
    assert list(cache.iterdir()) == []


def test_more_bytes_than_published_are_not_taken(server: Server, cache: Path) -> None:
    with pytest.raises(UserError, match="bytes came instead of 1000"):
        cached_or_downloaded(replace(server.file("whole.pth"), size=1000))
    assert list(cache.iterdir()) == []


def test_no_network(cache: Path) -> None:
    published = Published("test weights", "http://127.0.0.1:9/whole.pth", DIGEST, len(BODY), "do without")
    with pytest.raises(UserError, match="no connection"):
        cached_or_downloaded(published)


def test_cache_that_cannot_be_written(server: Server, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot get the test weights"):
        cached_or_downloaded(server.file("whole.pth"))


def test_inception_names_the_stand_in(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setattr(weights, "INCEPTION", replace(INCEPTION, url=f"{server.address}/gone.pth"))
    with pytest.raises(UserError, match="--features efficientnet-lite0"):
        open_extractor("inception")


def test_given_files(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(BODY)
    with pytest.raises(UserError, match=f"begins with {DIGEST[:8]}, not 6726825d.*--allow-other-weights"):
        ensure_weights("inception", other)
    assert ensure_weights("inception", other, allow_other_weights=True).sha256 == DIGEST
    with pytest.raises(UserError, match=r"cannot read the weights .*missing\.pth"):
        ensure_weights("inception", tmp_path / "missing.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    for special in (tmp_path / "pipe.pth", Path("/dev/zero")):
        with pytest.raises(UserError, match=r"cannot read the weights .*: it is a (named pipe|device), not a file"):
            ensure_weights("inception", special)
    with pytest.raises(UserError, match="takes no weights file"):
        ensure_weights("efficientnet-lite0", other)
    with pytest.raises(UserError, match="did you mean 'inception'"):
        ensure_weights("inceptionv3")


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"first")
    assert weights.sha256_of(path) == hashlib.sha256(b"first").hexdigest()
    path.write_bytes(b"another")
    assert weights.sha256_of(path) == hashlib.sha256(b"another").hexdigest()
