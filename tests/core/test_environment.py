"""The command that a manifest records."""

from __future__ import annotations

import shlex
import sys

import pytest

from benchmark.core.environment import command_line, without_store


def test_a_command_is_quoted_so_that_a_shell_reads_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--out", "my runs", "--override", "hisd.note='x y'"]
    monkeypatch.setattr(sys, "argv", ["/anywhere/benchmark/run.py", *arguments])
    assert shlex.split(command_line()) == ["python", "-m", "benchmark.run", *arguments]


@pytest.mark.parametrize("out", ["--out '/home/a person/runs'", "--out=/home/me", "--from /a --to=/b", ""])
def test_a_command_that_is_passed_on_has_no_address_of_a_store(out: str) -> None:
    command = f"python -m benchmark.train {out} --seeds 0 1 --data '/data/my set'"
    assert without_store(command) == "python -m benchmark.train --seeds 0 1 --data '/data/my set'"


def test_a_command_that_no_shell_reads_is_left_as_it_is() -> None:
    assert without_store("python -m benchmark.run --data O'Neill") == "python -m benchmark.run --data O'Neill"
