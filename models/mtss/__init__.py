"""MTSS: multi-task expression synthesis with supervised styles (SSE) and style disentanglement (SDU).

Lu et al., "Multi Task-Based Facial Expression Synthesis with Supervision Learning and Feature Disentanglement of Image
Style", published networks lumanxi236/MTSS.
"""

from __future__ import annotations

from models.mtss.method import MTSS
from models.mtss.settings import MTSSSettings

__all__ = ["MTSS", "MTSSSettings"]
