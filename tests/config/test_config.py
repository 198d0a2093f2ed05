"""Suites, profiles, settings and names: what is taken, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import ValidationError

from benchmark.config.loading import names
from benchmark.config.paper import claims_path
from benchmark.config.profiles import PROFILES, features_for, load_profile
from benchmark.config.suites import load_suite
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


@pytest.mark.parametrize("name", names(PROFILES))
def test_the_repositorys_profiles_are_valid_for_every_method(name: str) -> None:
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
    with pytest.raises(
        UserError, match=r"suite 'mine/table1': the name of a file ends in .yaml; without a file: nonal"
    ):
        load_suite("mine/table1")


def refused(load: Callable[[str], object], path: Path, data: object) -> str:
    """The one line that a file is refused with."""
    started = time.monotonic()
    with pytest.raises(UserError) as error:
        load(write(path, data))
    assert time.monotonic() - started < 20
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500 + len(str(path))
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "big"}, "size must be a whole number, not 'big'"),
        ({"size": "64"}, "size must be a whole number, not '64'"),
        ({"size": 64.0}, "size must be a whole number, not 64.0"),
        ({"size": 65}, "size must be a power of two, not 65"),
        ({"size": 2**20}, "size must be at most 4096, not 1048576"),
        ({"size": -64}, "size must be at least 32, not -64"),
        ({"sise": 64}, "no field 'sise'; did you mean 'size'?"),
        ({"width": 0}, "width must be greater than 0, not 0"),
        ({"width": 1.5}, "width must be at most 1, not 1.5"),
        ({"width": float("nan")}, "'.nan' is no finite number"),
        ({"features": "vgg"}, "features must be 'inception' or 'efficientnet-lite0', not 'vgg'"),
        ({"iterations": {"mtss": 3}}, "iterations need a 'default'"),
        ({"iterations": {"default": 0}}, "iterations.default must be at least 1, not 0"),
        ({"iterations": {"default": 10**18}}, "iterations.default must be at most 1000000000"),
        ({"iterations": {"default": 1, "..x": 2}}, "iterations.a key must be the name of a method or its import path"),
        ({"iterations": 3}, "iterations must be a mapping of names to values, not 3"),
        ({"judge_epochs": True}, "judge_epochs must be a whole number, not True"),
        ({"allow_small": "yes"}, "allow_small must be true or false, not 'yes'"),
        ({"overrides": {"mtss": {"settings": {}}}}, "overrides.mtss: 'why' is missing"),
        ({"overrides": {"mtss": {"why": "x", "setings": {}}}}, "overrides.mtss: 'settings' is missing (and 1 more"),
        (
            {"overrides": {"mtss": {"why": "x", "settings": {}, "setings": {}}}},
            "overrides.mtss: no field 'setings'; did you mean 'settings'?",
        ),
        ({"overrides": {"mtss": {"why": "x", "settings": {"batch": float("inf")}}}}, "'.inf' is no finite number"),
        ({"overrides": [1]}, "overrides must be a mapping of names to values, not [1]"),
        ({"title": datetime.date(2024, 1, 1)}, "'2024-01-01' is of type 'timestamp', which is not read"),
        ({"title": b"x"}, "is of type 'binary', which is not read"),
        ({"notice": ["x" * 10_000] * 10}, "notice must be text"),
        ({"name": "x"}, "'name' is not taken from a file"),
        ({"x" * 5000: 1}, "no field 'xxxx"),
        ({"targets_per_source": 8}, "targets_per_source must be at most 7, not 8"),
        ({"title": "a\x1b[2J"}, "title must be of characters that can be printed"),
        ({"notice": "a\nb\x00"}, "notice must be of characters that can be printed"),
    ],
)
def test_faults_of_a_profile_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    assert message in refused(load_profile, tmp_path / "p.yaml", {**PROFILE, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"guide": "X"}, "row 1: guide must be 'T' or 'R', not 'X'"),
        ({"data": "P"}, "row 1: data must be 'F' or 'F&P', not 'P'"),
        ({"metod": "x"}, "row 1: no field 'metod'; did you mean 'method'?"),
        ({"label": 3}, "row 1: label must be text, not 3"),
        ({"label": "a\nb"}, "row 1: label must be of characters that can be printed, not 'a\\nb'"),
        ({"label": "x" * 101}, "row 1: label must have at most 100 characters"),
        ({"id": ""}, "row 1: id must have at least 1 character"),
        ({"method": ":"}, "row 1: method must be the name of a method or its import path, my.module:MyMethod, not ':'"),
        ({"method": "..x"}, "row 1: method must be the name of a method or its import path"),
        ({"method": "..x:Y"}, "row 1: method must be the name of a method or its import path"),
        ({"method": "a" * 500}, "row 1: method must have at most 300 characters"),
        ({"note": 3}, "row 1: note must be text, not 3"),
        ({"variant": [1]}, "row 1: variant must be a mapping of names to values, not [1]"),
        ({"variant": {"rate": float("nan")}}, "'.nan' is no finite number"),
        ({"variant": {3: 4}}, "'3' is no name: put it in quotes"),
        ({"extended": "yes"}, "row 1: extended must be true or false, not 'yes'"),
        ({"extended": True}, "rows are all 'extended', so the main table has none"),
    ],
)
def test_faults_of_a_row_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    assert message in refused(load_suite, tmp_path / "s.yaml", {"title": "t", "rows": [{**ROW, **change}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 3}, "title must be text, not 3"),
        ({"title": {"a": 1}}, "title must be text, not {'a': 1}"),
        ({"rows": []}, "rows are none: a table needs one at least"),
        ({"rows": [ROW, ROW]}, "rows hold the id 'a' twice"),
        ({"rows": [3]}, "row 1 must be a mapping of names to values, not 3"),
        ({"rows": "all"}, "rows must be a list, not 'all'"),
        ({"rows": [{**ROW, "id": f"a{number}"} for number in range(1001)]}, "rows must have at most 1000 items"),
        ({"paper": 3}, "paper must be text, not 3"),
        ({"paper": "../.."}, "unknown published table '../..' in "),
        ({"paper": "tabel1"}, "did you mean 'table1'?"),
        ({"figure": "ablaton"}, "figure must be 'ablation', not 'ablaton'"),
        ({"ladder": 1}, "ladder must be true or false, not 1"),
        ({"faces": "x"}, "faces must be 'aligned' or 'nonaligned', not 'x'"),
        ({"targets": "happy"}, "targets must be a list, not 'happy'"),
        ({"targets": []}, "targets name no expression: leave them out for all"),
        ({"targets": [3]}, "target 1 must be text, not 3"),
        ({"target": ["sad"]}, "no field 'target'; did you mean 'targets'?"),
        ({"targets": ["hapy"]}, "targets hold an unknown expression 'hapy'; did you mean 'happy'?"),
        ({"targets": ["happy", "happy"]}, "targets hold 'happy' twice"),
    ],
)
def test_faults_of_a_suite_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    assert message in refused(load_suite, tmp_path / "s.yaml", {"title": "t", "rows": [ROW], **change})


BOMB = "a: &a [1,1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "cannot be read as YAML"),
        ("\x00", "cannot be read as YAML"),
        ("- 1", "a mapping of names to values is needed, not [1]"),
        ("", "a mapping of names to values is needed, not None"),
        ("!!python/object/apply:os.system ['true']", "is of type 'python/object/apply:os.system', which is not read"),
        ("title: t\ntitle: u\nrows: []", "'title' is there twice (line 2)"),
        ("rows: [{id: a, variant: {x: 1, x: 2}}]", "'x' is there twice (line 1)"),
        ("? [a]\n: x", "this key is no name"),
        ("title: " + "9" * 5000, "is no number that can be read (line 1)"),
        ("title: " + "9" * 40, "is beyond any number here (line 1)"),
        ("title: " + "[" * 5000 + "]" * 5000, "values are nested more than 20 deep (line 1)"),
        ("a: &a [*a]", "'*a' is a part of itself (line 1)"),
        (BOMB, "it has more than 50,000 values"),
        ("size: 1:30", "'1:30' could be read in several ways"),
        ("size: 1:30.5", "'1:30.5' could be read in several ways"),
        ("size: 010", "'010' could be read in several ways"),
        ('title: "\\ud800"', "holds half a character (line 1)"),
        ("rows:\n- &r {id: a}\n" + "- *r\n" * 100_000, "it has more than 50,000 values"),
        (
            "rows:\n" + "- {id: a, label: b, method: mtss, guide: T, data: F}\n" * 100_000,
            "it has 5.1 MB, and at most 1",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    for load in (load_suite, load_profile):
        assert message in refused(load, tmp_path / "s.yaml", text)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.yaml", tmp_path / "folder.yaml"
    os.mkfifo(pipe)
    folder.mkdir()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: J\u00f6rg".encode("latin-1"))
    for name, message in {
        "pipe.yaml": "it is a named pipe", "folder.yaml": "it is a folder", "zero.yaml": "it is a device",
        "latin.yaml": "cannot be read as YAML", "loop.yaml": "does not exist", f"{'x' * 5000}.yaml": "does not exist",
        "a\x00.yaml": "does not exist",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message) as error:
            load_suite(f"{tmp_path}/{name}")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"the file of claims .*pipe.yaml is a named pipe, not a file"):
        claims_path(str(pipe))


def test_aliases_and_empty_fields_are_taken(tmp_path: Path) -> None:
    text = "title: t\nrows:\n- &r {id: a, label: A, method: 'a.b:C', guide: T, data: F, variant: }\n- {<<: *r, id: b}\n"
    first, second = load_suite(write(tmp_path / "s.yaml", text)).rows
    assert (first.variant, second) == ({}, dataclasses.replace(first, id="b"))
    assert load_profile(write(tmp_path / "p.yaml", {**PROFILE, "overrides": None})).overrides == {}


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    for field in PROFILE:
        data = {key: value for key, value in PROFILE.items() if key != field}
        assert f"'{field}' is missing" in refused(load_profile, tmp_path / "p.yaml", data)
    for field in ROW:
        row = {key: value for key, value in ROW.items() if key != field}
        message = refused(load_suite, tmp_path / "s.yaml", {"title": "t", "rows": [row]})
        assert f"row 1: '{field}' is missing" in message


def test_the_models_cannot_be_changed_and_check_what_is_replaced() -> None:
    suite = load_suite("table1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        suite.title = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        dataclasses.replace(load_profile("quick"), width=2.0)


@dataclass(frozen=True)
class Some:
    rate: float = published(1e-4, "the paper")
    mode: Literal["a", "b"] = chosen("a", "a reason")
    betas: tuple[float, ...] = published((0.5, 0.9), "the code")
    on: bool = chosen(True, "a reason")


def test_settings_take_the_right_types_only() -> None:
    result = make_settings(Some, {"rate": 1, "mode": "b", "betas": [0, 0.99]}, "here")
    assert result == Some(1.0, "b", (0.0, 0.99), True)
    assert isinstance(result.rate, float)
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
