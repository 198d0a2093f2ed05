"""Settings of a rendered set, names of its shots and pictures, and the renderer of a shot.

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

    from benchmark.rendering.head import Head, HeadBuilder
    from benchmark.rendering.scene import Scene

RENDERER = 2
"""Version of the pictures: raised when the same settings give other pictures, so that a set never mixes two."""
TURN_SPREAD = 1.2
"""Degrees (standard deviation) of a shot's small turn and nod of the head."""


@dataclass(frozen=True)
class SetSettings:
    """Settings that determine a set's bytes."""

    identities: int
    size: int
    cameras: tuple[int, ...]
    gazes: tuple[str, ...]
    seed: int
    renderer: int = RENDERER
    placements: tuple[Placement, ...] = ALIGNED
    only: tuple[int, ...] = ()
    """Numbers of the identities to render; all where it is empty."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the set's identities."""
        return self.only or tuple(range(self.identities))

    @property
    def views(self) -> tuple[tuple[int, Placement], ...]:
        """Camera and placement of each picture of a shot."""
        return tuple((camera, placement) for camera in self.cameras for placement in self.placements)

    def pictures(self) -> int:
        """Return the number of pictures."""
        return len(self.numbers) * len(EXPRESSIONS) * len(self.views) * len(self.gazes)

    def record(self) -> dict[str, Any]:
        """Return what `settings.json` stores; placements and `only` are left out where they are the defaults."""
        kept = asdict(self)
        if self.placements == ALIGNED:
            del kept["placements"]
        if not self.only:
            del kept["only"]
        return kept


def picture_name(identity: str, expression: str, camera: int, gaze: str, placement: Placement = "aligned") -> str:
    """Return a picture's name: `003_happy_090_frontal`, `003_happy_090_frontal_off`."""
    placed = "" if placement == "aligned" else f"_{placement}"
    return f"{identity}_{expression}_{camera:03d}_{gaze}{placed}"


@dataclass(frozen=True)
class ShotName:
    """Name of a shot: one moment of one identity, seen by all cameras at once."""

    identity: int
    expression: str
    gaze: str

    def picture(self, camera: int, placement: Placement = "aligned") -> str:
        """Return the face_id of the picture of a camera and placement."""
        return picture_name(f"{self.identity:03d}", self.expression, camera, self.gaze, placement)

    @property
    def record(self) -> str:
        """Name of the file that stores the shot's rows until the table is written."""
        return f"{self.identity:03d}_{self.expression}_{self.gaze}.json"

    def generator(self, seed: int, purpose: int) -> np.random.Generator:
        """Return a random generator that depends on the shot, the set's seed and a purpose only."""
        import numpy as np

        return np.random.default_rng(
            [seed, purpose, self.identity, EXPRESSIONS.index(self.expression), GAZES.index(self.gaze)]
        )


class ShotRenderer:
    """Renders shots. Holds the scene and the current head; one per process."""

    def __init__(self, settings: SetSettings) -> None:
        from benchmark.rendering.anatomy import anatomy
        from benchmark.rendering.head import HeadBuilder
        from benchmark.rendering.scene import Scene

        self.settings = settings
        self.builder: HeadBuilder = HeadBuilder(anatomy())
        self.scene: Scene = Scene(self.builder)
        self._head: Head | None = None

    def head(self, index: int) -> Head:
        """Return the head of identity `index`, with its textures in the scene."""
        from benchmark.rendering.identity import draw_identity

        if self._head is None or self._head.who.index != index:
            self._head = self.builder.build(draw_identity(self.settings.seed, index, self.builder.body.local_changes))
            self.scene.set_head(self._head)
        return self._head

    def render(self, shot: ShotName) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Render a shot: for each camera and placement the picture (S x S x 3) and its row of the face table."""
        import numpy as np

        from benchmark.rendering.facs import CONTEMPT_SIDE, Side, draw

        head = self.head(shot.identity)
        rng = shot.generator(self.settings.seed, 2)
        units = draw(shot.expression, rng)
        turn, nod = np.clip(rng.normal(0, TURN_SPREAD, 2), -2 * TURN_SPREAD, 2 * TURN_SPREAD)
        one_sided: dict[str, Side] = {"AU14_r": CONTEMPT_SIDE} if shot.expression == "contemptuous" else {}
        pose = head.pose(units, one_sided, shot.gaze)
        self.scene.set_pose(pose)
        for camera, placement in self.settings.views:
            view = self.scene.projection(head, camera - 90, self.settings.size, (float(turn), float(nod)))
            if placement != "aligned":
                view = view.framed(draw_framing(placement, self.settings.seed, shot.identity, camera, shot.gaze))
            purpose = 1000 * (1 + PLACEMENTS.index(placement)) + camera
            seed = int(shot.generator(self.settings.seed, purpose).integers(1 << 31))
            picture = self.scene.render(view, seed)
            points = view(pose.landmarks)
            visible = self.scene.visible(view, pose.landmarks, pose.landmark_normals)
            if placement != "aligned":
                visible = visible & view.inside(points)
            row = {
                "face_id": shot.picture(camera, placement),
                "identity": head.who.name,
                "group": head.who.group,
                "expression": shot.expression,
                "camera": camera,
                "gaze": shot.gaze,
                **units,
                "landmarks": [float(np.float32(value)) for value in points.ravel()],
                "visible": [bool(value) for value in visible],
            }
            yield picture, row if self.settings.placements == ALIGNED else {**row, "placement": placement}
