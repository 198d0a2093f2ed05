"""docs/methods.md says what the code says."""

from __future__ import annotations

import re

import pytest

from benchmark.settings import documented
from benchmark.training.registry import find_method
from docs.make_methods import PAGE, with_tables


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "run: python -m docs.make_methods"


@pytest.mark.parametrize("name", ["stargan", "ganimation", "efgan", "hisd", "mtss"])
def test_every_setting_has_a_row(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = re.search(rf"<!-- settings: {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert section is not None
    for setting in documented(find_method(name).Settings):
        assert f"| `{setting.name}` | " in section[1]
        assert setting.note.strip()


def test_a_changed_value_is_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("| `batch_size` | 16 |", "| `batch_size` | 17 |")
    assert page != PAGE.read_text(encoding="utf-8")
    assert with_tables(page) != page
