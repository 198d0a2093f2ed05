"""The comparison of a suite's rows in MLflow's web page: its charts, and its address.

The page keeps a view that is shared as a tag of the experiment, and an address names the tag. So a finished suite has
an address that opens on charts of its own rows, headline metrics first. Without `workflowType` the page opens on views
for language models, whatever kind the experiment is.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

VIEW_TAG = "mlflow.sharedViewState."
COMPRESSED = "deflate;"
"""What the page expects before a view in base64 of zlib's format: a tag has room for 5,000 characters."""
PARENT_TAG, ORDER_TAG = "mlflow.parentRunId", "fesbench.order"
FIRST_SECTION = "The columns of the table"
NO_SECTION = "Model metrics"
"""The page's section of metrics whose names have no slash."""
COLUMNS = ("attributes.`Duration`", "attributes.`Dataset`", "params.`method`", "params.`guide`", "params.`data`",
           "params.`seed`")  # fmt: skip


def view_key(parent: str) -> str:
    """Return the key of the view on the children of a run."""
    return parent[:24]


def view_path(experiment: str, key: str) -> str:
    """Return the path of the view's page, relative to the server."""
    query = {"workflowType": "machine_learning", "compareRunsMode": "CHART", "viewStateShareKey": key}
    return f"/#/experiments/{experiment}/runs?{urlencode(query)}"


def view_state(
    parent: str, headline: Sequence[tuple[str, str]], metrics: Iterable[str], order: str = f"tags.`{ORDER_TAG}`"
) -> str:
    """Return the value of the view's tag.

    The view has the children of `parent`, a bar chart for each metric of `headline` (name and heading), and folded
    sections for the other `metrics`.

    order: what the children are sorted by; not their time, by which the page folds them below their parent.
    """
    shown = {name for name, _ in headline}
    others = sorted({_section(name) for name in metrics if name not in shown})
    sections = [
        {**_made(parent, name), "name": name, "display": name == FIRST_SECTION, "columns": 2, "cardHeight": 360}
        for name in (FIRST_SECTION, *others, "System metrics")
    ]
    charts = [
        {
            **_made(parent, f"chart {name}"),
            "type": "BAR",
            "runsCountToCompare": 100,
            "metricSectionId": sections[0]["uuid"],
            "metricKey": name,
            "displayName": heading,
        }
        for name, heading in headline
    ]
    state = {
        "searchFilter": f"tags.`{PARENT_TAG}` = '{parent}'",
        "orderByKey": order,
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": [*COLUMNS, *(f"metrics.`{name}`" for name, _ in headline)],
        "compareRunSections": sections,
        "compareRunCharts": charts,
        "isAccordionReordered": True,
    }
    text = json.dumps(state, separators=(",", ":"))
    return COMPRESSED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _section(metric: str) -> str:
    return metric.rpartition("/")[0] or NO_SECTION


def _made(parent: str, name: str) -> dict[str, Any]:
    identifier = uuid5(NAMESPACE_URL, f"{parent} {name}").hex
    return {"uuid": identifier, "deleted": False, "isGenerated": True, "isReordered": True}
