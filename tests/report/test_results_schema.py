"""results.json: written, read again, and refused in one line where it is damaged; what is written from its models."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.metrics.metric import MetricDescription
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
from benchmark.report.schema import DOCS, json_schema, written
from tests.report.made_up import ablation_run, published_run, quick_run

METRICS = tuple(
    MetricDescription(key=key, label=key.upper(), direction="higher", definition="", per="edit", paper=paper)
    for key, paper in (("fid", {"F": "FID"}), ("other", {}))
)
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
    origin=word, failed=st.dictionaries(seed, st.lists(word, min_size=1, max_size=2), max_size=2),
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
    rows=st.lists(row, max_size=3, unique_by=lambda row: row.id).map(tuple),
    keys=st.dictionaries(word, word, max_size=3), paper_table=word,
    paper_data=word, overrides=st.dictionaries(word, st.builds(Override, why=word, settings=changed), max_size=2),
    ladder=st.booleans(),
    faces=st.sampled_from(["aligned", "nonaligned"]),
    data_notes=st.lists(word, max_size=2).map(tuple),
    targets=st.lists(st.sampled_from(EXPRESSIONS), max_size=2, unique=True).map(tuple),
    readings=st.dictionaries(
        st.sampled_from(SUBSETS),
        st.builds(
            JudgeReading, accuracy=percent, images=count, by_expression=shares, target_accuracy=percent,
            target_images=count, framed=count, unframed_accuracy=percent,
        ),
    ),
    metrics=st.just(METRICS), columns=st.sampled_from([(), ("other",)]), extra_columns=st.just(()),
    schema=st.just(results_module.SCHEMA),
)  # fmt: skip


@given(suite_results)
@settings(max_examples=60, deadline=None)
def test_what_is_dumped_is_loaded(tmp_path_factory: pytest.TempPathFactory, result: SuiteResults) -> None:
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.write_text(result.dump(), encoding="utf-8")
    again = load_results(path)
    assert again == result
    assert again.dump() == result.dump()


@pytest.mark.parametrize("result", [published_run(), quick_run(), ablation_run()])
def test_made_up_runs_are_loaded(tmp_path: Path, result: SuiteResults) -> None:
    (tmp_path / "results.json").write_text(result.dump(), encoding="utf-8")
    assert load_results(tmp_path / "results.json") == result


def damaged(raw: dict[str, Any], *path: str | int, value: Any = None, drop: bool = False) -> dict[str, Any]:
    node: Any = raw
    for step in path[:-1]:
        node = node[step]
    if drop:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "change", "error"),
    [
        (("schema",), {"value": 3}, "has schema 3 and this version reads 6: run the suite again"),
        (("schema",), {"value": "new\nline"}, r"has schema 'new\nline' and this version reads 6"),
        (("schema",), {"drop": True}, "has schema None and this version reads 6"),
        (("rows", 0, "guide"), {"value": "X"}, "row 1: guide must be 'T' or 'R', not 'X'"),
        (("rows", 0, "seeds", "0", "metrics", "fid"), {"value": "44"}, "must be a number, not '44'"),
        (("rows", 0, "seeds", "0", "metrics", "fid"), {"drop": True},
         "row 'stargan-t', seed 0: metric 'fid' is missing"),
        (("rows", 0, "seeds", "0", "metrics", "lpips"), {"value": 1.0},
         "row 'stargan-t', seed 0: metric 'lpips' is not described"),
        (("rows", 0, "seeds", "first"), {"value": {}}, "must be a whole number"),
        (("rows", 0, "seeds", "0", "edits"), {"value": -1}, "edits must be at least 0, not -1"),
        (("rows", 0, "failed"), {"value": {"0": []}}, "at least 1 item"),
        (("judges", "F", "0", "accuracy"), {"value": 101}, "accuracy must be at most 100, not 101"),
        (("features", "comparable"), {"value": 1}, "features.comparable must be true or false, not 1"),
        (("seeds", 0), {"value": True}, "must be a whole number, not True"),
        (("size",), {"value": 10**400}, "size must be at most 100000, not 1000"),
        (("seeds", 0), {"value": 2**32}, "must be at most 4294967295, not 4294967296"),
        (("keys",), {"drop": True}, "'keys' is missing"),
        (("columns",), {"value": ["sim"]}, "unknown metric 'sim' in the columns; did you mean 'ssim'?"),
        (("columns",), {"value": ["ca", "ca"]}, "metric 'ca' is named twice in the columns"),
        (("metrics", 0), {"value": published_run().metrics[1].__dict__}, "metrics hold a key twice"),
        (("metrics", 0, "direction"), {"value": "up"}, "must be 'lower', 'higher' or 'one', not 'up'"),
        (("rows", 0, "extended"), {"value": "yes"}, "row 1: extended must be true or false, not 'yes'"),
        (("overrides",), {"value": {"hisd": {"settings": {}}}}, "overrides.hisd: 'why' is missing"),
        (("rows", 0, "training"), {"value": {}}, "'iterations' is missing"),
        (("rows", 0, "trainings", "0"), {"value": float("nan")}, "must be text, not nan"),
        (("rows",), {"value": 3}, "rows must be a list, not 3"),
        (("note",), {"value": ""}, "no field 'note'"),
        (("rows", 1, "id"), {"value": "stargan-t"}, "is damaged: it has two rows 'stargan-t'"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path: Path, path: tuple[str | int, ...], change: Any, error: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(json.dumps(damaged(json.loads(published_run().dump()), *path, **change)), encoding="utf-8")
    refused(file, error)


def refused(file: Path, error: str) -> None:
    with pytest.raises(UserError) as caught:
        load_results(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert error in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(file))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"[]", "must be a mapping"), (b"{", "cannot be read as JSON"), (b"", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read"), (b"[" * 100_000, "cannot be read as JSON"), (b'{"schema": 6}', "is missing"),
        (b'{"schema": 1}', "has schema 1 and this version reads 6"), (None, "cannot be read"),
        (b'{"schema": 6, "rows": [{"id": "a", "id": "b"}]}', "is damaged: 'id' is there twice"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_one_line(tmp_path: Path, content: bytes | None, error: str) -> None:
    file = tmp_path / "results.json"
    if content is not None:
        file.write_bytes(content)
    refused(file, error)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "results.json").symlink_to("/dev/zero")
    refused(tmp_path / "results.json", "cannot be read: it is a device, not a file")


# ---------------------------------------------------------------------------------------------- what is written from it
@pytest.mark.parametrize(("path", "text"), list(written()), ids=lambda value: getattr(value, "name", ""))
def test_schema_and_pages_are_those_of_the_models(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "call python -m benchmark.report.schema"


def test_the_schema_has_every_field_with_its_meaning() -> None:
    schema = json_schema()
    models = (SuiteResults, Row, Scores, Training, JudgeResult, JudgeReading, Features, Override, MetricDescription)
    for model in models:
        part = schema if model is SuiteResults else schema["$defs"][model.__name__]
        fields = [field.name for field in dataclasses.fields(model)]
        assert list(part["properties"]) == fields
        assert sorted(part["required"]) == sorted(fields) or model is MetricDescription
        assert part["additionalProperties"] is False
        assert all(rule.get("description") or "$ref" in rule for rule in part["properties"].values())
    assert schema["properties"]["schema"]["const"] == results_module.SCHEMA


def test_the_schema_and_the_pages_have_a_new_metric(toy_metric: MetricDescription) -> None:
    values = json_schema()["$defs"]["Scores"]["properties"]["metrics"]
    assert values["properties"]["mad"] == {"description": toy_metric.definition}
    pages = {path.name: text for path, text in written() if path.parent == DOCS}
    assert (
        f"| `mad` | MAD | lower | each edit | {toy_metric.definition} (levels) | true picture |" in pages["metrics.md"]
    )
