"""results.json, its schema, and its way back into dataclasses."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.registry import METRICS
from benchmark.protocol import EXPRESSIONS, GUIDES, SUBSETS
from benchmark.report import results as results_module
from benchmark.report.results import (
    Features,
    JudgeReading,
    JudgeResult,
    Override,
    Row,
    Scores,
    SuiteResults,
    Training,
    load_results,
)
from tests.report.json_schema import errors
from tests.report.made_up import ablation_run, published_run, quick_run

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "benchmark/report/results.schema.json").read_text(encoding="utf-8"))
KEYS = [metric.key for metric in METRICS]

number = st.floats(allow_nan=False, allow_infinity=False)
percent = st.floats(0, 100)
count = st.integers(0, 2**40)
word = st.text(max_size=12)
seed = st.integers(0, 2**32 - 1)
changed = st.dictionaries(word, st.none() | st.booleans() | number | word | st.lists(count, max_size=2), max_size=3)
shares = st.dictionaries(st.sampled_from(EXPRESSIONS), percent)
scores = st.builds(
    Scores,
    edits=count,
    metrics=st.fixed_dictionaries({key: st.none() | number for key in KEYS}),
    reasons=st.dictionaries(st.sampled_from(KEYS), word),
    ca_by_expression=shares,
)
training = st.builds(
    Training,
    iterations=st.none() | count,
    images_seen=st.none() | count,
    updates=st.dictionaries(word, count, max_size=3),
    parameters=st.dictionaries(word, count, max_size=3),
    overrides=changed,
    settings=changed,
)
row = st.builds(
    Row,
    id=word, label=word, method=word, guide=st.sampled_from(GUIDES), subset=st.sampled_from(SUBSETS),
    seeds=st.dictionaries(seed, scores, max_size=3), training=st.none() | training, missing=word, footnote=word,
    trainings=st.dictionaries(seed, word, max_size=3), variant=changed, extended=st.booleans(), note=word, same_as=word,
    origin=word,
)  # fmt: skip
suite_results = st.builds(
    SuiteResults,
    suite=word, title=word, profile=word, notice=word, data=word, data_description=word, size=st.integers(1, 1024),
    seeds=st.lists(seed, max_size=3).map(tuple),
    features=st.builds(Features, name=word, column=word, comparable=st.booleans(), identity=word),
    test_images=st.dictionaries(st.sampled_from(SUBSETS), count),
    test_identities=count, train_identities=count,
    judges=st.dictionaries(
        st.sampled_from(SUBSETS),
        st.dictionaries(seed, st.builds(JudgeResult, accuracy=percent, images=count, by_expression=shares), max_size=2),
    ),
    rows=st.lists(row, max_size=3).map(tuple), keys=st.dictionaries(word, word, max_size=3), paper_table=word,
    paper_data=word, overrides=st.dictionaries(word, st.builds(Override, why=word, settings=changed), max_size=2),
    ladder=st.booleans(), faces=st.sampled_from(["aligned", "nonaligned"]),
    targets=st.lists(st.sampled_from(EXPRESSIONS), max_size=2, unique=True).map(tuple),
    readings=st.dictionaries(
        st.sampled_from(SUBSETS),
        st.builds(
            JudgeReading, accuracy=percent, images=count, by_expression=shares, target_accuracy=percent,
            target_images=count, framed=count, unframed_accuracy=percent,
        ),
    ),
    schema=st.just(results_module.SCHEMA),
)  # fmt: skip


@given(suite_results)
@settings(max_examples=60, deadline=None)
def test_what_is_dumped_is_loaded_and_fits_the_schema(
    tmp_path_factory: pytest.TempPathFactory, made: SuiteResults
) -> None:
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.write_text(made.dump(), encoding="utf-8")
    again = load_results(path)
    assert again == made
    assert again.dump() == made.dump()
    assert errors(json.loads(made.dump()), SCHEMA, SCHEMA) == []


@pytest.mark.parametrize("made", [published_run(), quick_run(), ablation_run()])
def test_made_up_runs_fit_the_schema(made: SuiteResults) -> None:
    assert errors(json.loads(made.dump()), SCHEMA, SCHEMA) == []


def damaged(raw: dict[str, Any], *path: str | int, value: Any = None, drop: bool = False) -> dict[str, Any]:
    place: Any = raw
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [
        (("schema",), {"value": 1}, "$: 1 is not 3"),
        (("rows", 0, "guide"), {"value": "X"}, "$.rows[0].guide: 'X' is none of ['T', 'R']"),
        (("rows", 0, "seeds", "0", "metrics", "fid"), {"value": "44"}, "'44' is not of type number or null"),
        (("rows", 0, "seeds", "0", "metrics", "fid"), {"drop": True}, "'fid' is missing"),
        (("rows", 0, "seeds", "0", "metrics", "lpips"), {"value": 1.0}, "'lpips' is not known"),
        (("rows", 0, "seeds", "first"), {"value": {}}, "'first' does not match"),
        (("rows", 0, "seeds", "0", "edits"), {"value": -1}, "-1 is too small"),
        (("judges", "F", "0", "accuracy"), {"value": 101}, "101 is too large"),
        (("features", "comparable"), {"value": 1}, "1 is not of type boolean"),
        (("seeds", 0), {"value": True}, "True is not of type integer"),
        (("keys",), {"drop": True}, "'keys' is missing"),
        (("rows", 0, "extended"), {"value": "yes"}, "'yes' is not of type boolean"),
        (("overrides",), {"value": {"hisd": {"settings": {}}}}, "'why' is missing"),
        (("rows", 0, "training"), {"value": {}}, "fits none"),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], change: dict[str, Any], error: str) -> None:
    raw = damaged(json.loads(published_run().dump()), *path, **change)
    assert any(error.removeprefix("$: ") in found for found in errors(raw, SCHEMA, SCHEMA))


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("row", Row),
        ("scores", Scores),
        ("training", Training),
        ("judge", JudgeResult),
        ("reading", JudgeReading),
        ("features", Features),
        ("override", Override),
    ],
)
def test_the_schema_has_the_fields_of_the_dataclasses(name: str, cls: type) -> None:
    fields = [field.name for field in dataclasses.fields(cls)]
    assert sorted(SCHEMA["$defs"][name]["properties"]) == sorted(fields)
    assert SCHEMA["$defs"][name]["required"] == sorted(fields)


def test_the_schema_has_the_fields_of_the_whole() -> None:
    assert sorted(SCHEMA["properties"]) == sorted(field.name for field in dataclasses.fields(SuiteResults))
    assert list(SCHEMA["$defs"]["scores"]["properties"]["metrics"]["properties"]) == KEYS
    assert SCHEMA["properties"]["schema"]["const"] == results_module.SCHEMA


def test_the_page_documents_every_field_and_metric() -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(\w+)`", page))
    classes = (SuiteResults, Row, Scores, Training, JudgeResult, JudgeReading, Features, Override)
    fields = {field.name for cls in classes for field in dataclasses.fields(cls)}
    assert fields - documented == set()
    assert re.findall(r"^\| `(\w+)` \| (lower|higher) \|", page, re.MULTILINE) == [
        (metric.key, metric.direction) for metric in METRICS
    ]


@pytest.mark.parametrize("text", ["[]", '{"schema": 1}', '{"schema": 3}', '{"schema": 3, "rows": 3}', "{"])
def test_what_is_no_results_file_is_a_value_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"is not a results file of schema 3|Expecting"):
        load_results(path)
