"""Messages stay short, whatever they quote."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.core.cli import LONGEST_MESSAGE, run_command
from benchmark.core.errors import RunFailed, UserError
from benchmark.core.paths import cut


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    assert cut("short", 5) == "short"
    assert cut("a" * 50 + "b" * 50, 10) == "aaaaa ... bbbbb"


@pytest.mark.parametrize(("kind", "status"), [(UserError, 2), (RunFailed, 1)])
def test_messages_are_cut(kind: type[Exception], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise kind(f"{'x' * 100_000} is missing")

    assert run_command(work) == status
    shown = capsys.readouterr().err
    assert shown.endswith("x is missing\n")
    assert len(shown) < LONGEST_MESSAGE + 50


def test_a_name_that_is_too_long_is_one_line_wherever_it_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: int(Path("x" * 300).exists())) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: xxxx")
    assert shown.endswith("xx is too long for a file's name\n")
    assert len(shown) < 200
