"""The list of files that are set aside, as a table and in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.photos.index import REASONS, SetAside

if TYPE_CHECKING:
    import pandas as pd

ASIDE, ASIDE_COLUMNS = "set-aside.csv", ("path", "reason", "detail")


def aside_table(files: Iterable[SetAside]) -> pd.DataFrame:
    """Return a table with `ASIDE_COLUMNS`, by reason and then by path."""
    import pandas as pd

    rows = sorted(files, key=lambda file: (list(REASONS).index(file.reason), file.path))
    return pd.DataFrame([vars(file) for file in rows], columns=list(ASIDE_COLUMNS))


def read_aside(path: Path) -> pd.DataFrame:
    """Read a table that was written as CSV."""
    import pandas as pd

    return pd.read_csv(path, dtype=str, keep_default_na=False)


def count_reasons(files: Iterable[SetAside]) -> str:
    """Format the counts by reason: `3 broken, 2 misnamed`."""
    counts = Counter(file.reason for file in files)
    return ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason])
