"""Tuning: as many trials of the same length for every method, without a test identity, chosen by one measure."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark import tune
from benchmark.config.profiles import load_profile
from benchmark.config.spaces import Range, load_space
from benchmark.config.suites import load_suite
from benchmark.core.artifacts import Store
from benchmark.core.errors import UserError
from benchmark.data.registry import open_source
from benchmark.data.validation import Validation
from benchmark.metrics.metric import MetricDescription
from benchmark.metrics.registry import METRICS
from benchmark.settings import documented
from benchmark.training.registry import find_method
from benchmark.training.row_settings import row_settings
from benchmark.tuning.outcome import Measured, choose
from benchmark.tuning.trials import Trial, plan_tuning, trials_suite
from tests.one_thread import one_thread  # noqa: F401 (fixture)

METHOD = "tests.dummy:Dummy"
NOT_THE_METHOD = ("_weight",)
"""Of names of weights of losses; attention's, which saturates, is optimisation."""


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Path]) -> Path:
    return make_faces(identities=7)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> list[str]:
    """Two guides of the dummy, a space in which one choice makes a loss that is not finite, and a short profile."""
    folder = tmp_path_factory.mktemp("config")
    rows = [
        {"id": f"d-{guide.lower()}", "label": f"Dummy ({guide})", "method": METHOD, "guide": guide, "data": "F"}
        for guide in "TR"
    ]
    profile = {
        "title": "tiny", "notice": "Seconds only.", "size": 32, "width": 1.0, "features": "efficientnet-lite0",
        "judge_epochs": 1, "checkpoint_every": 2, "log_every": 1, "iterations": {"default": 16},
        "targets_per_source": 1, "allow_small": True, "stored_weights": "float16",
        "overrides": {METHOD: {"why": "a test.", "settings": {"learning_rate": 0.01}}},
    }  # fmt: skip
    space = {
        "title": "a test", "criterion": "ca", "ties": "kid",
        "methods": {
            METHOD: {
                "seconds_per_iteration": 1.0, "batch": "batch",
                "settings": {
                    "learning_rate": {"log": [0.001, 0.1]}, "batch": {"choice": [2, 8]},
                    "poison_at": {"choice": [-1, 7]},
                },
            }
        },
    }  # fmt: skip
    for name, content in (("dummies", {"title": "Dummies", "rows": rows}), ("tiny", profile), ("space", space)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return [
        "--suite", str(folder / "dummies.yaml"), "--profile", str(folder / "tiny.yaml"), "--space",
        str(folder / "space.yaml"), "--data", f"rendered:{faces}", "--trials", "5", "--share", "1", "--seed", "1",
        "--threads", "1", "--jobs", "1", "--quiet",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert tune.main([*arguments, "--out", str(out)]) == 0
    return out


def trials_of(out: Path) -> list[dict[str, str]]:
    (path,) = out.glob("tuning/*/trials.csv")
    return list(csv.DictReader(path.open()))


def test_all_trials_are_there_and_the_broken_ones_are_named(tuned: Path) -> None:
    rows = trials_of(tuned)
    assert [row["kind"] for row in rows] == ["published", "profile", "drawn", "drawn", "drawn"]
    poisoned = [json.loads(row["settings"])["poison_at"] == 7 for row in rows]
    assert any(poisoned)
    assert not all(poisoned)
    assert [bool(row["failed"]) for row in rows] == poisoned
    assert [row["chosen"] for row in rows].count("yes") == 1
    (page,) = tuned.glob("tuning/*/tuning.md")
    assert "is nan at iteration" in page.read_text()


def test_the_first_trials_are_the_published_values_and_the_profiles(tuned: Path) -> None:
    first, second, *_ = (json.loads(row["settings"]) for row in trials_of(tuned))
    assert first == {"learning_rate": 0.05, "batch": 4, "poison_at": -1}
    assert second == {"learning_rate": 0.01, "batch": 4, "poison_at": -1}


def test_trials_are_equally_long_in_pictures(tuned: Path) -> None:
    """Sixteen seconds at one an iteration with the published batch of four; a draw of labels sees as many again."""
    for row in trials_of(tuned):
        batch = json.loads(row["settings"])["batch"]
        assert int(row["iterations"]) == round(16 * 4 / batch)
        if not row["failed"]:
            assert int(row["pictures"]) == int(row["iterations"]) * batch * 2


def test_the_best_is_chosen_and_written_with_the_reason(tuned: Path) -> None:
    rows = [row for row in trials_of(tuned) if not row["failed"]]
    best = max(rows, key=lambda row: (round(float(row["ca"]), 2), -float(row["kid"])))
    assert best["chosen"] == "yes"
    (path,) = tuned.glob("tuning/*/tiny-tuned.yaml")
    profile = load_profile(str(path))
    chosen = json.loads(best["settings"])
    settings = row_settings(METHOD, profile, {})
    assert {name: getattr(settings, name) for name in chosen} == chosen
    if best["kind"] != "profile":
        assert profile.overrides[METHOD].why.startswith("a test. Tuned: the best of 5 trials")


def test_the_records_say_what_each_trial_was_given_and_took(tuned: Path, faces: Path) -> None:
    (path,) = tuned.glob("tuning/*/trainings.json")
    records = json.loads(path.read_text())
    whole = open_source(f"rendered:{faces}", tuned / "cache").load(32, lambda _: None)
    identities = records["identities"]
    assert sorted(identities["trained_on"] + identities["validated_on"]) == whole.identities("train")
    manifests = {each.key: each for each in Store(tuned).manifests("train")}
    assert records["declared_seconds"] == 16
    for row in trials_of(tuned):
        trial = records["trials"][f"dummy-{int(row['trial']):02d}"]
        assert trial["settings"] == json.loads(row["settings"])
        assert trial["iterations"] == int(row["iterations"])
        assert trial.get("failed", "") == row["failed"]
        if not row["failed"]:
            made = manifests.pop(trial["key"]).made
            assert trial["processor_seconds"] == float(row["seconds"]) == made["timings"]["processor_seconds"] > 0
            assert (trial["pictures"], trial["commit"]) == (int(row["pictures"]), made["commit"])
    assert not manifests


def test_the_outcome_is_written_where_it_is_asked_for(tuned: Path, arguments: list[str], tmp_path: Path) -> None:
    assert tune.main([*arguments, "--out", str(tuned), "--to", str(tmp_path / "stored")]) == 0
    (folder,) = tuned.glob("tuning/*")
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in (tmp_path / "stored").iterdir()}
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "stored" / name).read_bytes()


def test_without_drawn_trials_the_page_has_no_best_of_k(tuned: Path, arguments: list[str], tmp_path: Path) -> None:
    """Of the first two trials, which are there; the report of the two alone is made."""
    few = [*arguments, "--out", str(tuned), "--trials", "2", "--to", str(tmp_path / "few")]
    assert tune.main(few) == 0
    page = (tmp_path / "few" / "tuning.md").read_text()
    assert "Each method has 2 trials: the published values of the space and the profile's. The trial with" in page
    assert "best of k" not in page
    assert not (tmp_path / "few" / "best-of.png").exists()


def test_no_test_identity_is_in_any_trial(tuned: Path, faces: Path) -> None:
    source = open_source(f"rendered:{faces}", tuned / "cache")
    whole = source.load(32, lambda _: None)
    tests, training = set(whole.identities("test")), set(whole.identities("train"))
    tables = list(tuned.glob("faces/*/faces.parquet"))
    assert len(tables) == 1
    table = pd.read_parquet(tables[0])
    assert set(table["identity"]) == training
    assert set(table["split"]) == {"train", "test"}
    assert not any(name in path.read_text(errors="replace") for name in tests for path in tuned.glob("*/*/*.json"))
    for path in tuned.glob("*/*/*.parquet"):
        named = pd.read_parquet(path)
        columns = [column for column in ("identity", "source_id") if column in named]
        assert not any(str(value).startswith(tuple(tests)) for column in columns for value in named[column])


def test_a_second_call_trains_nothing_and_more_trials_keep_the_first(
    tuned: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (page,) = tuned.glob("tuning/*/tuning.md")
    before = page.read_text()
    monkeypatch.setattr("benchmark.stages.train.Train.run", None)
    assert tune.main([*arguments, "--out", str(tuned)]) == 0
    assert page.read_text() == before
    assert "trial" in capsys.readouterr().out
    assert tune.main([*arguments, "--out", str(tuned), "--trials", "6", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    trained = [line for line in lines if "│ train" in line]
    assert ["there" in line for line in trained].count(False) == 1


def test_validation_identities_are_a_share_of_the_training_ones(faces: Path, tmp_path: Path) -> None:
    source = open_source(f"rendered:{faces}", tmp_path)
    whole, split = source.load(32, lambda _: None), Validation(source).load(32, lambda _: None)
    assert sorted([*split.identities("train"), *split.identities("test")]) == whole.identities("train")
    assert len(split.identities("test")) == 2
    index = {face: place for place, face in enumerate(whole.table["face_id"])}
    for place in (0, len(split.images) - 1):
        assert (split.images[place] == whole.images[index[split.table["face_id"].iloc[place]]]).all()


@pytest.mark.parametrize("profile", ["reference", "quick"])
def test_the_declared_space_draws_trainings_that_can_be_had(profile: str) -> None:
    suite, space = load_suite("table1"), load_space("optimisation")
    tuning = plan_tuning(suite, load_profile(profile), space, 16, 0.33, 0, None)
    assert {method: len(tuning.of_method(method)) for method in space.methods} == dict.fromkeys(space.methods, 16)
    again = plan_tuning(suite, load_profile(profile), space, 8, 0.33, 0, ["mtss"])
    assert list(again.trials) == tuning.of_method("mtss")[:8]
    for trial in tuning.trials:
        kinds = space.methods[trial.method].settings
        assert trial.settings.keys() == kinds.keys()
        for name, kind in kinds.items() if trial.kind == "drawn" else ():
            value = trial.settings[name]
            if kind.choice is not None:
                assert value in kind.choice
            else:
                low, high = kind.log or kind.linear or (0, 0)
                scale = trial.settings[kind.of] if kind.of else 1
                assert low * 0.99 <= value / scale <= high * 1.01
    assert len({row.id for row in trials_suite(tuning).rows}) == len(trials_suite(tuning).rows)


def test_the_declared_space_is_optimisation_alone() -> None:
    for method, space in load_space("optimisation").methods.items():
        known = {row.name for row in documented(find_method(method).Settings)}
        assert space.settings.keys() <= known
        weights = {name for name in space.settings if name.endswith(NOT_THE_METHOD)}
        assert weights <= {"attention_weight"}


def description(key: str, direction: str) -> MetricDescription:
    metric = next(metric for metric in METRICS if metric.key == key).describe("FD")
    assert metric.direction == direction
    return metric


@pytest.mark.parametrize(
    ("values", "ties", "why", "best"),
    [
        ([10.0, 30.0, 20.0], [1, 1, 1], ["", "", ""], 1),
        ([30.001, 30.002, 20.0], [1.0, 2.0, 0.0], ["", "", ""], 0),  # equal as printed: the lower KID
        ([30.0, 30.0, 20.0], [1.0, 1.0, 0.0], ["", "", ""], 0),  # and then the first
        ([10.0, 30.0, 20.0], [1, 1, 1], ["", "its attention saturates", ""], 2),
        ([10.0, 30.0, None], [1, 1, None], ["a", "b", "broke off"], 1),
        ([None, None, None], [None, None, None], ["a", "b", "c"], None),
    ],
)
def test_the_choice(values: list[float | None], ties: list[float | None], why: list[str], best: int | None) -> None:
    trials = [Trial(METHOD, number, "drawn", {}, 1) for number in range(3)]
    measured = tuple(
        Measured(trial, value, tie, why=reason)
        for trial, value, tie, reason in zip(trials, values, ties, why, strict=True)
    )
    chosen = choose(measured, description("ca", "higher"), description("kid", "lower"))
    assert (chosen.trial.number if chosen else None) == best


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--trials", "1"], "--trials must be at least 2"),
        (["--trials", str(10**9)], "--trials must be at most 99, not 1000000000"),
        (["--share", "0"], "--share must be above 0"),
        (["--share", "nan"], "--share must be above 0"),
        (["--share", "1e-9"], "would have"),
        (["--seed", "-1"], "--seed must be a whole number"),
        (["--methods", "dumy"], "unknown method 'dumy'"),
        (["--space", "optimization"], "did you mean 'optimisation'?"),
        (["--suite", "nonaligned"], "edits faces that are not trained on"),
        (["--space", "optimisation"], "says nothing of method"),
    ],
)
def test_wrong_options_are_one_line(
    change: list[str], said: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "nonaligned" in change:
        change = [*change, "--data", "rendered"]
    assert tune.main([*arguments, "--out", str(tmp_path), *change]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize(
    "fields",
    [{}, {"log": (1.0, 2.0), "choice": (1, 2)}, {"log": (2.0, 1.0)}, {"choice": (1,)}, {"choice": (1, 2), "of": "a"}],
)
def test_a_range_is_one_thing(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"one of log|comes first|two values"):
        Range(**fields)  # type: ignore[arg-type]


def test_costs_that_give_endless_trials_are_refused() -> None:
    suite, profile = load_suite("table1").only(["hisd"]), load_profile("reference")
    space = load_space("optimisation")
    cheap = dataclasses.replace(space.methods["hisd"], seconds_per_iteration=1e-300)
    dear = dataclasses.replace(space.methods["hisd"], seconds_per_iteration=1e300)
    for method, other in ((cheap, space.methods["mtss"]), (space.methods["hisd"], dear)):
        wrong = dataclasses.replace(space, methods={**space.methods, "hisd": method, "mtss": other})
        both = load_suite("table1").only(["hisd", "mtss"])
        with pytest.raises(UserError, match=r"trial 0 of hisd would have [\d.e+]+ iterations"):
            plan_tuning(both, profile, wrong, 2, 0.33, 0, ["hisd"])
    assert suite.rows


def test_a_space_without_a_setting_of_the_method_is_refused() -> None:
    space = load_space("optimisation")
    wrong = dataclasses.replace(space.methods["hisd"], batch="batches")
    spoilt = dataclasses.replace(space, methods={**space.methods, "hisd": wrong})
    with pytest.raises(UserError, match="which is none of its settings"):
        plan_tuning(load_suite("table2"), load_profile("quick"), spoilt, 4, 0.1, 0, ["hisd"])
