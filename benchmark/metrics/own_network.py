"""The columns of a network of one's own, named by the file and the first 8 digits of its SHA-256: FD[arcface@1a2b3c4d].

They are the Fréchet and kernel distance and the similarity of this folder's own objects, in another feature space.
"""

from __future__ import annotations

import re
from dataclasses import replace

from benchmark.config.networks import OwnNetwork
from benchmark.metrics.frechet import FID
from benchmark.metrics.kid import KID
from benchmark.metrics.metric import EditMetric, Need, SetMetric
from benchmark.metrics.similarity import SIMILARITY

DIGITS = 8
"""Of a file's SHA-256 in the names of columns."""
LONGEST_NAME = 24
OWN_KEY = re.compile(rf"(fd|kd|similarity)_[0-9a-f]{{{DIGITS}}}")
"""Keys of metrics in networks of one's own."""
OWN_DISTANCE = re.compile(rf"fd_[0-9a-f]{{{DIGITS}}}")
"""Those of Fréchet distances."""
OwnMetric = SetMetric | EditMetric


def column_name(file: str, sha256: str) -> str:
    """`arcface@1a2b3c4d`: a file's name without its ending, in signs that every format prints, and its hash."""
    stem = re.sub(r"[^\w.+-]+", "-", file.rpartition(".")[0], flags=re.ASCII).strip("-")[:LONGEST_NAME]
    return f"{stem or 'network'}@{sha256[:DIGITS]}"


def own_metrics(file: str, sha256: str, described: OwnNetwork) -> tuple[OwnMetric, ...]:
    """The metrics that a network measures. file: its name. Their keys have the hash alone."""
    digits, name = sha256[:DIGITS], column_name(file, sha256)
    of = f"in the features of {file} (SHA-256 {sha256}; {prepared(described)})"
    face = described.crop == "face"
    metrics: list[OwnMetric] = []
    if "distance" in described.measures:
        for metric, head, tail in ((FID, "FD", ""), (KID, "KD", " × 1000")):
            label = f"{head}[{name}]{tail}"
            kind = "Fréchet distance" if metric is FID else "unbiased kernel distance, times 1000,"
            metrics.append(
                replace(
                    metric, key=f"{head.lower()}_{digits}", label=label, label_elsewhere=label, decimals=4, paper={},
                    view="cropped" if face else "whole",
                    definition=f"{kind} between the edits and the real test pictures of the subset {of}",
                )
            )  # fmt: skip
    if "similarity" in described.measures:
        required: tuple[Need, ...] = (*SIMILARITY.required, *(("landmarks",) if face else ()))
        metrics.append(
            replace(
                SIMILARITY, key=f"similarity_{digits}", label=f"Similarity[{name}]", required=required,
                definition=f"cosine of the angle between edit and source {of}; what a right edit has is the true "
                "picture's number, not 1",
            )
        )  # fmt: skip
    return tuple(metrics)


def prepared(described: OwnNetwork) -> str:
    """How pictures are prepared, in words."""
    pictures = "tight face boxes" if described.crop == "face" else "whole pictures"
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (described.mean, described.std))
    return f"{pictures} at {described.side} px, {described.resize}, {described.channels}, mean {mean}, std {std}"
