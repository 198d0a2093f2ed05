"""Cascade EF-GAN: expressions edited a third of the way at a time, each time whole and by eyes, nose and mouth.

Wu et al., "Cascade EF-GAN: Progressive Facial Expression Editing with Local Focuses", CVPR 2020. A reconstruction: no
code was ever published. Which parts are known and which are put in their place is said in `docs/methods.md` and in
the settings' notes.
"""

from __future__ import annotations

from baselines.efgan.method import EFGAN
from baselines.efgan.settings import EFGANSettings

__all__ = ["EFGAN", "EFGANSettings"]
