"""README and docs/reference.md say what is stored in results/reference, number for number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmark.config.loading import REFERENCE
from benchmark.config.reference import INDEX, REPORTS, Index, StoredRow, StoredSeed, StoredSuite, load_index
from benchmark.core.artifacts import MANIFEST, Manifest, Store
from benchmark.core.errors import UserError
from benchmark.core.models import dump
from benchmark.stages.stored import TRAINING
from benchmark.storing.card import CARD, model_card
from benchmark.storing.collect import LARGEST, stored_results
from docs.make_reference import BLOCKS, NOTHING, PAGES, Stored, with_blocks
from tests.report.made_up import certain_run


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_pages_are_up_to_date(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert "<!-- reference: " in page
    assert with_blocks(page, Stored()) == page, "run: python -m docs.make_reference"


def test_what_the_repository_stores_is_whole() -> None:
    index = load_index(REFERENCE)
    store = Store(REFERENCE)
    for folder in index.folders:
        manifest = Manifest.read(REFERENCE / folder / MANIFEST)
        assert store.damaged({manifest.key: folder}) == []
    if index.folders:
        files = [path for path in REFERENCE.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= LARGEST
    results = stored_results(REFERENCE)
    for folder in {seed.weights for _, row in index.rows() for seed in row.seeds.values() if seed.weights}:
        card = (REFERENCE / folder / CARD).read_text(encoding="utf-8")
        assert card == model_card(REFERENCE, folder, index, results), "run: python -m benchmark.reference"


def test_the_stored_scores_are_those_of_the_stored_results() -> None:
    results = stored_results(REFERENCE)
    for name, suite in load_index(REFERENCE).suites.items():
        rows = {row.id: row for row in results[name].rows} if name in results else {}
        for row_id, row in suite.rows.items():
            for seed, each in row.seeds.items():
                if each.scores and seed in rows[row_id].seeds:
                    facts = Manifest.read(REFERENCE / each.scores / MANIFEST).facts
                    assert facts["metrics"] == rows[row_id].seeds[seed].metrics


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Made-up results of table1, of one row with one seed that is missing, and a training on a GPU."""
    results = certain_run()
    folder = tmp_path / REPORTS / "table1"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(results.dump())
    (folder / "reference-guided.png").touch()
    record = tmp_path / "record" / "record-a-0123456789ab"
    record.mkdir(parents=True)
    facts = {"iterations": 4000, "images_seen": 32000, "failures": []}
    made = {"device": "cuda", "processor": "a processor", "threads": 1}
    manifest = Manifest("0" * 64, "train", "train mtss F&P seed 0", {}, {}, 3, {}, facts, 3725.0, made)
    (record / TRAINING).write_text(manifest.dump())
    weights = tmp_path / "weights" / "weights-a-0123456789ab"
    weights.mkdir(parents=True)
    (weights / "weights.safetensors").write_bytes(bytes(1_500_000))
    seed = StoredSeed("record/record-a-0123456789ab", "scores/score-a-0123456789ab", "weights/weights-a-0123456789ab")
    row = StoredRow("Ours (R)", "mtss", "R", "F&P", {0: seed})
    index = Index({"table1": StoredSuite("reference", {"mtss-r": row}, {"mtss-r": (1, 2)})})
    (tmp_path / INDEX).write_text(json.dumps(dump(index)))
    return Stored(tmp_path)


def block(name: str, stored: Stored) -> str:
    page = f"before\n<!-- reference: {name} -->\nold\n<!-- end -->\nafter\n"
    written = with_blocks(page, stored)
    assert written.startswith("before\n<!-- reference: ")
    assert written.endswith("<!-- end -->\nafter\n")
    assert with_blocks(written, stored) == written
    return written


def test_tables_have_the_stored_numbers(stored: Stored) -> None:
    results = certain_run()
    table, readme = block("table table1", stored), block("readme table1", stored)
    measured = [row for row in results.rows if row.seeds and not row.extended]
    assert measured
    for row in measured:
        value = row.mean("ca")
        assert value is not None
        for text in (table, readme):
            assert any(f"{value:.2f}" in line for line in text.splitlines() if row.label in line)
    assert "seed" in readme
    assert "Seeds of" in block("certainty table1", stored) or "Ranks of" in block("certainty table1", stored)
    assert "Claims: " in block("claims table1", stored)
    assert "surprised" in block("expressions table1", stored)


def test_what_is_missing_and_where_it_was_trained_is_said(stored: Stored) -> None:
    assert "| table1 | mtss-r | 0 | 0 | 1, 2 |" in block("status", stored)
    trainings = block("trainings", stored)
    assert "| mtss F&P seed 0 | mtss-r | cuda | a processor | 1 | 1 h 02 min | 4,000 | 32,000 | no |" in trainings
    assert "In all 1 training, 1 h 02 min on cuda." in trainings
    assert "1.50 MB" in block("weights", stored)
    figures = block("figures table1", stored)
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", figures) == ["../results/reference/reports/table1/reference-guided.png"]


@pytest.mark.parametrize("kind", sorted(set(BLOCKS) - {"readme"}))
def test_nothing_stored_is_said(kind: str, tmp_path: Path) -> None:
    assert NOTHING in block(f"{kind} table2", Stored(tmp_path))


def test_readme_stays_as_it_is_until_something_is_stored(tmp_path: Path) -> None:
    assert "\nold\n" in block("readme table1", Stored(tmp_path))


def test_a_block_of_no_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the block 'tables table1' is none of"):
        block("tables table1", Stored(tmp_path))
