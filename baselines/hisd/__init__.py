"""HiSD: edits by hierarchical style disentanglement, the baseline that MTSS builds on.

Li et al., "Image-to-Image Translation via Hierarchical Style Disentanglement", CVPR 2021; published code
imlixinyang/HiSD.
"""

from __future__ import annotations

from baselines.hisd.method import HiSD
from baselines.hisd.settings import HiSDSettings

__all__ = ["HiSD", "HiSDSettings"]
