"""Writes what README.md and docs/reference.md say of the stored results, between marks, from results/reference:

    python -m docs.make_reference

Every number in these blocks is computed from the stored files. A block of a suite that is not stored says so; README's
stays as it is until Table 1 is stored.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.config.loading import REFERENCE
from benchmark.config.reference import REPORTS, Index, StoredRow, load_index
from benchmark.core.artifacts import Manifest
from benchmark.core.errors import UserError
from benchmark.core.progress import duration
from benchmark.metrics.registry import METRICS
from benchmark.report.certainty_tables import ranks_table, seeds_table
from benchmark.report.comparison import compare
from benchmark.report.markdown import escape_markdown, markdown
from benchmark.report.notes import listed
from benchmark.report.results import Row, SuiteResults, load_results
from benchmark.report.tables import EMPTY, expressions_table, headings, main_table, number
from benchmark.report.verdict_text import evidence_line, grouped, heading, rules
from benchmark.stages.stored import TRAINING
from benchmark.tuning.write import PAGE, RECORDS

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs" / "reference.md", ROOT / "README.md")
_BLOCK = re.compile(r"(<!-- reference: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
VERDICTS = "docs/reference.md#what-agrees-with-the-paper-and-what-does-not"
NOTHING = "*Nothing of it is stored yet.*\n"
TUNING = "tuning"
KINDS = {"published": "published values", "profile": "the profile's", "drawn": "best drawn"}
"""Kinds of trials, and how the table calls them."""


class Stored:
    """All that is stored below a folder."""

    def __init__(self, root: Path = REFERENCE) -> None:
        self.root = root
        self.index: Index = load_index(root)

    def results(self, suite: str) -> SuiteResults | None:
        """The results of a suite; None where none are stored. Raises UserError where they cannot be read."""
        path = self.root / REPORTS / suite / "results.json"
        return load_results(path) if path.exists() else None

    def rows(self) -> Iterator[tuple[str, StoredRow]]:
        """All rows of all suites by id."""
        return self.index.rows()


def with_blocks(page: str, stored: Stored) -> str:
    """The page with every block as computed."""

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        kind, _, suite = name.partition(" ")
        if kind not in BLOCKS:
            raise UserError(f"the block '{name}' is none of {', '.join(sorted(BLOCKS))}")
        text = BLOCKS[kind](stored, suite)
        return match[0] if text is None else match[1] + text + match[3]

    return _BLOCK.sub(block, page)


# ------------------------------------------------------------------------------------------------ the blocks
def _status(stored: Stored, _: str) -> str:
    """Which seeds of which rows are stored, and which are missing."""
    if not stored.index.suites:
        return NOTHING
    lines = ["| suite | row | seeds | weights of | missing |", "|---|---|---|---|---|"]
    for name, suite in sorted(stored.index.suites.items()):
        for row_id, row in suite.rows.items():
            measured = [str(seed) for seed, each in row.seeds.items() if each.scores]
            recorded = [f"{seed} (not measured)" for seed, each in row.seeds.items() if not each.scores]
            weights = [str(seed) for seed, each in row.seeds.items() if each.weights]
            missing = [str(seed) for seed in suite.missing.get(row_id, ())]
            cells = [name, row_id, *(", ".join(each) or EMPTY for each in ([*measured, *recorded], weights, missing))]
            lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    return "\n".join(lines) + "\n"


def _table(stored: Stored, suite: str) -> str:
    results = stored.results(suite)
    return NOTHING if results is None else markdown(main_table(compare(results)))


def _certainty(stored: Stored, suite: str) -> str:
    """Each seed with the interval over seeds, and ranks."""
    results = stored.results(suite)
    tables = [] if results is None else [seeds_table(results), ranks_table(results)]
    texts = [f"**{escape_markdown(table.title)}**\n\n{markdown(table)}" for table in tables if table is not None]
    return "\n".join(texts) or NOTHING


def _expressions(stored: Stored, suite: str) -> str:
    results = stored.results(suite)
    return NOTHING if results is None else markdown(expressions_table(results))


def _claims(stored: Stored, suite: str) -> str:
    """What agrees with the paper, what contradicts it, and what is open."""
    results = stored.results(suite)
    if results is None:
        return NOTHING
    metrics = {metric.key: metric for metric in results.metrics}
    lines = [f"{escape_markdown(heading(results))}.\n"]
    for group in sorted(grouped(results.verdicts), key=lambda group: not group.verdicts[0].evidence):
        words = group.words + (f": {group.why}" if group.why else "")
        claims = [f"“{escape_markdown(each.words)}” ({escape_markdown(each.place)})" for each in group.verdicts]
        if len(claims) == 1:
            lines.append(f"- {escape_markdown(words)}. {claims[0]}")
        else:
            lines += [f"- {escape_markdown(words)}:", *(f"  - {claim}" for claim in claims)]
        lines += [f"  - {escape_markdown(evidence_line(each, metrics))}" for each in group.verdicts[0].evidence]
    lines += [f"\n{escape_markdown(rule)}." for rule in rules(results)]
    return "\n".join(lines) + "\n"


def _figures(stored: Stored, suite: str) -> str:
    """The figures of a suite, where they are stored."""
    titles = {
        "label-guided.png": "Edits guided by a label", "reference-guided.png": "Edits guided by a reference",
        "ablation.png": "The ablation: source, reference, and the edit of each row",
    }  # fmt: skip
    there = [name for name in titles if (stored.root / REPORTS / suite / name).is_file()]
    lines = [f"![{titles[name]}](../results/reference/{REPORTS}/{suite}/{name})\n" for name in there]
    return "\n".join(lines) or NOTHING


def _trainings(stored: Stored, _: str) -> str:
    """What every training took, on which device, and whether it failed by its own measure."""
    folders: dict[str, list[str]] = {}
    for row_id, row in stored.rows():
        for seed in row.seeds.values():
            folders.setdefault(seed.record, []).append(row_id)
    if not folders:
        return NOTHING
    lines = [
        "| training | rows | device | processor | threads | time | iterations | pictures seen | failed |",
        "|---|---|---|---|--:|--:|--:|--:|---|",
    ]
    total: Counter[str] = Counter()
    for folder, rows in sorted(folders.items()):
        manifest = Manifest.read(stored.root / folder / TRAINING)
        made, facts = manifest.made, manifest.facts
        total[str(made["device"])] += round(manifest.seconds)
        cells = [
            manifest.name.removeprefix("train "), ", ".join(dict.fromkeys(rows)), str(made["device"]),
            str(made["processor"]), str(made["threads"]), duration(manifest.seconds), f"{facts['iterations']:,}",
            f"{facts['images_seen']:,}", "yes" if facts["failures"] else "no",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(escape_markdown, cells))} |")
    spent = listed([f"{duration(seconds)} on {device}" for device, seconds in sorted(total.items())])
    devices = "" if len(total) == 1 else " Trainings of one seed on two devices differ: compare rows of one device."
    return (
        "\n".join(lines) + f"\n\nIn all {len(folders)} training{'s' if len(folders) > 1 else ''}, {spent}.{devices}\n"
    )


def _weights(stored: Stored, _: str) -> str:
    """The stored weights, by the names that `--checkpoint` takes."""
    names: dict[str, list[str]] = {}
    cells: dict[str, str] = {}
    for row_id, row in stored.rows():
        for seed, each in row.seeds.items():
            if each.weights:
                size = (stored.root / each.weights / "weights.safetensors").stat().st_size
                names.setdefault(each.weights, []).append(f"[{row_id}](../results/reference/{each.weights}/README.md)")
                cells[each.weights] = f"{row.method} | {row.subset} | {seed} | {size / 1e6:.2f} MB"
    if not names:
        return NOTHING
    lines = [f"| {', '.join(links)} | {cells[weights]} |" for weights, links in names.items()]
    return "\n".join(["| names | method | data | seed | size |", "|---|---|---|--:|--:|", *lines]) + "\n"


def _tuning(stored: Stored, suite: str) -> str:
    """What the trials of each method came to, and what they took."""
    folder = stored.root / TUNING / suite
    if not (folder / RECORDS).is_file():
        return NOTHING
    records = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
    criterion = next(metric for metric in METRICS if metric.key == records["criterion"])
    best = max if criterion.direction == "higher" else min
    by_method: dict[str, dict[str, dict[str, Any]]] = {}
    for name, trial in records["trials"].items():
        by_method.setdefault(trial["method"], {})[name] = trial
    lines = [
        f"| method | trials | {' | '.join(KINDS.values())} | chosen | seconds a trial | pictures a trial |",
        f"|---|--:|{'--:|' * len(KINDS)}---|--:|--:|",
    ]
    for method, trials in by_method.items():
        known = [(each["kind"], each["value"]) for each in trials.values() if each["value"] is not None]
        values = [best((value for other, value in known if other == kind), default=None) for kind in KINDS]
        chosen = next((name for name, trial in trials.items() if trial["chosen"]), EMPTY)
        whole = [trial for trial in trials.values() if "key" in trial]
        spent = [sum(trial[name] for trial in whole) / max(1, len(whole)) for name in ("processor_seconds", "pictures")]
        cells = [method, str(len(trials)), *(number(value, criterion.decimals) for value in values), chosen]
        lines.append(f"| {' | '.join(map(escape_markdown, [*cells, *(f'{value:,.0f}' for value in spent)]))} |")
    trained, validated = (len(records["identities"][name]) for name in ("trained_on", "validated_on"))
    return "\n".join(lines) + (
        f"\n\n{criterion.label} of the best trial of each kind ({criterion.direction} is better), on {validated} "
        f"people who were taken from the training ones; {trained} others were trained on, and no test person is in any "
        f"trial. Seconds are of processor time. [All trials](../results/reference/{TUNING}/{suite}/{PAGE}).\n"
    )


def _readme(stored: Stored, suite: str) -> str | None:
    """The main table with half-widths over seeds; None, for what stands there, where nothing is stored."""
    results = stored.results(suite)
    return None if results is None else compact(results)


def compact(results: SuiteResults) -> str:
    """A table of README: the paper's numbers and the stored ones, with the half-width of the interval over seeds."""
    comparison = compare(results)
    head, rule = ["Model", "Data"], ["---", "---"]
    shown = []
    for index, column in enumerate(comparison.columns):
        first = bool(column.paper) and (index == 0 or comparison.columns[index - 1].paper != column.paper)
        *theirs, ours = headings(column)
        head += [f"{escape_markdown(name)} paper" for name in theirs if first] + [f"{escape_markdown(ours)} measured"]
        rule += ["--:"] * (len(head) - len(rule))
        shown.append(first)
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(rule)}|"]
    for compared in comparison.rows:
        row = compared.row
        cells = [escape_markdown(row.label) + (", failed" if row.failed else ""), row.subset]
        for cell, first in zip(compared.cells, shown, strict=True):
            if first:
                same = (other.paper for other in compared.cells if other.column.paper == cell.column.paper)
                paper = next((value for value in same if value is not None), None)
                cells.append(number(paper, cell.metric.decimals))
            cells.append(_half_width(row, cell.metric.key, cell.metric.decimals))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\n{_caption(results)}\n"


def _half_width(row: Row, metric: str, decimals: int) -> str:
    summary = row.summary.get(metric)
    seeds = summary.seeds if summary is not None and len(row.seeds) > 2 else None
    half = f" ± {(seeds[1] - seeds[0]) / 2:.{decimals}f}" if seeds is not None else ""
    return number(row.mean(metric), decimals) + half


def _caption(results: SuiteResults) -> str:
    """What the table's numbers are of."""
    counts = sorted({scores.edits for row in results.rows for scores in row.seeds.values()}, reverse=True)
    seeds = sorted({len(row.seeds) for row in results.rows if row.seeds})
    several = seeds and max(seeds) > 2
    spread = "; ± is half of the 95 % interval over seeds" if several else ""
    claims = heading(results).replace("Claims", "The paper's claims", 1)
    agreed = f" {claims} ([which]({VERDICTS}))." if results.verdicts else ""
    return (
        f"*Profile {results.profile}: {' or '.join(map(str, seeds))} seed{'s' if seeds != [1] else ''} a row{spread}; "
        f"{' or '.join(f'{count:,}' for count in counts)} edits a seed, of {results.test_identities} test people, "
        f"{results.data} faces of {results.size} px: no number can be compared with the paper's. "
        f"[docs/reference.md](docs/reference.md) has the rest.*{agreed}"
    )


BLOCKS: dict[str, Callable[[Stored, str], str | None]] = {
    "status": _status, "table": _table, "certainty": _certainty, "expressions": _expressions, "claims": _claims,
    "figures": _figures, "trainings": _trainings, "weights": _weights, "tuning": _tuning, "readme": _readme,
}  # fmt: skip


def main(pages: Sequence[Path] = PAGES) -> None:
    """Write the pages."""
    stored = Stored()
    for page in pages:
        page.write_text(with_blocks(page.read_text(encoding="utf-8"), stored), encoding="utf-8")


if __name__ == "__main__":
    main()
