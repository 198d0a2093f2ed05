"""Suite table2: what it shares with table1, what each of its rows changes, and the command that runs it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import ablate, run
from benchmark.config.loading import names
from benchmark.config.profiles import PROFILES, Profile, load_profile
from benchmark.config.suites import SuiteRow, load_suite
from benchmark.data.registry import open_source
from benchmark.pipeline.plan import Plan
from benchmark.pipeline.request import PlanRequest
from benchmark.stages.features import choose_extractor
from benchmark.stages.train import Train

MAIN = ["b", "b-sse", "b-sse-sc", "b-sse-sdu"]
LADDER = ["b", "b-hidden", "b-trainer", "b-ref", "b-sse", "b-sse-sc", "b-sse-sdu"]


@pytest.fixture(scope="module")
def faces(make_faces: Callable[..., Path]) -> Path:
    return make_faces(identities=5, cameras=(45, 90, 135), size=64)


def planned(suite: str, profile: Profile, faces: Path) -> Plan:
    source = open_source(f"rendered:{faces}", faces / "cache")
    small = dataclasses.replace(profile, size=64, features="efficientnet-lite0")
    extractor = choose_extractor("efficientnet-lite0", None, False)
    return Plan(PlanRequest(load_suite(suite), small, source, (0, 1), extractor, "cpu"))


def trainings(plan: Plan) -> dict[str, Train]:
    return {entry.row.id: entry.trains[0] for entry in plan.rows if entry.trains}


def test_the_main_rows_are_the_papers_and_the_controls_are_not() -> None:
    suite = load_suite("table2")
    assert [row.id for row in suite.rows] == LADDER
    assert [row.id for row in suite.rows if not row.extended] == MAIN
    assert {(row.guide, row.data) for row in suite.rows} == {("R", "F&P")}
    assert all(row.note for row in suite.rows)
    assert (suite.paper, suite.ladder, suite.figure) == ("table2", True, "ablation")


@pytest.mark.parametrize("profile", names(PROFILES))
def test_table_1_has_trained_b_and_the_full_model(profile: str, faces: Path) -> None:
    one, two = (planned(suite, load_profile(profile), faces) for suite in ("table1", "table2"))
    theirs = {stage.recipe.key: stage.recipe.folder for stage in one.stages}
    trained = trainings(two)
    shared = {row for row, train in trained.items() if train.recipe.key in theirs}
    assert {"b", "b-sse-sdu"} <= shared <= {"b", "b-hidden", "b-sse-sdu"}
    assert trained["b"].recipe.key == trainings(one)["hisd-r"].recipe.key
    assert trained["b-sse-sdu"].recipe.key == trainings(one)["mtss-r"].recipe.key
    for stage in two.stages:  # a key that both have lies in one folder: edits, galleries and scores are shared too
        assert theirs.get(stage.recipe.key, stage.recipe.folder) == stage.recipe.folder
    rows = {entry.row.id: entry for entry in two.rows}
    for row, other in (("b", "hisd-r"), ("b-sse-sdu", "mtss-r")):
        same = next(entry for entry in one.rows if entry.row.id == other)
        assert rows[row].scores[1].recipe.key == same.scores[1].recipe.key


def test_each_step_of_the_ladder_changes_one_setting_as_published(faces: Path) -> None:
    trained = trainings(planned("table2", load_profile("paper"), faces))
    changes = []
    for before, after in itertools.pairwise(LADDER):
        old, new = (vars(trained[row].settings) for row in (before, after))
        changes.append({name: (old[name], new[name]) for name in old.keys() & new.keys() if old[name] != new[name]})
        assert trained[before].budget == trained[after].budget
    assert changes == [
        {"style_in_discriminator": (True, False)},
        {"classes": ("per-batch", "per-sample")},
        {"reference_path": (False, True)},
        {"supervision": (False, True)},
        {"content": ("none", "skip")},
        {"content": ("skip", "disentangled")},
    ]
    assert len({train.recipe.key for train in trained.values()}) == len(LADDER)


def test_a_variant_that_changes_nothing_is_the_same_training_by_key_and_name(faces: Path) -> None:
    trained = trainings(planned("table2", load_profile("paper"), faces))
    hidden = load_profile("quick")
    assert hidden.overrides["hisd"].settings["style_in_discriminator"] is False
    alike = trainings(planned("table2", hidden, faces))
    assert alike["b"] is alike["b-hidden"]
    prepare = planned("table2", hidden, faces).prepare
    alone = Train(prepare, "hisd", {"style_in_discriminator": False}, "F&P", hidden, 0, "cpu")
    assert alone.recipe.folder != trained["b-hidden"].recipe.folder
    assert alone.name == "train hisd F&P seed 0"
    assert trained["b-hidden"].name == "train hisd style_in_discriminator=False F&P seed 0"


@pytest.mark.parametrize(
    ("suite", "profile", "same"),
    [
        ("table2", "paper", {}),
        ("table2", "quick", {"b-hidden": "b"}),
        ("table1", "quick", {}),  # two guides of one training are two runs
    ],
)
def test_the_report_knows_rows_of_one_run_by_their_keys(
    suite: str, profile: str, same: dict[str, str], faces: Path
) -> None:
    plan = planned(suite, load_profile(profile), faces)
    actual = {entry.row.id: plan.report.same_as(entry) for entry in plan.rows}
    assert {row: other for row, other in actual.items() if other} == same


def test_what_the_report_prints_is_in_its_key(faces: Path, tmp_path: Path) -> None:
    text = (Path(run.__file__).parent / "config" / "suites" / "table2.yaml").read_text()
    changes = {
        "as it is": ("", ""),
        "extended": ("extended: true", "extended: false"),
        "note": ('note: "B is', 'note: "Now B is'),
        "ladder": ("ladder: true", "ladder: false"),
        "figure": ("figure: ablation", ""),
    }
    keys = []
    for name, (old, new) in changes.items():
        assert old in text
        path = tmp_path / name / "table2.yaml"
        path.parent.mkdir()
        path.write_text(text.replace(old, new))
        keys.append(planned(str(path), load_profile("paper"), faces).key)
    assert len(set(keys)) == 5
    quick = load_profile("quick")
    why = {name: dataclasses.replace(stated, why="No reason.") for name, stated in quick.overrides.items()}
    profiles = (quick, dataclasses.replace(quick, overrides=why))
    assert len({planned("table2", profile, faces).key for profile in profiles}) == 2


def test_a_rows_variant_wins_over_the_profiles_overrides(faces: Path) -> None:
    plan = planned("table2", load_profile("quick"), faces)
    shown = Train(plan.prepare, "hisd", {"style_in_discriminator": True}, "F&P", plan.profile, 0, "cpu")
    assert shown.settings.style_in_discriminator is True
    assert shown.settings.learning_rate == plan.profile.overrides["hisd"].settings["learning_rate"]


def test_the_command_is_run_with_another_default() -> None:
    mine, theirs = run.parser("benchmark.ablate", "table2"), run.parser()
    assert vars(mine.parse_args([])) == vars(theirs.parse_args(["--suite", "table2"]))
    assert vars(mine.parse_args(["--suite", "table1"])) == vars(theirs.parse_args(["--suite", "table1"]))
    with pytest.raises(SystemExit):
        theirs.parse_args([])


def test_ablate_plans_table2(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate.main(["--data", f"rendered:{faces}", "--out", str(tmp_path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("table2, profile quick")


def test_a_part_of_a_suite_keeps_what_the_suite_says() -> None:
    part = load_suite("table2").only(["hisd"])
    assert [row.id for row in part.rows] == ["b", "b-hidden"]
    assert (part.paper, part.ladder, part.figure) == ("table2", True, "ablation")
    plain = SuiteRow("a", "A", "mtss", "R", "F")
    assert (plain.extended, plain.note) == (False, "")
