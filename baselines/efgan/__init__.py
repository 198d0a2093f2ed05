"""Cascade EF-GAN: expressions are edited in three stages, each with a global branch and three local ones.

Wu et al., "Cascade EF-GAN: Progressive Facial Expression Editing with Local Focuses", CVPR 2020. A reconstruction: no
code was ever published. `docs/methods.md` and the notes of the settings say which parts are known, and which were
chosen.
"""

from __future__ import annotations

from baselines.efgan.method import EFGAN
from baselines.efgan.settings import EFGANSettings

__all__ = ["EFGAN", "EFGANSettings"]
