"""Writes the tables of settings in docs/methods.md from the methods themselves: `python -m docs.make_methods`.

Between `<!-- settings: NAME -->` and `<!-- end -->` stands the table of the method that the registry knows as NAME.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.settings import documented
from benchmark.training.registry import find_method

PAGE = Path(__file__).with_name("methods.md")
_TABLE = re.compile(r"(<!-- settings: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """The settings of a method: published values with their source, chosen ones with their reason."""
    rows = ["| setting | value | | source or reason |", "|---|---|---|---|"]
    for setting in documented(find_method(name).Settings):
        note = setting.note.replace("|", "\\|")
        rows.append(f"| `{setting.name}` | {_shown(setting.value)} | {setting.origin} | {note} |")
    return "\n".join(rows) + "\n"


def with_tables(page: str) -> str:
    """The page with every table as the code has it now."""
    return _TABLE.sub(lambda match: match[1] + table(match["name"]) + match[3], page)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower()


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
