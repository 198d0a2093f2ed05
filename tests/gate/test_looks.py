"""The declared rule for further seeds: a doubt is followed by the next one, as far as was declared, and no further."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from benchmark.gate.comparison import Rule, gated_numbers
from benchmark.gate.gate import GateOptions, _Found, _runs
from benchmark.gate.machine import Machine
from benchmark.gate.reference import SeedRun
from benchmark.gate.verdicts import GateResult
from benchmark.regress import parser
from tests.gate.made_up import MACHINE, METRICS, changed, drawn, reference

ELSEWHERE = dataclasses.replace(MACHINE, processor="another processor, AVX512")


class FakeSuite:
    """Runs that were written down."""

    machine = ELSEWHERE

    def __init__(self, of_look: Callable[[int, SeedRun], SeedRun]) -> None:
        self.of_look = of_look
        self.asked: list[int] = []

    def run(self, seed: int, judge_seed: int) -> tuple[SeedRun, Mapping[str, Any]]:
        run = drawn(np.random.default_rng(100 + seed), [seed])[seed]
        self.asked.append(seed)
        return self.of_look(len(self.asked), run), METRICS


def gate(of_look: Callable[[int, SeedRun], SeedRun], **options: Any) -> tuple[GateResult, list[int]]:
    suite = FakeSuite(of_look)
    result = _runs(reference(), suite, _Found(), GateOptions(**options), lambda _: None)  # type: ignore[arg-type]
    return result, suite.asked


def broken(look: int, run: SeedRun) -> SeedRun:
    return changed(run, "mtss-r", fid=200.0 + look)


def failed_once(look: int, run: SeedRun) -> SeedRun:
    return broken(look, run) if look == 1 else run


def test_no_further_seed_is_run_without_a_doubt_or_a_declaration() -> None:
    result, asked = gate(lambda _look, run: run, up_to=None)
    assert (result.verdict, asked) == ("pass", [0])
    result, asked = gate(broken)
    assert (result.verdict, asked) == ("inconclusive", [0])


def test_a_broken_method_regresses_after_as_many_seeds_as_decide() -> None:
    assert gated_numbers(reference()) == 5
    result, asked = gate(broken, up_to=None)
    assert (result.verdict, len(asked), result.needed, result.comparisons) == ("regressed", 6, 6, 5)
    assert [(c.subject, c.quantity) for c in result.checks if c.verdict == "regressed"] == [("mtss-r", "fid")]
    result, asked = gate(broken, up_to=3)
    assert (result.verdict, len(asked)) == ("inconclusive", 3)
    result, asked = gate(broken, up_to=None, rule=Rule(assume_normal=True))
    assert (result.verdict, len(asked)) == ("regressed", 1)


def test_one_failed_training_costs_a_second_seed() -> None:
    result, asked = gate(failed_once, up_to=None)
    assert (result.verdict, asked) == ("pass", [0, 1])


@pytest.mark.parametrize(("text", "count"), [("auto", None), ("4", 4)])
def test_the_command_declares(text: str, count: int | None) -> None:
    assert parser().parse_args(["--against", "a.json", "--up-to", text]).up_to == count


WRONG = [
    ("all", "is neither a number of seeds nor 'auto'"),
    ("-1", "is neither"),
    ("1.5", "is neither"),
    ("", "a value"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_declaration_is_one_line(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["--against", "a.json", f"--up-to={text}"])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bytes_of_stages_that_are_no_longer_known_are_told_by_the_numbers() -> None:
    stored = reference()
    run = stored.runs[0]
    known = dataclasses.replace(run, contents={"train": "1"}, rows={row: {"fid": 100.0} for row in run.rows})
    stored = dataclasses.replace(stored, runs={**stored.runs, 0: known})
    same = dataclasses.replace(run, rows={row: {"fid": 100.0, "ca": 3.0} for row in run.rows})
    for now, verdict, words in (
        (same, "pass", "1 stages are equal"),
        (changed(same, "mtss-r", fid=100.5), "different", "the numbers of mtss-r differ"),
        (dataclasses.replace(same, contents={"train": "2"}), "different", "the first stage that differs is 'train'"),
    ):
        suite = FakeSuite(lambda _look, _run, now=now: now)  # type: ignore[misc]
        suite.machine = MACHINE
        result = _runs(stored, suite, _Found(), GateOptions(), lambda _: None)  # type: ignore[arg-type]
        level = next(level for level in result.levels if level.level == "bytes")
        assert (level.verdict, words in level.words) == (verdict, True), level.words


@pytest.mark.parametrize(
    ("seeds", "stored", "machine", "verdict", "words"),
    [
        ((0,), {0}, MACHINE, "pass", "weights, edits and numbers of 2 stages are equal"),
        ((7,), {0}, MACHINE, "not compared", "no bytes of seed 7 are stored"),
        ((0, 7), {0}, MACHINE, "not compared", "no bytes of seed 7 are stored; those of seed 0 are equal"),
        ((0, 1), set(), MACHINE, "not compared", "no bytes of seeds 0, 1 are stored"),
        ((0,), {0}, ELSEWHERE, "not compared", "bytes depend on what differs here: processor a processor, AVX2 is"),
    ],
)
def test_bytes_are_compared_with_those_stored_of_the_same_seed(
    seeds: tuple[int, ...], stored: set[int], machine: Machine, verdict: str, words: str
) -> None:
    """stored: seeds whose bytes are stored; of the others only numbers are."""
    known = reference()
    runs = {seed: run if seed in stored else dataclasses.replace(run, contents={}) for seed, run in known.runs.items()}
    suite = FakeSuite(lambda _look, run: known.runs.get(run.judge_seed, run))
    suite.machine = machine
    result = _runs(
        dataclasses.replace(known, runs=runs),
        suite,
        _Found(),
        GateOptions(seeds=seeds),
        lambda _: None,  # type: ignore[arg-type]
    )
    level = result.levels[0]
    assert (level.level, level.verdict) == ("bytes", verdict)
    assert level.words.startswith(words)
    assert result.verdict == "pass"
