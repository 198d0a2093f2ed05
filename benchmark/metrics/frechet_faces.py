"""The Fréchet distance in a second feature space: that of the identity network (`features/identity.py`).

Another space, learned from faces instead of ImageNet, whose ranking of rows is set beside that of the first. The faces
are cut out by their landmarks, so background and framing have no part in it.
"""

from __future__ import annotations

from benchmark.metrics.frechet import frechet_distance
from benchmark.metrics.metric import SetMetric

FRECHET_FACES = SetMetric(
    key="fd_faces",
    label="FD[face]",
    direction="lower",
    decimals=4,
    definition="Fréchet distance between the faces of the edits and of the real test pictures for dlib's network",
    distance=frechet_distance,
    view="described",
    label_elsewhere="FD[face]",
)
