"""Suites, profiles, settings and names: what is taken, and what is said of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml

from benchmark.config import features_for, load_profile, load_suite, names
from benchmark.core.errors import UserError
from benchmark.settings import chosen, documented, make_settings, published
from benchmark.training.registry import METHODS, find_method

PROFILE = {
    "title": "t", "notice": "n", "size": 64, "width": 0.5, "features": "inception", "judge_epochs": 1,
    "checkpoint_every": 5, "log_every": 5, "iterations": {"default": 10, "mtss": 20},
}  # fmt: skip
ROW = {"id": "a", "label": "A", "method": "mtss", "guide": "T", "data": "F"}


def write(path: Path, data: object) -> str:
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return str(path)


@pytest.mark.parametrize("name", names("profiles"))
def test_profiles_in_the_house_are_valid_for_every_method(name: str) -> None:
    profile = load_profile(name)
    for method in METHODS:
        assert profile.iterations_of(method) >= 1
    for method, stated in profile.overrides.items():
        if method in METHODS:
            make_settings(find_method(method).Settings, stated.settings, name)


def test_the_paper_profile_overrides_nothing() -> None:
    profile = load_profile("paper")
    assert (profile.size, profile.width, profile.features, dict(profile.overrides)) == (128, 1.0, "inception", {})
    assert profile.iterations_of("mtss") == 300_000


def test_table1_is_the_papers() -> None:
    suite = load_suite("table1")
    assert [(row.label, row.data) for row in suite.rows] == [
        ("StarGAN (T)", "F&P"), ("GANima (R)", "F&P"), ("HiSD (R)", "F&P"), ("HiSD (T)", "F&P"), ("Ours (R)", "F&P"),
        ("Ours (T)", "F&P"), ("EFGAN (R)", "F"), ("Ours (R)", "F"),
    ]  # fmt: skip
    assert [row.id for row in suite.only(["hisd"]).rows] == ["hisd-r", "hisd-t"]
    with pytest.raises(UserError, match="unknown method 'hsid' in suite table1; did you mean 'hisd'"):
        suite.only(["hsid"])


def test_names_near_and_far() -> None:
    with pytest.raises(UserError, match="unknown suite 'tabel1'; did you mean 'table1'"):
        load_suite("tabel1")
    with pytest.raises(UserError, match="unknown profile 'qick'; did you mean 'quick'"):
        load_profile("qick")
    with pytest.raises(UserError, match="unknown profile 'zzz'; known: paper, quick, reference"):
        load_profile("zzz")
    with pytest.raises(UserError, match=r"suite file .*none.yaml does not exist"):
        load_suite("none.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "big"}, "size must be of type int, not 'big'"),
        ({"size": 65}, "size must be a power of two"),
        ({"sise": 64}, "no setting 'sise' .*did you mean 'size'"),
        ({"width": 0}, r"width must lie in \(0, 1\]"),
        ({"features": "vgg"}, "features must be one of 'inception', 'efficientnet-lite0'"),
        ({"iterations": {"mtss": 3}}, "iterations needs a 'default'"),
        ({"iterations": {"default": 0}}, "iterations of default must be a whole number of at least 1"),
        ({"judge_epochs": True}, "judge_epochs must be of type int"),
        ({"overrides": {"mtss": {"settings": {}}}}, "overrides of mtss: 'why' is missing"),
        ({"overrides": {"mtss": {"why": "x", "setings": {}}}}, "no field 'setings'; did you mean 'settings'"),
    ],
)
def test_faults_of_a_profile_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write(tmp_path / "p.yaml", {**PROFILE, **change})
    with pytest.raises(UserError, match=message) as error:
        load_profile(path)
    assert path in str(error.value)


def test_a_missing_field_and_broken_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'notice' is missing"):
        load_profile(write(tmp_path / "p.yaml", {key: value for key, value in PROFILE.items() if key != "notice"}))
    with pytest.raises(UserError, match="cannot be read as YAML"):
        load_profile(write(tmp_path / "q.yaml", "a: [1"))
    with pytest.raises(UserError, match="a mapping of names to values is needed"):
        load_profile(write(tmp_path / "r.yaml", "- 1"))
    with pytest.raises(UserError, match="cannot be read as YAML"):
        load_profile(write(tmp_path / "s.yaml", "!!python/object/apply:os.system ['true']"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "guide": "X"}, "row 1: guide must be T or R, not 'X'"),
        ({**ROW, "data": "P"}, "row 1: data must be F or F&P, not 'P'"),
        ({**ROW, "metod": "x"}, "row 1: no field 'metod'; did you mean 'method'"),
        ({key: value for key, value in ROW.items() if key != "label"}, "row 1: 'label' is missing"),
    ],
)
def test_faults_of_a_suite_are_named(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_suite(write(tmp_path / "s.yaml", {"title": "t", "rows": [row]}))


def test_rows_need_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row id 'a' is used twice"):
        load_suite(write(tmp_path / "s.yaml", {"title": "t", "rows": [ROW, ROW]}))


@dataclass(frozen=True)
class Some:
    rate: float = published(1e-4, "the paper")
    mode: Literal["a", "b"] = chosen("a", "a reason")
    betas: tuple[float, ...] = published((0.5, 0.9), "the code")
    on: bool = chosen(True, "a reason")


def test_settings_take_the_right_types_only() -> None:
    made = make_settings(Some, {"rate": 1, "mode": "b", "betas": [0, 0.99]}, "here")
    assert made == Some(1.0, "b", (0.0, 0.99), True)
    assert isinstance(made.rate, float)
    for wrong in ({"rate": "x"}, {"mode": "c"}, {"betas": 3}, {"on": 1}, {"rat": 1}, {"betas": ["x"]}, {"rate": True}):
        with pytest.raises(UserError, match=r"^here"):
            make_settings(Some, wrong, "here")
    assert [(row.name, row.origin) for row in documented(Some)] == [
        ("rate", "published"), ("mode", "chosen"), ("betas", "published"), ("on", "chosen"),
    ]  # fmt: skip


def test_profile_paper_takes_no_features_but_the_published_ones() -> None:
    assert features_for("paper", "inception", None) == "inception"
    assert features_for("quick", "efficientnet-lite0", "inception") == "inception"
    with pytest.raises(UserError, match="takes no other features than inception"):
        features_for("paper", "inception", "efficientnet-lite0")
