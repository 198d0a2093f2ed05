"""`python -m benchmark.report.schema`: write what follows from the models and the list of metrics.

That is `results.schema.json` beside this module, and between two comments the tables of docs/results.md and
docs/metrics.md. To be called in the repository after a change of `results.py` or of a metric; a test holds them equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from benchmark.metrics.registry import METRICS
from benchmark.report.notes import BETTER
from benchmark.report.results import SuiteResults

HERE = Path(__file__).parent
SCHEMA_FILE = HERE / "results.schema.json"
DOCS = HERE.parents[1] / "docs"
BEGIN, END = "<!-- written by python -m benchmark.report.schema -->\n", "<!-- end -->"


class _Titleless(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title would be the name of the field once more."""
        return False


def json_schema() -> dict[str, Any]:
    """The JSON schema of `results.json`, with the metrics of this version by name."""
    schema = TypeAdapter(SuiteResults).json_schema(schema_generator=_Titleless, mode="serialization")
    values = schema["$defs"]["Scores"]["properties"]["metrics"]
    values["properties"] = {metric.key: {"description": metric.definition} for metric in METRICS}
    head = {"$schema": _Titleless.schema_dialect, "title": "fesbench results"}
    return {**head, **schema}


def schema_text() -> str:
    """The text of `results.schema.json`."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def fields_page() -> str:
    """The tables of docs/results.md: the fields of each object."""
    schema = json_schema()
    parts = [_fields("The whole", schema)]
    parts += [_fields(name, part) for name, part in schema["$defs"].items() if "properties" in part]
    return "\n".join(parts)


def metrics_page() -> str:
    """The table of docs/metrics.md: every metric."""
    lines = ["| Key | Heading | Better | Of | Definition | Needs |", "|---|---|---|---|---|---|"]
    for metric in METRICS:
        unit = f" ({metric.unit})" if metric.unit else ""
        of = "each edit" if metric.per == "edit" else "all edits"
        needs = ", ".join(metric.needs)
        cells = (
            f"`{metric.key}`",
            metric.label,
            BETTER[metric.direction].removesuffix(" is better"),
            of,
            f"{metric.definition}{unit}",
            needs,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _fields(name: str, part: dict[str, Any]) -> str:
    lines = [
        f"**{name}**: {' '.join(part['description'].split())}\n",
        "| Field | Type | Meaning |",
        "| --- | --- | --- |",
    ]
    for field, rule in part["properties"].items():
        lines.append(f"| `{field}` | {_type(rule)} | {rule.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _type(rule: dict[str, Any]) -> str:
    """The type of a field in words: `number or null by name`."""
    if "$ref" in rule:
        return str(rule["$ref"]).rpartition("/")[2]
    if "anyOf" in rule:
        return " or ".join(_type(option) for option in rule["anyOf"])
    if rule.get("type") == "array":
        if "prefixItems" in rule:
            return f"list of {len(rule['prefixItems'])} {_type(rule['prefixItems'][0])}s"
        return f"list of {_type(rule['items'])}"
    if rule.get("type") == "object":
        inner = rule.get("additionalProperties")
        return f"{_type(inner)} by name" if isinstance(inner, dict) else "object"
    values = rule.get("enum", [rule["const"]] if "const" in rule else [])
    return " or ".join(f"`{value}`" for value in values) or str(rule.get("type", "anything"))


def written() -> Iterator[tuple[Path, str]]:
    """Every file with the text that it should have."""
    yield SCHEMA_FILE, schema_text()
    for name, table in (("results.md", fields_page()), ("metrics.md", metrics_page())):
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        before, _, after = re.split(f"{BEGIN}(.*?){END}", text, maxsplit=1, flags=re.DOTALL)
        yield path, f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for path, text in written():
        path.write_text(text, encoding="utf-8")
