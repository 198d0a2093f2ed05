"""Mitsuba scene, built once and updated in place: its lights and cameras, rendering and denoising.

Pictures are traced at twice their size with few samples, divided by the surface colour, smoothed along the surface
(an edge-avoiding a-trous filter; Dammertz et al., 2010) and multiplied by the colour again. Light varies smoothly along
a surface, so this removes noise and keeps edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.rendering.anatomy import Array
from benchmark.rendering.head import PARTS, TEXTURED, Head, HeadBuilder, Pose
from benchmark.rendering.landmarks import Projection

CAMERA_DISTANCE = 1.4
"""Metres from the camera to its target: the perspective of a portrait."""
AIM_BACK = ((0, 45, 90), (0.0, 0.185, 0.06))
"""How far behind the eyes the picture's middle is, in picture heights, by the camera's yaw (degrees to either side):
the landmarks, from the nose to the near end of the jaw, are centred."""
SUPERSAMPLING = 2
SAMPLES = 4
BLOCK = 32
"""Side of the blocks that Mitsuba renders. Blocks have seeds, so their size is fixed, and so is the number of threads
(one a process), which it would follow.
"""
ROUNDS = 3
"""Rounds of the smoothing filter; each doubles its reach."""
BACKGROUND = 0.86
AMBIENT = 0.46


@dataclass(frozen=True)
class Lamp:
    """Square area light: azimuth (positive: the subject's left) and elevation in degrees, half its side in metres."""

    azimuth: float
    elevation: float
    half: float
    power: float


LAMPS = (Lamp(-32, 38, 0.55, 5.9), Lamp(30, 4, 0.6, 2.1), Lamp(150, 40, 0.5, 2.0))
"""Key light, fill light, and a light from behind that separates dark hair from the wall."""

TWO_SIDED = ("lashes", "hanging")
ROUGHNESS = {
    "torso": 0.6,
    "inside": 0.35,
    "mouth": 0.2,
    "right_eye": 0.06,
    "left_eye": 0.06,
    "lashes": 0.6,
    "bun": 0.5,
    "hanging": 0.6,
}
SPECULAR = {
    "face": 0.36,
    "torso": 0.2,
    "inside": 0.4,
    "mouth": 0.5,
    "right_eye": 0.6,
    "left_eye": 0.6,
    "lashes": 0.1,
    "bun": 0.3,
    "hanging": 0.25,
}


def direction(azimuth: float, elevation: float) -> Array:
    """Unit vector for angles in degrees; azimuth 0 is before the face, 90 at the subject's left."""
    a, e = np.radians([azimuth, elevation])
    return np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


class Scene:
    """Mitsuba scene: `set_head` sets an identity's textures, `set_pose` a shot's geometry, `render` makes a picture."""

    def __init__(self, builder: HeadBuilder) -> None:
        import drjit
        import mitsuba as mi

        mi.set_variant("scalar_rgb")
        mi.set_log_level(mi.LogLevel.Error)
        drjit.set_thread_count(1)
        self._mi: Any = mi
        self._workshop = builder
        self._sensors: dict[int, Any] = {}
        meshes = {name: self._mesh(name) for name in PARTS}
        integrator = {"type": "path", "max_depth": 2, "hide_emitters": True}
        scene: dict[str, Any] = {
            "type": "scene",
            "integrator": {
                "type": "aov",
                "aovs": "albedo:albedo,normal:sh_normal,depth:depth",
                "block_size": BLOCK,
                "image": integrator,
            },
            "room": {"type": "constant", "radiance": {"type": "rgb", "value": AMBIENT}},
            **meshes,
        }
        # Lamps and meshes are passed as objects: load_dict orders what it makes itself differently in each process, and
        # the order decides which sample goes to which lamp.
        for i, lamp in enumerate(LAMPS):
            pose = self._look_at(2.0 * direction(lamp.azimuth, lamp.elevation), np.zeros(3))
            light = {"type": "area", "radiance": {"type": "rgb", "value": lamp.power}}
            box = {"type": "rectangle", "to_world": pose @ mi.ScalarTransform4f().scale(lamp.half), "emitter": light}
            scene[f"lamp{i}"] = mi.load_dict({**box, "id": f"lamp{i}"})
        self._mitsuba_scene = mi.load_dict(scene, parallel=False)
        order = [shape.id() for shape in self._mitsuba_scene.shapes()]
        if order != [*PARTS, *(f"lamp{i}" for i in range(len(LAMPS)))]:
            raise RuntimeError(f"Mitsuba ordered the scene as {order}: pictures would not repeat")
        self._parameters = mi.traverse(self._mitsuba_scene)

    def _look_at(self, origin: Array, target: Array, up: Sequence[float] = (0, 0, 1)) -> Any:
        transform = self._mi.ScalarTransform4f()
        return transform.look_at(origin=[float(v) for v in origin], target=[float(v) for v in target], up=list(up))

    def _mesh(self, name: str) -> Any:
        mi, builder = self._mi, self._workshop
        triangles = builder.triangles[name]
        vertices = len(builder.texcoords[name] if name in TEXTURED else builder.colours[name])
        colour: dict[str, Any] = {"type": "mesh_attribute", "name": "vertex_color"}
        if name in TEXTURED:
            blank = mi.Bitmap(np.full(builder.texture_shapes[name], 0.5, np.float32))
            colour = {"type": "bitmap", "bitmap": blank, "raw": True, "wrap_mode": "clamp"}
        roughness: Any = ROUGHNESS.get(name)
        if name == "face":
            blank = mi.Bitmap(np.full((*builder.texture_shapes[name][:2], 1), 0.5, np.float32))
            roughness = {"type": "bitmap", "bitmap": blank, "raw": True, "wrap_mode": "clamp"}
        material = {
            "type": "principled",
            "base_color": colour,
            "roughness": roughness,
            "specular": SPECULAR[name],
        }
        properties = mi.Properties()
        properties["mesh_bsdf"] = mi.load_dict(
            {"type": "twosided", "material": material} if name in TWO_SIDED else material
        )
        mesh = mi.Mesh(
            name,
            vertices,
            len(triangles),
            has_vertex_normals=True,
            has_vertex_texcoords=name in TEXTURED,
            props=properties,
        )
        parameters = mi.traverse(mesh)
        parameters["faces"] = np.ascontiguousarray(triangles, np.uint32).ravel()
        parameters["vertex_positions"] = np.zeros(3 * vertices, np.float32)
        parameters["vertex_normals"] = np.tile(np.array([0, 0, 1], np.float32), vertices)
        if name in TEXTURED:
            parameters["vertex_texcoords"] = np.ascontiguousarray(builder.texcoords[name], np.float32).ravel()
        else:
            mesh.add_attribute("vertex_color", 3, np.ascontiguousarray(builder.colours[name], np.float32).ravel())
        parameters.update()
        return mesh

    def set_head(self, head: Head) -> None:
        """Set the textures of a head."""
        for name, texture in head.textures.items():
            self._parameters[f"{name}.bsdf.{'brdf_0.' * (name in TWO_SIDED)}base_color.data"] = self._mi.TensorXf(
                np.ascontiguousarray(texture, np.float32)
            )
        self._parameters["face.bsdf.roughness.data"] = self._mi.TensorXf(
            np.ascontiguousarray(head.roughness, np.float32)
        )
        self._parameters.update()

    def set_pose(self, shot: Pose) -> None:
        """Set the geometry of a shot."""
        for name, part in shot.parts.items():
            for key, values in (("vertex_positions", part.points), ("vertex_normals", part.normals)):
                self._parameters[f"{name}.{key}"] = np.ascontiguousarray(values, np.float32).ravel()
                # Mitsuba ignores equal values, and recomputes normals that are not updated with the positions: the
                # picture would depend on the one before it.
                self._parameters.set_dirty(f"{name}.{key}")
        self._parameters.update()

    def projection(self, head: Head, yaw: float, size: int, turn: tuple[float, float] = (0.0, 0.0)) -> Projection:
        """Make the camera at `yaw` degrees (0: frontal, positive: the subject's left) of a head.

        turn: the head's small turn and nod in degrees. The camera is CAMERA_DISTANCE from its target.
        """
        target = np.array([0.0, float(np.interp(abs(yaw), *AIM_BACK)) * head.frame, head.middle])
        origin = target + CAMERA_DISTANCE * direction(yaw - turn[0], turn[1])
        return Projection(origin, target, head.frame, size)

    def render(self, camera: Projection, seed: int) -> NDArray[np.uint8]:
        """Render a picture, size x size x 3 in sRGB; `seed` draws the samples."""
        mi = self._mi
        side = camera.size * SUPERSAMPLING
        field = 2 * np.degrees(np.arctan(camera.width / 2 / CAMERA_DISTANCE))
        # The camera's own axis differs from the vertical in its last bits.
        up = [float(value) for value in camera.axes()[2]] if camera.roll else (0, 0, 1)
        sensor = mi.load_dict(
            {
                "type": "perspective",
                "fov": float(field),
                "to_world": self._look_at(camera.origin, camera.target, up),
                "film": {
                    "type": "hdrfilm",
                    "width": side,
                    "height": side,
                    "pixel_format": "rgba",
                    "rfilter": {"type": "box"},
                },
                "sampler": {"type": "multijitter", "sample_count": SAMPLES},
            }
        )
        layers = np.array(mi.render(self._mitsuba_scene, sensor=sensor, seed=seed), np.float32)
        return denoise(layers)

    def visible(self, camera: Projection, points: Array, normals: Array) -> NDArray[np.bool_]:
        """Return which points of the skin (N x 3, with outward normals) face the camera and are not occluded."""
        mi = self._mi
        visible = np.zeros(len(points), bool)
        for i, (point, normal) in enumerate(zip(points, normals, strict=True)):
            back = camera.origin - point
            distance = float(np.linalg.norm(back))
            back = back / distance
            if normal @ back < GRAZING:
                continue
            ray = mi.Ray3f(o=[float(v) for v in camera.origin], d=[float(-v) for v in back])
            hit = self._mitsuba_scene.ray_intersect_preliminary(ray)
            visible[i] = not hit.is_valid() or float(hit.t) > distance - CLEARANCE
        return visible


CLEARANCE = 0.012
"""Metres that a landmark may lie behind the first surface: lashes, hair and brows are raised above the skin."""
GRAZING = -0.1
"""Least cosine between a landmark's normal and the direction to the camera: in profile the middle line is visible."""


def smooth(light: NDArray[np.float32], guide: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth H x W x 3 `light` by edge-avoiding a-trous wavelets (Dammertz et al., 2010).

    guide: H x W x K features of the surface, scaled so that a difference of 1 is an edge. weights: H x W.
    """
    height, width = light.shape[:2]
    for step in (2**i for i in range(ROUNDS)):
        total = light * weights[..., None] * 0.25
        norm = weights * 0.25
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                if not (dy or dx):
                    continue
                here = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
                there = np.s_[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
                far = ((guide[here] - guide[there]) ** 2).sum(-1)
                share = np.exp(-far) * weights[there] * (0.125 if dy == 0 or dx == 0 else 0.0625)
                total[here] += light[there] * share[..., None]
                norm[here] += share
        light = total / np.maximum(norm, 1e-8)[..., None]
    return light


def denoise(layers: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn traced layers (RGB, alpha, albedo, normal, depth; twice the size) into the sRGB picture, S x S x 3."""
    colour, alpha, albedo, normal, depth = (layers[..., a:b] for a, b in ((0, 3), (3, 4), (4, 7), (7, 10), (10, 11)))
    base = albedo + 0.02 * alpha + 1e-4
    cover = np.maximum(alpha, 1e-3)
    traits = normal / cover * 3.2, depth / cover * 40, alpha * 2, np.log(base / cover) * 0.9
    guide = np.concatenate(traits, -1).astype(np.float32)
    light = smooth((colour / base).astype(np.float32), guide, cover[..., 0])
    picture = light * base
    side = picture.shape[0]
    across = np.linspace(-1, 1, side, dtype=np.float32)
    wall = (
        BACKGROUND * (1 - 0.10 * (across[:, None] ** 2 + across[None, :] ** 2) / 2) - 0.05 * (across[:, None] + 1) / 2
    )
    picture = picture + (1 - alpha) * wall[..., None] ** 2.2
    half = picture.reshape(side // SUPERSAMPLING, SUPERSAMPLING, side // SUPERSAMPLING, SUPERSAMPLING, 3).mean((1, 3))
    half = np.clip(half, 0, 1)
    encoded = np.where(half <= 0.0031308, 12.92 * half, 1.055 * half ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.uint8)
