"""Who a face is: shape, skin, hair, brows, eyes and beard, all drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
Hairstyle = Literal["cropped", "short", "swept", "parted", "bun"]

ORIGINS = ("african", "asian", "caucasian")
GROUPS = tuple(f"{origin}-{gender}" for gender in ("female", "male") for origin in ORIGINS)
"""Strata for splitting. Identity i belongs to group i modulo 6, so that any number of identities is balanced."""

# sRGB colours in [0, 1]: the ends between which an identity's colour is drawn.
SKIN: dict[str, tuple[Colour, Colour]] = {
    "african": ((0.46, 0.31, 0.23), (0.62, 0.45, 0.345)),
    "asian": ((0.80, 0.62, 0.50), (0.90, 0.75, 0.63)),
    "caucasian": ((0.80, 0.61, 0.52), (0.93, 0.77, 0.69)),
}
LIPS: dict[str, Colour] = {"female": (0.90, 0.46, 0.49), "male": (0.88, 0.60, 0.60)}
"""What the skin's colour is multiplied by on the lips."""
DARK_HAIR: tuple[Colour, ...] = ((0.085, 0.075, 0.07), (0.13, 0.095, 0.075))
HAIR: dict[str, tuple[Colour, ...]] = {
    "african": DARK_HAIR,
    "asian": DARK_HAIR,
    "caucasian": (*DARK_HAIR, (0.17, 0.10, 0.06), (0.28, 0.18, 0.10), (0.46, 0.34, 0.20), (0.34, 0.15, 0.07)),
}
DARK_IRIS: tuple[Colour, ...] = ((0.20, 0.11, 0.06), (0.28, 0.16, 0.08))
IRIS: dict[str, tuple[Colour, ...]] = {
    "african": DARK_IRIS,
    "asian": DARK_IRIS,
    "caucasian": (*DARK_IRIS, (0.25, 0.38, 0.55), (0.35, 0.45, 0.48), (0.30, 0.38, 0.20)),
}
STYLES: dict[str, tuple[Hairstyle, ...]] = {
    "female": ("bun", "bun", "parted", "short"),
    "male": ("cropped", "short", "swept", "parted"),
}

SHAPES = ("nose-", "mouth-", "chin-", "cheek-", "eye-", "head-", "forehead", "ear-", "eyebrows")
"""Families of anny's local changes that identities differ in."""
LEFT_OUT = (
    "trans-forward",
    "head-trans",
    "head-angle",
    "head-back",
    "trans-out",
    "ear-wing",
    "ear-flap",
    "head-age",
    "bag",
)
RESTRAINED = (
    "mouth-angles",
    "eyebrows",
    "eye-height",
    "mouth-trans",
    "mouth-scale",
    "eyefold",
    "corner",
    "lip",
    "mouth-dimples",
    "laugh",
    "ear-",
    "head-fat",
    "head-scale",
    "volume",
)
"""Changes that look like an expression (raised mouth corners, narrow eyes, ...): drawn with a third of the spread."""
SPREAD = 0.36


@dataclass(frozen=True)
class Identity:
    """One person. Colours are sRGB in [0, 1]; lengths are metres on the template."""

    index: int
    group: str
    phenotype: tuple[tuple[str, float], ...]
    local_changes: tuple[tuple[str, float], ...]
    skin: Colour
    lips: Colour
    hair: Colour
    brow_colour: Colour
    iris: Colour
    style: Hairstyle
    hairline: float
    """Height of the hair line above the eyes."""
    brow_thickness: float
    brow_height: float
    brow_arch: float
    beard: float
    """0 is clean-shaven, 1 a full short beard; below 0.4 a shadow."""
    freckles: float
    texture_seed: int

    @property
    def name(self) -> str:
        """The identity's name in tables and file names."""
        return f"{self.index:03d}"

    @property
    def origin(self) -> str:
        """Which of ORIGINS."""
        return self.group.split("-")[0]

    @property
    def female(self) -> bool:
        """Whether the group is a female one."""
        return self.group.endswith("-female")


def draw_identity(seed: int, index: int, local_labels: Sequence[str]) -> Identity:
    """Identity `index` of the set with this seed; `local_labels` are the shape model's local changes."""
    rng = np.random.default_rng([seed, 1, index])
    group = GROUPS[index % len(GROUPS)]
    origin, gender = group.split("-")
    female = gender == "female"
    own = rng.uniform(0.8, 1.0)
    phenotype = {name: own if name == origin else (1 - own) / 2 for name in ORIGINS} | {
        "gender": rng.uniform(0.03, 0.15) if female else rng.uniform(0.85, 0.97),
        "age": rng.uniform(0.48, 0.64),
        "muscle": rng.uniform(0.4, 0.65),
        "weight": rng.uniform(0.32, 0.62),
        "height": 0.5,
        "proportions": 0.7,
        "cupsize": 0.3,
        "firmness": 0.6,
    }
    low, high = (np.array(colour) for colour in SKIN[origin])
    skin = low + (high - low) * rng.random()
    hair = np.array(HAIR[origin][rng.integers(len(HAIR[origin]))]) * rng.uniform(0.85, 1.15)
    redness = LIPS[gender]
    lips = skin * (np.array(redness) + (0.12 if origin == "african" else 0.0))
    beard_kind = rng.random()
    return Identity(
        index=index,
        group=group,
        phenotype=tuple(phenotype.items()),
        local_changes=_local_changes(rng, local_labels),
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(hair),
        brow_colour=_colour(np.minimum(hair * 0.8, 0.24) * [1.0, 0.8, 0.65]),
        iris=IRIS[origin][rng.integers(len(IRIS[origin]))],
        style=STYLES[gender][rng.integers(len(STYLES[gender]))],
        hairline=rng.uniform(0.066, 0.076),
        brow_thickness=rng.uniform(0.85, 1.15) if female else rng.uniform(1.15, 1.5),
        brow_height=rng.uniform(0.95, 1.05),
        brow_arch=rng.uniform(0.8, 1.2) if female else rng.uniform(0.4, 0.8),
        beard=0.0 if female else float(rng.uniform(0.55, 0.75) if beard_kind > 0.85 else rng.uniform(0.0, 0.3)),
        freckles=float(rng.uniform(0.3, 1.0)) if origin == "caucasian" and rng.random() < 0.25 else 0.0,
        texture_seed=int(rng.integers(1 << 30)),
    )


def _local_changes(rng: np.random.Generator, labels: Sequence[str]) -> tuple[tuple[str, float], ...]:
    changes: dict[str, float] = {}
    for label in labels:
        if (
            label.startswith("r-")
            or not any(word in label for word in SHAPES)
            or any(word in label for word in LEFT_OUT)
        ):
            continue
        spread = SPREAD / 3 if any(word in label for word in RESTRAINED) else SPREAD
        value = float(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread))
        changes[label] = value
        if label.startswith("l-"):
            changes["r-" + label[2:]] = value
    return tuple(changes.items())


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (float(value) for value in np.clip(values, 0, 1))
    return red, green, blue
