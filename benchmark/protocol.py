"""The protocol: names and constants that are the same for every method.

Expressions, cameras and gazes are those of the Radboud Faces Database (Langner et al., 2010); action units are the 17
whose intensity OpenFace estimates, in its order, on its scale from 0 to 5.
"""

from __future__ import annotations

from typing import Literal, get_args

EXPRESSIONS = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")

ACTION_UNITS = (
    "AU01_r",
    "AU02_r",
    "AU04_r",
    "AU05_r",
    "AU06_r",
    "AU07_r",
    "AU09_r",
    "AU10_r",
    "AU12_r",
    "AU14_r",
    "AU15_r",
    "AU17_r",
    "AU20_r",
    "AU23_r",
    "AU25_r",
    "AU26_r",
    "AU45_r",
)
ACTION_UNIT_MAX = 5.0

CAMERAS = (0, 45, 90, 135, 180)
"""RaFD's camera codes; 90 is frontal. The yaw in degrees is the code less 90."""

GAZES = ("frontal", "left", "right")

Subset = Literal["F", "F&P"]
SUBSETS: tuple[Subset, ...] = get_args(Subset)
SUBSET_CAMERAS: dict[Subset, tuple[int, ...]] = {"F": (90,), "F&P": (45, 90, 135)}

Guide = Literal["T", "R"]
"""What guides an edit: T a label (and a latent where the method has one), R a reference picture."""
GUIDES: tuple[Guide, ...] = get_args(Guide)

LANDMARKS = 68
"""Points of the iBUG scheme that dlib and OpenFace use: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67,
each from the picture's left to its right.
"""
LANDMARK_MIRROR = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)
"""Landmark i of a mirrored face is landmark LANDMARK_MIRROR[i] of the face."""

Knowledge = Literal["units", "landmarks"]
KNOWLEDGE: dict[Knowledge, str] = {"units": "action units", "landmarks": "landmarks"}
"""What a data set may know of its faces beside picture and expression, and a method may need; with its name."""
MAX_SEED = 2**32 - 1
"""Largest seed of a training, a latent or a rendered set."""
EDIT_SEED = 0
"""Seed of the list of edits. It is the same for every training seed, so the spread over seeds is that of trainings."""
JUDGE_SEED = 0
"""One judge measures all runs of a subset, whatever their seeds, so that no difference between runs is the judge's."""
