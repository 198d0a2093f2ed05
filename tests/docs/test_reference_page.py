"""README and docs/reference.md say what is stored in results/reference, number for number."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmark.config.loading import REFERENCE
from benchmark.config.profiles import load_profile
from benchmark.config.reference import INDEX, REPORTS, Index, StoredRow, StoredSeed, StoredSuite, load_index
from benchmark.config.spaces import load_space
from benchmark.config.suites import load_suite
from benchmark.core.artifacts import MANIFEST, Manifest, Store
from benchmark.core.errors import UserError
from benchmark.core.models import dump
from benchmark.stages.stored import TRAINING
from benchmark.storing.card import CARD, model_card
from benchmark.storing.collect import LARGEST, stored_results
from benchmark.tuning.run import TuneOptions
from benchmark.tuning.trials import plan_tuning
from benchmark.tuning.write import RECORDS
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


def test_trials_are_summed_up_by_method(stored: Stored) -> None:
    folder = stored.root / "tuning" / "table1"
    folder.mkdir(parents=True)

    def trial(kind: str, value: float | None, seconds: float, chosen: bool = False) -> dict[str, object]:
        whole = {"key": "k", "processor_seconds": seconds, "pictures": 1000} if value is not None else {}
        return {"method": "mtss", "kind": kind, "value": value, "chosen": chosen, **whole}

    trials = {
        "mtss-00": trial("published", 0.2, 100), "mtss-01": trial("profile", None, 0),
        "mtss-02": trial("drawn", 0.31, 200, chosen=True), "mtss-03": trial("drawn", 0.3, 600),
    }  # fmt: skip
    people = {"trained_on": ["001", "002", "003"], "validated_on": ["004"]}
    (folder / RECORDS).write_text(json.dumps({"criterion": "editing", "identities": people, "trials": trials}))
    text = block("tuning table1", stored)
    assert "| mtss | 4 | 0.200 | – | 0.310 | mtss-02 | 300 | 1,000 |" in text
    assert "(higher is better), on 1 people who were taken from the training ones; 3 others" in text


def test_the_stored_trials_are_equal_and_have_no_test_person() -> None:
    """As many for every method, of the same declared length; the choice is the best of what stands there."""
    results = stored_results(REFERENCE)
    for folder in sorted((REFERENCE / "tuning").glob("*/")):
        records = json.loads((folder / RECORDS).read_text())
        suite = results[folder.name]
        tested = {person for row in suite.rows for each in row.seeds.values() for person in each.by_identity["ca"]}
        people = records["identities"]
        assert len(tested) == suite.test_identities
        assert not tested & {*people["trained_on"], *people["validated_on"]}
        assert len({*people["trained_on"], *people["validated_on"]}) == suite.train_identities
        profile, space = load_profile("reference"), load_space("optimisation")
        count = Counter(trial["method"] for trial in records["trials"].values())
        assert len(set(count.values())) == 1
        tuning = plan_tuning(load_suite(folder.name), profile, space, count["mtss"], TuneOptions().share, 0, None)
        assert records["declared_seconds"] == pytest.approx(tuning.seconds)
        # A profile that has taken over what was chosen gives other settings to its own trial now.
        trials = [each for each in records["trials"].values() if each["kind"] != "profile"]
        assert [(each["method"], each["iterations"], each["settings"]) for each in trials] == [
            (each.method, each.iterations, dict(each.settings)) for each in tuning.trials if each.kind != "profile"
        ]
        for method in count:
            trials = [each for each in records["trials"].values() if each["method"] == method]
            (chosen,) = (each for each in trials if each["chosen"])
            learned = [each for each in trials if "failed" not in each] or trials
            assert chosen["value"] == max(each["value"] for each in learned if each["value"] is not None)


@pytest.mark.parametrize("kind", sorted(set(BLOCKS) - {"readme"}))
def test_nothing_stored_is_said(kind: str, tmp_path: Path) -> None:
    assert NOTHING in block(f"{kind} table2", Stored(tmp_path))


def test_readme_stays_as_it_is_until_something_is_stored(tmp_path: Path) -> None:
    assert "\nold\n" in block("readme table1", Stored(tmp_path))


def test_a_block_of_no_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the block 'tables table1' is none of"):
        block("tables table1", Stored(tmp_path))
