"""One call of `benchmark.edits`: prepare the faces, and write the list of edits unless it exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmark.config.profiles import load_profile
from benchmark.config.suites import load_suite
from benchmark.core.artifacts import Store
from benchmark.core.cli import writable_folder
from benchmark.core.errors import unknown
from benchmark.data.registry import open_source
from benchmark.external.listing import README, Listing
from benchmark.external.write import PreparedFaces, check_out, gather, is_there, write
from benchmark.pipeline.context import make_missing, open_context
from benchmark.stages.prepare import Prepare, load_faces
from benchmark.training.registry import is_known, known_methods


def write_list(
    suite: str, profile: str, data: str, store: Path, out: Path, training: bool, quiet: bool
) -> Iterator[str]:
    """Write the list of a suite's edits into `out`; with the training pictures if `training`.

    Yields lines to print. Raises UserError.
    """
    rows, stated = load_suite(suite), load_profile(profile)
    for name in dict.fromkeys(row.method for row in rows.rows):
        if not is_known(name):
            raise unknown("method", name, known_methods(), f"in suite {rows.name}")
    check_out(out)
    root = writable_folder(store, "--store")
    source = open_source(data, root / "cache")
    context = open_context(Store(root), "cpu", None, quiet)
    sources = [source, source.uncropped()] if rows.faces == "nonaligned" else [source]
    stages = [Prepare(one, stated.size) for one in sources]
    make_missing(stages, context)
    prepared = [PreparedFaces(stage, load_faces(stage.folder(context))) for stage in stages]
    content = gather(rows, stated, source.spec, prepared[0], prepared[-1], training)
    if is_there(out, content):
        yield f"{out} holds this list already"
        return
    with context.reporter.bar("write pictures", len(content.pictures)) as bar:
        write(out, content, bar.advance)
    yield from _lines(out, content.listing)


def _lines(out: Path, listing: Listing) -> Iterator[str]:
    for subset, sheet in listing.sheets.items():
        yield f"{out / sheet.file}: {sheet.edits} edits of {sheet.test_images} pictures ({subset})"
    if part := listing.training:
        yield f"{out / part.file}: {part.pictures} pictures of {part.identities} people to train on"
    yield f"{out / README} says what to do with them"
