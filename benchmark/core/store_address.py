"""The address of a store: what another process needs to open it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.core.artifacts import Store
from benchmark.core.object_store import ObjectStore


@dataclass(frozen=True)
class StoreAddress:
    """A store's folder, whether several machines use it, and the URL of the object store that it is a cache of."""

    root: Path
    shared: bool = False
    url: str = ""

    def open(self, patience: float | None = None) -> Store:
        """Open the store. patience: as in `Store`, seconds to wait for an artifact that another process makes."""
        if self.url:
            return ObjectStore(self.root, self.url, patience)
        return Store(self.root, self.shared, patience)
