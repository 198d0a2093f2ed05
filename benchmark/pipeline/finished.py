"""Suites that are finished: a second call is answered without torch, and without building its plan.

A plan is a function of what it is asked for and of this project's code, and so are its keys. After a suite is done, the
folders of its artifacts are remembered under a hash of all of that; where anything differs, the plan is built anew.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import benchmark
from benchmark.config.profiles import Profile
from benchmark.config.suites import Suite
from benchmark.core.artifacts import MANIFEST, Store
from benchmark.core.hashes import write_text
from benchmark.training.registry import code_digest, is_known

if TYPE_CHECKING:
    from benchmark.data.source import DataSource
    from benchmark.stages.features import ExtractorChoice

PACKAGES = ("benchmark", "baselines", "models", "results")
CODE = {".py", ".yaml", ".json", ".sha256"}
"""What a key may depend on. Pictures and weights have hashes of their own in the question."""
ACCELERATORS = ("nvidia*", "nvhost*", "nvgpu*", "nvmap*", "kfd", "dxg")
"""Device files of GPUs that torch may find: of NVIDIA's and AMD's drivers, and of Windows below Linux."""


def device_at_a_glance(wanted: str) -> str | None:
    """`cpu` where `choose_device` would certainly say so; None where torch has to be asked."""
    if wanted == "cpu":
        return "cpu"
    known = wanted == "auto" and sys.platform == "linux"
    return "cpu" if known and not any(any(Path("/dev").glob(name)) for name in ACCELERATORS) else None


@dataclass(frozen=True)
class Question:
    """What a plan is made for."""

    suite: Suite
    profile: Profile
    source: DataSource
    seeds: tuple[int, ...]
    extractor: ExtractorChoice
    device: str

    @property
    def key(self) -> str:
        """SHA-256 of all that has a part in the plan's keys: the question, and the code that answers it."""
        extractor = self.extractor
        sources = [self.source, *([self.source.uncropped()] if self.suite.faces == "nonaligned" else [])]
        parts = (
            dataclasses.asdict(self.suite),
            dataclasses.asdict(self.profile),
            *(
                [source.name, source.version, source.content_key(), source.split_settings(), sorted(source.knows)]
                for source in sources
            ),
            self.seeds,
            [extractor.name, extractor.identity, extractor.published, extractor.allow_other_weights],
            self.device,
            _code(),
            [code_digest(row.method) for row in self.suite.rows if is_known(row.method)],
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


class Finished:
    """What is remembered of one question."""

    def __init__(self, store: Store, question: Question) -> None:
        self._store = store
        self._path = store.root / "cache" / "finished" / f"{question.key}.json"

    def report(self) -> Path | None:
        """The folder of the report; None where the plan must be built, also where an artifact is damaged."""
        if not self._path.exists():
            return None
        try:
            remembered = json.loads(self._path.read_text(encoding="utf-8"))
            key, folders = (
                str(remembered["report"]),
                {str(key): str(name) for key, name in remembered["folders"].items()},
            )
            report = self._store.root / folders[key]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # only a memory
        if not (report / MANIFEST).is_file() or self._store.damaged(folders):
            return None
        return report

    def remember(self, report: str, folders: dict[str, str]) -> None:
        """A plan is done: the key of its report, and all its folders by key."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self._path, json.dumps({"report": report, "folders": folders}, indent=1))


def _code() -> str:
    """SHA-256 of this project's code and tables, and of the interpreter's version."""
    digest = hashlib.sha256(sys.version.encode())
    for path in _files():
        digest.update(f"{path}|{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    root = Path(benchmark.__file__).parents[1]
    for package in PACKAGES:
        yield from sorted(path for path in (root / package).rglob("*") if path.suffix in CODE)
