"""The pytest fixture `fesbench_gate`: compare the code under test with stored results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from benchmark.gate.verdicts import GateResult


@pytest.fixture
def fesbench_gate(tmp_path: Path) -> Callable[..., GateResult]:
    """A function that takes the path of stored results and fields of `GateOptions` by name, and returns the result."""
    return gate_in(tmp_path)


def gate_in(folder: Path) -> Callable[..., GateResult]:
    """Return that function, which works in `folder` unless `out` is given."""

    def gate(path: str | Path, **options: Any) -> GateResult:
        from benchmark.gate.gate import GateOptions, check_against
        from benchmark.gate.reference import find_reference, load_reference

        file = find_reference(Path(path))
        return check_against(load_reference(file), file, GateOptions(**{"out": folder, "quiet": True, **options}))

    return gate
