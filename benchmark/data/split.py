"""The split by identity: nothing that decides a model sees a test identity.

Every identity has a rank, the hash of its name; in each group the lowest ranks are the test identities. So the draw
is fixed, needs no random state, and leaving some identities out moves no other across. The lists that result are in
`splits/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmark.core.errors import UserError

SPLITS = Path(__file__).parent / "splits"
SALT = "fesbench split 1"
LEAST_PEOPLE = 4
"""Fewest identities: two to train on, two to test on."""


def _rank(identity: str) -> str:
    return hashlib.sha256(f"{SALT}|{identity}".encode()).hexdigest()


def draw_test_identities(groups: Mapping[str, str], fraction: float) -> list[str]:
    """Draw the test identities, sorted: about `fraction` of all, at least two.

    They are spread over the groups by largest remainder.

    groups: identity to group. Raises UserError where fewer than four identities leave nothing to split.
    """
    if len(groups) < LEAST_PEOPLE:
        raise UserError(
            f"{len(groups)} identities are too few to split ({LEAST_PEOPLE} at least: two to train on, two to test on)"
        )
    members: dict[str, list[str]] = {}
    for identity in sorted(groups, key=_rank):
        members.setdefault(groups[identity], []).append(identity)
    wanted = max(2, round(len(groups) * fraction))
    shares = {group: wanted * len(names) / len(groups) for group, names in members.items()}
    quota = {group: int(share) for group, share in shares.items()}
    by_remainder = sorted(shares, key=lambda group: (quota[group] - shares[group], group))
    for group in by_remainder[: wanted - sum(quota.values())]:
        quota[group] += 1
    return sorted(name for group, names in members.items() for name in names[: quota[group]])


def listed_test_identities(data_set: str) -> list[str] | None:
    """Return the list that the repository holds for a data set, or None."""
    path = SPLITS / f"{data_set}.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["test"]) if path.exists() else None


def lowest_ranked(identities: list[str], count: int | None) -> list[str]:
    """Return the `count` identities of lowest rank (all for None), sorted; smaller draws are part of larger ones."""
    return sorted(sorted(identities, key=_rank)[:count])
