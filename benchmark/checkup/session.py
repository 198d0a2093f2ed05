"""One call of `benchmark.prepare`: prepare a data set, check it, and write the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.checkup.checkup import CheckUp, check_up
from benchmark.checkup.page import text, write_page
from benchmark.config.profiles import load_profile
from benchmark.core.artifacts import Store
from benchmark.core.cli import writable_folder
from benchmark.core.hashes import write_text
from benchmark.data.photos.set_aside import ASIDE
from benchmark.data.registry import open_source
from benchmark.pipeline.context import make_missing, open_context
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.training.device import check_threads


@dataclass(frozen=True)
class CheckedDataSet:
    """The result of a check-up, the folder of prepared faces, the page, and the list of files set aside."""

    result: CheckUp
    prepared: Path
    page: Path
    aside: Path

    def summary(self) -> str:
        """Return the result as text."""
        return text(self.result, self.page, self.aside)

    def report(self) -> dict[str, Any]:
        """Return the content of `--json`."""
        return {**self.result.as_json(), "page": str(self.page), "prepared": str(self.prepared)}


def check_data_set(data: str, profile: str, store: Path, threads: int | None, quiet: bool) -> CheckedDataSet:
    """Prepare a data set, which suites then find prepared, and check it. Raises UserError."""
    stated = load_profile(profile)
    check_threads(threads)
    root = writable_folder(store, "--store")
    source = open_source(data, root / "cache")
    source.check()
    context = open_context(Store(root), "cpu", threads, quiet)
    stage = Prepare(source, stated.size)
    make_missing([stage], context)
    prepared = stage.artifact(context)
    result = check_up(source, prepared, stated)
    page = writable_folder(root / "checkups", "--store") / f"{prepared.folder.name}.html"
    write_page(result, load_faces(prepared.folder), page)
    aside = page.with_name(f"{prepared.folder.name}-{ASIDE}")
    write_text(aside, result.aside.to_csv(index=False))
    return CheckedDataSet(result, prepared.folder, page, aside)
