"""The gate of speed: a ratio fails beyond what repeated runs give, and only if it is smaller."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from docs import check_speed
from docs.check_speed import MARGIN, compare, ratios_of, status

STORED = {"steps: A": [2.0, 2.1, 1.95, 2.05], "steps: B": [3.5, 3.6, 3.4], "scoring: C": [5.0]}


@pytest.mark.parametrize(
    ("now", "verdicts", "exit_status"),
    [
        ({"steps: A": 2.0, "steps: B": 3.5, "scoring: C": 4.9}, ["pass"] * 3, 0),
        ({"steps: A": 1.0, "steps: B": 3.5, "scoring: C": 5.0}, ["slower", "pass", "pass"], 1),
        ({"steps: A": 4.0, "steps: B": 3.5, "scoring: C": 5.0}, ["faster", "pass", "pass"], 0),
        ({"steps: new": 1.0}, [], 4),
    ],
)
def test_verdicts(now: dict[str, float], verdicts: list[str], exit_status: int) -> None:
    checks = compare(STORED, now)
    assert [check.verdict for check in checks] == verdicts
    assert status(checks) == exit_status


def test_without_repeated_runs_there_is_no_bound_and_no_pass() -> None:
    checks = compare({"steps: A": [2.0]}, {"steps: A": 2.0})
    assert [check.verdict for check in checks] == ["no bound"]
    assert status(checks) == 3


def test_runs_in_which_nothing_changed_fail_rarely_and_a_slowdown_by_half_always() -> None:
    random = np.random.default_rng(0)
    alarms = misses = 0
    names = [f"steps: {number}" for number in range(12)]
    for _ in range(300):
        stored = {name: list(np.exp(random.normal(1, 0.04, 4))) for name in names}
        now = {name: float(np.exp(random.normal(1, 0.04))) for name in names}
        alarms += status(compare(stored, now)) == 1
        slow = {**now, names[3]: now[names[3]] / 2}
        misses += names[3] not in [check.name for check in compare(stored, slow) if check.verdict == "slower"]
    assert misses == 0
    assert alarms <= 12  # 1 % is stated: 3 of 300


def test_the_spread_of_another_table_widens_no_bound() -> None:
    noisy = {"data: A": [9.0, 12.0, 10.0]}
    for name in ("steps: A", "steps: B"):
        alone, both = (
            {check.name: check.bound for check in compare(stored, {name: 2.0})}[name]
            for stored in (STORED, STORED | noisy)
        )
        assert alone == both
    once, noisier = (compare(stored, {"scoring: C": 5.0})[0].bound for stored in (STORED, STORED | noisy))
    assert once is not None
    assert noisier is not None
    assert noisier > once


def test_a_bound_is_never_below_the_margin() -> None:
    (check,) = compare({"steps: A": [2.0, 2.0, 2.0]}, {"steps: A": 2.0})
    assert check.bound == pytest.approx(1 + MARGIN)


def test_memory_and_rows_without_a_reference_have_no_ratio() -> None:
    row = {"table": "steps", "what": "A", "plain": 4.0, "fast": 2.0, "unit": "s"}
    assert ratios_of([row, {**row, "what": "B", "plain": None}, {**row, "unit": "B"}]) == {"steps: A": 2.0}


def measured(path: Path, ratio: float, processor: str, threads: int = 1) -> str:
    """A file of one row."""
    row = {"table": "steps", "what": "A", "plain": ratio, "fast": 1.0, "unit": "s", "note": ""}
    row |= {"processor": processor, "threads": threads}
    path.write_text(json.dumps({"benchmarks": [{"extra_info": row}, {"extra_info": {}}]}))
    return str(path)


def test_ratios_of_several_files_are_stored_by_kind_of_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_speed, "RATIOS", tmp_path / "ratios.json")
    files = [measured(tmp_path / f"{ratio}.json", ratio, "one") for ratio in (2.0, 2.2, 2.1)]
    assert check_speed.main(["--store", *files]) == 0
    slow = measured(tmp_path / "slow.json", 1.0, "one")
    elsewhere = measured(tmp_path / "elsewhere.json", 1.0, "another")
    two_threads = measured(tmp_path / "two.json", 1.0, "one", threads=2)
    assert [check_speed.main([file]) for file in (files[0], slow, elsewhere, two_threads)] == [0, 1, 4, 4]
    assert "no ratios of another, 1 thread are stored" in capsys.readouterr().out
    assert check_speed.main(["--store", elsewhere]) == 0
    assert json.loads((tmp_path / "ratios.json").read_text()) == {
        "one, 1 thread": {"steps: A": [2.0, 2.2, 2.1]},
        "another, 1 thread": {"steps: A": [1.0]},
    }
    with pytest.raises(ValueError, match="rows of one kind of machine"):
        check_speed.main(["--store", files[0], elsewhere])


def test_stored_ratios_are_numbers() -> None:
    stored = json.loads(check_speed.RATIOS.read_text()) if check_speed.RATIOS.exists() else {}
    for rows in stored.values():
        assert all(math.isfinite(ratio) and ratio > 0 for ratios in rows.values() for ratio in ratios)
