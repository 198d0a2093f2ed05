"""Stored results: artifacts that come with this repository, found by their content keys and copied into a store."""

from __future__ import annotations

from pathlib import Path

from benchmark.core.artifacts import Damaged, Store, Tell
from benchmark.core.errors import UserError
from benchmark.stages.base import Stage


class StoredResults:
    """A read-only folder with the layout of a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._store = Store(root)

    def has(self, stage: Stage) -> bool:
        """Return whether the artifact of a stage is stored."""
        return self._store.exists(stage.recipe)

    def take(self, stage: Stage, store: Store, tell: Tell) -> None:
        """Copy the artifact of a stage into a store. Raises UserError where it is damaged."""
        try:
            artifact = self._store.find(stage.recipe)
        except Damaged as error:
            raise UserError(
                f"{error.folder} is damaged ({error.why}): restore it (git checkout), or train anew with --retrain"
            ) from error
        if artifact is not None:
            store.adopt(artifact, stage.recipe, tell)
