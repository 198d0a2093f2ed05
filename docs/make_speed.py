"""Writes the tables of docs/speed.md from a file of `tox -e speed -- --benchmark-json=FILE`:

    python -m docs.make_speed [FILE ...]

What the page needs of such a file is kept in docs/speed.json, table by table, each with what it was measured on;
tables that a file has no rows for stay as they are. Without FILE the page is written from what is kept. A test of
tests/speed/ gives a row of a table by `extra_info` (tests/speed/rows.py).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE, KEPT = Path(__file__).with_name("speed.md"), Path(__file__).with_name("speed.json")
_TABLE = re.compile(r"(<!-- timings: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = {"jobs": ("one after the other", "side by side"), "precision": ("float32", "bfloat16")}
"""Of tables that do not compare a plain reference with what is here."""
FIELDS = ("what", "plain", "fast", "unit", "note")


Tables = dict[str, dict[str, Any]]
"""By name: `machine`, a line on what it was measured on, and `rows`."""


def kept(measured: dict[str, Any], versions: dict[str, str]) -> Tables:
    """Of a file that pytest-benchmark has written: a row for each test that gives one."""
    machine = measured["machine_info"]
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    where = (
        f"{machine['cpu']['count']} cores of {machine['cpu']['brand_raw']}; Python {machine['python_version']}, "
        f"{with_versions}; {measured['datetime'][:10]}"
    )
    tables: Tables = {}
    for benchmark in measured["benchmarks"]:
        info = benchmark["extra_info"]
        row = {name: info[name] for name in ("table", *FIELDS)}
        on = f"{info['threads']} of {where}"
        tables.setdefault(row.pop("table"), {"machine": on, "rows": []})["rows"].append(row)
    return tables


def table(name: str, measured: Tables) -> str:
    """The rows of one table, without a plain reference and ratios where no row has one; and what it was measured on."""
    rows = measured[name]["rows"]
    compared = any(row["plain"] is not None for row in rows)
    plain, here = COLUMNS.get(name, ("plain", "here"))
    if compared:
        lines = [f"| | {plain} | {here} | ratio | |", "|---|--:|--:|--:|---|"]
    else:
        lines = [f"| | {here} | |", "|---|--:|---|"]
    for row in rows:
        cells = [row["what"], _shown(row["fast"], row["unit"]), row["note"]]
        if compared:
            cells[1:1] = [_shown(row["plain"], row["unit"])]
            cells[3:3] = [f"{row['plain'] / row['fast']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"*{measured[name]['machine']}.*"]) + "\n"


def with_tables(page: str, measured: Tables) -> str:
    """The page with every table as measured."""
    return _TABLE.sub(lambda match: match[1] + table(match["name"], measured) + match[3], page)


def _shown(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 1e9:.1f} GB"
    if value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 100 else f"{value / 60:.3g} min"


def main(arguments: Sequence[str]) -> None:
    """Keep what FILE says, if there is one, and write the page."""
    from benchmark.core.environment import versions

    measured = json.loads(KEPT.read_text(encoding="utf-8"))
    if arguments:
        installed = {name: version for name, version in versions().items() if name in ("torch", "timm", "pytorch-fid")}
        for path in arguments:
            measured |= kept(json.loads(Path(path).read_text(encoding="utf-8")), installed)
        KEPT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
