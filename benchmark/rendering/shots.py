"""What a set consists of, and the photographer who takes one shot of it after another.

Every picture depends on the settings and its own name only, never on the picture before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmark.protocol import EXPRESSIONS, GAZES
from benchmark.rendering.placement import ALIGNED, PLACEMENTS, Placement, draw_framing

if TYPE_CHECKING:
    import numpy as np

    from benchmark.rendering.figure import Sitter, Workshop
    from benchmark.rendering.studio import Studio

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
    placements: tuple[Placement, ...] = ALIGNED
    only: tuple[int, ...] = ()
    """The identities that are rendered, by number; all where it is empty."""

    @property
    def people(self) -> tuple[int, ...]:
        """The numbers of the identities."""
        return self.only or tuple(range(self.identities))

    @property
    def views(self) -> tuple[tuple[int, Placement], ...]:
        """What a shot is seen by: every camera, as every placement."""
        return tuple((camera, placement) for camera in self.cameras for placement in self.placements)

    def pictures(self) -> int:
        """How many pictures the set has."""
        return len(self.people) * len(EXPRESSIONS) * len(self.views) * len(self.gazes)

    def record(self) -> dict[str, Any]:
        """What a set's folder keeps; aligned sets of all identities have no word on either."""
        kept = asdict(self)
        if self.placements == ALIGNED:
            del kept["placements"]
        if not self.only:
            del kept["only"]
        return kept


def picture_name(identity: str, expression: str, camera: int, gaze: str, placement: Placement = "aligned") -> str:
    """`003_happy_090_frontal`, `003_happy_090_frontal_off`."""
    placed = "" if placement == "aligned" else f"_{placement}"
    return f"{identity}_{expression}_{camera:03d}_{gaze}{placed}"


@dataclass(frozen=True)
class ShotName:
    """One shot: all cameras fire at once, so its pictures share the face."""

    identity: int
    expression: str
    gaze: str

    def picture(self, camera: int, placement: Placement = "aligned") -> str:
        """Name of the picture that `camera` takes, without suffix: its face_id."""
        return picture_name(f"{self.identity:03d}", self.expression, camera, self.gaze, placement)

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
        from benchmark.rendering.anatomy import anatomy
        from benchmark.rendering.figure import Workshop
        from benchmark.rendering.studio import Studio

        self.settings = settings
        self.workshop: Workshop = Workshop(anatomy())
        self.studio: Studio = Studio(self.workshop)
        self._sitter: Sitter | None = None

    def sitter(self, index: int) -> Sitter:
        """Identity `index`, dressed and ready."""
        from benchmark.rendering.identity import draw_identity

        if self._sitter is None or self._sitter.who.index != index:
            self._sitter = self.workshop.sit(draw_identity(self.settings.seed, index, self.workshop.body.local_changes))
            self.studio.dress(self._sitter)
        return self._sitter

    def take(self, shot: ShotName) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """The pictures of a shot, one per camera and placement, each with its row of the face table."""
        import numpy as np

        from benchmark.rendering.facs import CONTEMPT_SIDE, Side, draw

        sitter = self.sitter(shot.identity)
        rng = shot.generator(self.settings.seed, 2)
        units = draw(shot.expression, rng)
        turn, nod = np.clip(rng.normal(0, TURN_SPREAD, 2), -2 * TURN_SPREAD, 2 * TURN_SPREAD)
        one_sided: dict[str, Side] = {"AU14_r": CONTEMPT_SIDE} if shot.expression == "contemptuous" else {}
        pose = sitter.pose(units, one_sided, shot.gaze)
        self.studio.arrange(pose)
        for camera, placement in self.settings.views:
            view = self.studio.projection(sitter, camera - 90, self.settings.size, (float(turn), float(nod)))
            if placement != "aligned":
                view = view.framed(draw_framing(placement, self.settings.seed, shot.identity, camera, shot.gaze))
            purpose = 1000 * (1 + PLACEMENTS.index(placement)) + camera
            seed = int(shot.generator(self.settings.seed, purpose).integers(1 << 31))
            picture = self.studio.photograph(view, seed)
            points = view(pose.landmarks)
            visible = self.studio.sees(view, pose.landmarks, pose.landmark_normals)
            if placement != "aligned":
                visible = visible & view.inside(points)
            row = {
                "face_id": shot.picture(camera, placement),
                "identity": sitter.who.name,
                "group": sitter.who.group,
                "expression": shot.expression,
                "camera": camera,
                "gaze": shot.gaze,
                **units,
                "landmarks": [float(np.float32(value)) for value in points.ravel()],
                "visible": [bool(value) for value in visible],
            }
            yield picture, row if self.settings.placements == ALIGNED else {**row, "placement": placement}
