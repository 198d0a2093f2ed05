"""Finished suites: a second call needs neither torch nor the plan.

A plan depends on its request and on this project's code alone. Once a suite is done, the folder of its report is
remembered under a hash of both; where either differs, the plan is built.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from benchmark.core.artifacts import MANIFEST, Store
from benchmark.core.files import read_regular
from benchmark.core.hashes import write_text
from benchmark.pipeline.request import PlanRequest

LONGEST = 1 << 16
"""Largest size of a remembered entry in bytes."""


class FinishedSuite:
    """The remembered report of one request."""

    def __init__(self, store: Store, request: PlanRequest) -> None:
        self._store = store
        self._path = store.root / "cache" / "finished" / f"{request.key}.txt"

    def report(self) -> Path | None:
        """Return the folder of the report; None where the plan must be built, also where an artifact is damaged."""
        try:
            folder, _, key = read_regular(self._path, LONGEST).decode().partition("\n")
            report = self._store.root / folder
            if not key or not (report / MANIFEST).is_file() or self._store.damaged(self._store.lineage(key, folder)):
                return None
        except (OSError, ValueError):  # only a cache
            return None
        return report

    def remember(self, key: str, folder: str) -> None:
        """Remember the report of a finished suite by its key and its folder below the store's root."""
        with suppress(OSError):  # a full disk costs no result
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, f"{folder}\n{key}")
