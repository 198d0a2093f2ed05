"""One protocol for training and measuring facial expression synthesis.

from benchmark import run_suite

results = run_suite("table1", profile="quick", methods=["hisd", "mtss"], seeds=(0, 1))
print(results.folder)
print(results.to_frame().groupby("label")["fid"].mean())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.pipeline.api import Results, load_results, run_suite

__version__ = "0.1.0"
__all__ = ["Results", "load_results", "run_suite"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import benchmark` is instant."""
    if name not in __all__:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    from benchmark.pipeline import api

    return getattr(api, name)
