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


def test_a_bound_is_never_below_the_margin() -> None:
    (check,) = compare({"steps: A": [2.0, 2.0, 2.0]}, {"steps: A": 2.0})
    assert check.bound == pytest.approx(1 + MARGIN)


def test_memory_and_rows_without_a_reference_have_no_ratio() -> None:
    row = {"table": "steps", "what": "A", "plain": 4.0, "fast": 2.0, "unit": "s"}
    assert ratios_of([row, {**row, "what": "B", "plain": None}, {**row, "unit": "B"}]) == {"steps: A": 2.0}


def test_ratios_of_several_files_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_speed, "RATIOS", tmp_path / "ratios.json")
    files = []
    for number in (2.0, 2.2, 2.1):
        info = {"table": "steps", "what": "A", "plain": number, "fast": 1.0, "unit": "s", "note": ""}
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"benchmarks": [{"extra_info": info}, {"extra_info": {}}]}))
        files.append(str(path))
    assert check_speed.main(["--store", *files]) == 0
    assert json.loads((tmp_path / "ratios.json").read_text()) == {"steps: A": [2.0, 2.2, 2.1]}
    assert check_speed.main([files[0]]) == 0


def test_the_rows_on_the_page_can_be_compared() -> None:
    stored = check_speed.stored_ratios()
    assert {name.partition(":")[0] for name in stored} >= {"steps", "data", "scoring"}
    assert all(math.isfinite(ratio) and ratio > 0 for ratios in stored.values() for ratio in ratios)
