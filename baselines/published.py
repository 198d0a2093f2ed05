"""The machinery for published names lies in `benchmark.published`, where the harness can reach it too."""

from __future__ import annotations

from benchmark.published import Rule, load_published, parameter, translated

__all__ = ["Rule", "load_published", "parameter", "translated"]
