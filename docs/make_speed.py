"""Writes the tables of docs/speed.md from a file of `tox -e speed -- --benchmark-json=FILE`:

    python -m docs.make_speed [FILE ...]

What the page needs of such a file is kept in docs/speed.json; without FILE the tables are written from it anew. Of
several, made on one machine, the last that has rows for a table gives them; docs/speed.json may itself be one, for the
tables that are not measured anew. A test of tests/speed/ gives a row of a table by `extra_info` (tests/speed/rows.py).
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
FIELDS = ("table", "what", "plain", "fast", "unit", "note")


def kept(measured: dict[str, Any], versions: dict[str, str]) -> dict[str, Any]:
    """Of a file that pytest-benchmark has written: the machine, and a row for each test that gives one."""
    machine = measured["machine_info"]
    rows = [row["extra_info"] for row in measured["benchmarks"]]
    return {
        "processor": machine["cpu"]["brand_raw"],
        "cores": machine["cpu"]["count"],
        "python": machine["python_version"],
        "versions": versions,
        "date": measured["datetime"][:10],
        "rows": [{name: row[name] for name in FIELDS} for row in rows],
    }


def together(files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several that were kept as one: of each table the rows of the last that has any."""
    machines = {tuple(file[name] for name in ("processor", "cores", "python")) for file in files}
    if len(machines) > 1:
        raise SystemExit(f"measured on several machines: {machines}")
    latest = {row["table"]: file["rows"] for file in files for row in file["rows"]}
    return {**files[-1], "rows": [row for name, rows in latest.items() for row in rows if row["table"] == name]}


def table(name: str, measured: dict[str, Any]) -> str:
    """The rows of one table; without a plain reference and ratios where no row has one."""
    rows = [row for row in measured["rows"] if row["table"] == name]
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
    return "\n".join(lines) + "\n"


def machine(measured: dict[str, Any]) -> str:
    """What it was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    where = f"{measured['processor']}, {measured['cores']} cores"
    return f"{where}; Python {measured['python']}, {versions}; {measured['date']}.\n"


def with_tables(page: str, measured: dict[str, Any]) -> str:
    """The page with every table, and the line on the machine, as measured."""

    def filled(match: re.Match[str]) -> str:
        inside = machine(measured) if match["name"] == "machine" else table(match["name"], measured)
        return match[1] + inside + match[3]

    return _TABLE.sub(filled, page)


def _shown(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 1e9:.1f} GB"
    if value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 100 else f"{value / 60:.3g} min"


def main(arguments: Sequence[str]) -> None:
    """Keep what FILE says, if there is one, and write the page."""
    from benchmark.environment import versions

    if arguments:
        found = {name: version for name, version in versions().items() if name in ("torch", "timm", "pytorch-fid")}
        files = [json.loads(Path(path).read_text(encoding="utf-8")) for path in arguments]
        measured = together([file if "rows" in file else kept(file, found) for file in files])
        KEPT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    measured = json.loads(KEPT.read_text(encoding="utf-8"))
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
