"""Tables as LaTeX, in the manner of booktabs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from benchmark.report.tables import Entry, Heading, Table

FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks tables that are wider than the page."""
LONG = 60
"""Largest number of characters of a cell in a column without line breaks."""
SENTENCES = r"p{75mm}"
INTERVAL = re.compile(r"(.*\d) (\[-?[\d.]+, -?[\d.]+\])")
"""A number and its interval."""
BELOW = r"\providecommand{\withinterval}[2]{\begin{tabular}[t]{@{}r@{}}#1\\[-0.3ex]{\scriptsize #2}\end{tabular}}"
"""Sets an interval below its number. Side by side, a table of five metrics would be wider than a page."""
SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "±": r"$\pm$",
        "×": r"$\times$", "–": "--", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\rightarrow$",
        "“": "``", "”": "''", "é": r"\'e",
        # LaTeX reads a bracket after the end of a line as that line's optional argument.
        "[": "{[}", "]": "{]}",
    }
)  # fmt: skip


def latex(tables: Iterable[Table]) -> str:
    r"""Return a `table*` for each table, for `\input` in a document that loads booktabs and graphicx."""
    return "% Needs \\usepackage{booktabs,graphicx}.\n" + "\n".join(_table(table) for table in tables)


def escape_latex(text: str) -> str:
    """Escape a text for LaTeX."""
    return re.sub('"([^"]*)"', r"“\1”", text).translate(SPECIAL)


def _table(table: Table) -> str:
    caption = re.sub(r"^Table \d+: (.)", lambda match: match[1].upper(), table.title)  # LaTeX counts tables itself
    columns = "".join(_column(table, index) for index in range(len(table.headings)))
    rows = [_line(_entry(entry) for entry in row) for row in table.rows]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3.5pt}",
        *([BELOW] if any(r"\withinterval{" in row for row in rows) else []),
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{tab:{table.label}}}",
        FIT,
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_headings(table.headings),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    below = [rf"\textsuperscript{{{index}}} {escape_latex(note)}" for index, note in enumerate(table.footnotes, 1)]
    below += [escape_latex(note) for note in table.notes]
    if below:
        # In its own box, since \centering applies to the whole float.
        lines += [r"\par\medskip", r"\parbox{\linewidth}{\raggedright", "\\par\n".join(below), "}"]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _column(table: Table, index: int) -> str:
    """Return the alignment of a column: numbers right, words left, sentences in lines."""
    if table.headings[index].numeric:
        return "r"
    return SENTENCES if any(len(row[index].text) > LONG for row in table.rows) else "l"


def _headings(headings: Sequence[Heading]) -> list[str]:
    """Return the heading: groups with rules under them, then texts; one line if there are no groups."""
    if not any(heading.text and heading.group for heading in headings):
        return [_line(escape_latex(heading.group or heading.text) for heading in headings)]
    groups, rules, start = [], [], 1
    for name, members in itertools.groupby(headings, key=lambda heading: heading.group):
        width = len(list(members))
        if name and width > 1:
            groups.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        else:
            groups += [escape_latex(name)] * width
        start += width
    texts = _line(escape_latex(heading.text) for heading in headings)
    return [_line(groups), *(["".join(rules)] if rules else []), texts]


def _entry(entry: Entry) -> str:
    interval = INTERVAL.fullmatch(entry.text)
    text = _signed(interval[1] if interval else entry.text)
    if entry.marks:
        text += rf"\textsuperscript{{{','.join(map(str, entry.marks))}}}"
    if entry.difference:
        text += rf" (${entry.difference.value:+.{entry.difference.decimals}f}$, {entry.difference.verdict})"
    return rf"\withinterval{{{text}}}{{{_signed(interval[2])}}}" if interval else text


def _signed(text: str) -> str:
    """Escape a text, and set the signs of its numbers as minus signs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escape_latex(text))


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
