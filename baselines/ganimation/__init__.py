"""GANimation: faces animated by action units, through an attention mask and a colour mask.

Pumarola et al., "GANimation: Anatomically-aware Facial Animation from a Single Image", ECCV 2018; published code
albertpumarola/GANimation.
"""

from __future__ import annotations

from baselines.ganimation.method import GANimation
from baselines.ganimation.settings import GANimationSettings

__all__ = ["GANimation", "GANimationSettings"]
