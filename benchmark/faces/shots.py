"""What a set consists of, and the photographer who takes one shot of it after another.

Every picture depends on the settings and its own name only, never on the picture before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.protocol import EXPRESSIONS, GAZES

if TYPE_CHECKING:
    import numpy as np

    from benchmark.faces.figure import Sitter, Workshop
    from benchmark.faces.studio import Studio

RENDERER = 1
"""Raised whenever the renderer's pictures change, so that sets of two versions are never mixed."""
TURN_SPREAD = 1.2
"""Degrees (standard deviation) of a shot's small turn and nod of the head."""


@dataclass(frozen=True)
class SetSettings:
    """What a set's bytes depend on."""

    identities: int
    size: int
    cameras: tuple[int, ...]
    gazes: tuple[str, ...]
    seed: int
    renderer: int = RENDERER

    def pictures(self) -> int:
        """How many pictures the set has."""
        return self.identities * len(EXPRESSIONS) * len(self.cameras) * len(self.gazes)


@dataclass(frozen=True)
class ShotName:
    """One shot: all cameras fire at once, so its pictures share the face."""

    identity: int
    expression: str
    gaze: str

    def picture(self, camera: int) -> str:
        """Name of the picture that `camera` takes, without suffix: its face_id."""
        return f"{self.identity:03d}_{self.expression}_{camera:03d}_{self.gaze}"

    @property
    def record(self) -> str:
        """Name of the file that keeps the shot's rows until the table is written."""
        return f"{self.identity:03d}_{self.expression}_{self.gaze}.json"

    def generator(self, seed: int, purpose: int) -> np.random.Generator:
        """The shot's own source of randomness."""
        import numpy as np

        return np.random.default_rng(
            [seed, purpose, self.identity, EXPRESSIONS.index(self.expression), GAZES.index(self.gaze)]
        )


class Photographer:
    """Takes shots. Holds the scene and the identity now before the camera; one per process."""

    def __init__(self, settings: SetSettings) -> None:
        from benchmark.faces.anatomy import anatomy
        from benchmark.faces.figure import Workshop
        from benchmark.faces.studio import Studio

        self.settings = settings
        self.workshop: Workshop = Workshop(anatomy())
        self.studio: Studio = Studio(self.workshop)
        self._sitter: Sitter | None = None

    def sitter(self, index: int) -> Sitter:
        """Identity `index`, dressed and ready."""
        from benchmark.faces.identity import draw_identity

        if self._sitter is None or self._sitter.who.index != index:
            self._sitter = self.workshop.sit(draw_identity(self.settings.seed, index, self.workshop.body.local_changes))
            self.studio.dress(self._sitter)
        return self._sitter

    def take(self, shot: ShotName) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """The pictures of a shot, one per camera, each with its row of the face table."""
        import numpy as np

        from benchmark.faces.facs import CONTEMPT_SIDE, Side, draw

        sitter = self.sitter(shot.identity)
        rng = shot.generator(self.settings.seed, 2)
        units = draw(shot.expression, rng)
        turn, nod = np.clip(rng.normal(0, TURN_SPREAD, 2), -2 * TURN_SPREAD, 2 * TURN_SPREAD)
        one_sided: dict[str, Side] = {"AU14_r": CONTEMPT_SIDE} if shot.expression == "contemptuous" else {}
        pose = sitter.pose(units, one_sided, shot.gaze)
        self.studio.arrange(pose)
        for camera in self.settings.cameras:
            view = self.studio.projection(sitter, camera - 90, self.settings.size, (float(turn), float(nod)))
            seed = int(shot.generator(self.settings.seed, 1000 + camera).integers(1 << 31))
            picture = self.studio.photograph(view, seed)
            row = {
                "face_id": shot.picture(camera),
                "identity": sitter.who.name,
                "group": sitter.who.group,
                "expression": shot.expression,
                "camera": camera,
                "gaze": shot.gaze,
                **units,
                "landmarks": [float(np.float32(value)) for value in view(pose.landmarks).ravel()],
                "visible": [bool(value) for value in self.studio.sees(view, pose.landmarks, pose.landmark_normals)],
            }
            yield picture, row
