"""Identities: shape, skin, hair, brows, eyes and beard, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Colour = tuple[float, float, float]
Kind = TypeVar("Kind")
Hairstyle = Literal[
    "bald", "shaved", "receding", "cropped", "short", "swept", "parted", "fringe", "curls", "bun", "bob", "bangs",
    "long", "wavy",
]  # fmt: skip
Beard = Literal["none", "stubble", "moustache", "goatee", "short", "full"]

ORIGINS = ("african", "asian", "caucasian")
GROUPS = tuple(f"{origin}-{gender}" for gender in ("female", "male") for origin in ORIGINS)
"""Strata for splitting. Identity i belongs to group i modulo 6, so that any number of identities is balanced."""

# sRGB colours in [0, 1]: the ends between which an identity's colour is drawn.
SKIN: dict[str, tuple[Colour, Colour]] = {
    "african": ((0.38, 0.25, 0.185), (0.63, 0.46, 0.35)),
    "asian": ((0.73, 0.55, 0.42), (0.91, 0.77, 0.65)),
    "caucasian": ((0.77, 0.58, 0.47), (0.95, 0.80, 0.72)),
}
LIPS: dict[str, tuple[Colour, Colour]] = {
    "female": ((0.90, 0.62, 0.62), (0.84, 0.44, 0.48)),
    "male": ((0.90, 0.70, 0.68), (0.86, 0.60, 0.60)),
}
"""Factor of the skin's colour on the lips: the ends between which it is drawn."""
DARK_HAIR: tuple[Colour, ...] = ((0.12, 0.105, 0.10), (0.20, 0.145, 0.115))
GREY_HAIR: tuple[Colour, ...] = ((0.42, 0.41, 0.40), (0.66, 0.65, 0.63))
GREY_FROM = 0.67
"""Age (anny's scale) from which hair may be grey."""
HAIR: dict[str, tuple[Colour, ...]] = {
    "african": DARK_HAIR,
    "asian": DARK_HAIR,
    "caucasian": (
        *DARK_HAIR,
        (0.30, 0.20, 0.13),
        (0.42, 0.29, 0.18),
        (0.62, 0.48, 0.30),
        (0.74, 0.62, 0.42),
        (0.50, 0.24, 0.11),
    ),
}
DARK_IRIS: tuple[Colour, ...] = ((0.20, 0.11, 0.06), (0.28, 0.16, 0.08))
IRIS: dict[str, tuple[Colour, ...]] = {
    "african": DARK_IRIS,
    "asian": DARK_IRIS,
    "caucasian": (*DARK_IRIS, (0.25, 0.38, 0.55), (0.35, 0.45, 0.48), (0.30, 0.38, 0.20)),
}
STYLES: dict[str, tuple[Hairstyle, ...]] = {
    "female": ("bun", "bob", "bangs", "long", "wavy", "curls", "fringe"),
    "male": ("bald", "shaved", "receding", "cropped", "short", "swept", "parted", "fringe", "curls"),
}
"""Dealt in turn to the people of a group, in a drawn order, so that a small set has many of them."""
BEARDS: tuple[Beard, ...] = ("none", "stubble", "none", "full", "none", "short", "moustache", "none", "goatee")
"""Beards of men, dealt like the styles."""

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
"""Changes that look like an expression (raised mouth corners, narrow eyes, ...), drawn with a third of the spread."""
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
    brow_tilt: float
    """Positive: the outer end is higher."""
    brow_taper: float
    """Share by which the outer end is thinner than the inner one."""
    brow_density: float
    parting: int
    """1: hair is parted at the subject's left, -1: right."""
    beard: Beard
    freckles: float
    texture_seed: int

    @property
    def name(self) -> str:
        """Name in tables and file names."""
        return f"{self.index:03d}"

    @property
    def origin(self) -> str:
        """One of ORIGINS."""
        return self.group.split("-")[0]

    @property
    def female(self) -> bool:
        """Whether the group is female."""
        return self.group.endswith("-female")


def draw_identity(seed: int, index: int, local_labels: Sequence[str]) -> Identity:
    """Draw identity `index` of the set with this seed; `local_labels` are the shape model's local changes."""
    rng = np.random.default_rng([seed, 1, index])
    group = GROUPS[index % len(GROUPS)]
    origin, gender = group.split("-")
    female = gender == "female"
    own = rng.uniform(0.8, 1.0)
    phenotype = {name: own if name == origin else (1 - own) / 2 for name in ORIGINS} | {
        "gender": rng.uniform(0.03, 0.15) if female else rng.uniform(0.85, 0.97),
        "age": rng.uniform(0.48, 0.74),
        "muscle": rng.uniform(0.4, 0.65),
        "weight": rng.uniform(0.32, 0.62),
        "height": 0.5,
        "proportions": 0.7,
        "cupsize": 0.3,
        "firmness": 0.6,
    }
    low, high = (np.array(colour) for colour in SKIN[origin])
    warmth = rng.normal(0, 0.012)
    skin = (low + (high - low) * rng.random()) * [1 + warmth, 1, 1 - warmth]
    colours = HAIR[origin]
    style = _in_turn(seed, index, 0, STYLES[gender])
    if phenotype["age"] > GREY_FROM and style not in ("long", "wavy", "bangs") and rng.random() < 0.6:
        colours = GREY_HAIR
    hair = np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.85, 1.15)
    pale, red = (np.array(ends) for ends in LIPS[gender])
    lips = skin * (pale + (red - pale) * rng.random() + (0.10 if origin == "african" else 0.0))
    return Identity(
        index=index,
        group=group,
        phenotype=tuple(phenotype.items()),
        local_changes=_local_changes(rng, local_labels),
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(hair),
        brow_colour=_colour(np.minimum(np.minimum(hair * 0.8, 0.36), skin * 0.5) * [1.0, 0.88, 0.80]),
        iris=IRIS[origin][rng.integers(len(IRIS[origin]))],
        style=style,
        hairline=rng.uniform(0.058, 0.068),
        parting=int(rng.choice((-1, 1))),
        brow_thickness=rng.uniform(0.7, 1.1) if female else rng.uniform(1.0, 1.5),
        brow_height=rng.uniform(0.95, 1.05),
        brow_arch=rng.uniform(0.8, 1.2) if female else rng.uniform(0.4, 0.8),
        brow_tilt=rng.uniform(-0.5, 0.5),
        brow_taper=rng.uniform(0.35, 0.75),
        brow_density=rng.uniform(0.75, 0.95),
        beard="none" if female else _in_turn(seed, index, 1, BEARDS),
        freckles=float(rng.uniform(0.3, 1.0)) if origin == "caucasian" and rng.random() < 0.25 else 0.0,
        texture_seed=int(rng.integers(1 << 30)),
    )


def _in_turn(seed: int, index: int, purpose: int, kinds: tuple[Kind, ...]) -> Kind:
    """Return the kind of person `index`: within a group, each kind comes once before any comes again."""
    group, turn = index % len(GROUPS), index // len(GROUPS)
    order = np.random.default_rng([seed, 4, purpose, group, turn // len(kinds)]).permutation(len(kinds))
    return kinds[int(order[turn % len(kinds)])]


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
