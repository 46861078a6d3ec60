"""Cast one ray through each pixel of a `Scene`, then shade the hit surfaces."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.rooms.scene import CLASS_ID, Camera, Material, Scene
from mtlbench.data.rooms.solids import NEAR, Array, Solid, nonzero
from mtlbench.data.rooms.textures import PATTERNS

_FACE_CLASS = ("wall", "wall", "wall", "wall", "floor", "ceiling")


@dataclass(frozen=True)
class View:
    """A camera with a grid of square pixels, the optical axis in the middle."""

    camera: Camera
    height: int
    width: int

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(self.camera.fov / 2)

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: the camera's right, down and forward directions in the world, unit length."""
        c, s = math.cos(self.camera.yaw), math.sin(self.camera.yaw)
        cp, sp = math.cos(self.camera.pitch), math.sin(self.camera.pitch)
        return np.array([[s, -c, 0.0], [sp * c, sp * s, -cp], [cp * c, cp * s, sp]])

    def rays(self) -> Array:
        """Directions [3, H, W] with forward component 1, so a multiple of one is a z-depth in metres."""
        across = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        down = (np.arange(self.height) + 0.5 - self.height / 2) / self.focal
        r, d, f = self.axes
        rays = [f[i] + r[i] * across[None, :] + d[i] * down[:, None] for i in range(3)]
        return np.stack(rays).astype(np.float32)

    def window(self, solid: Solid) -> tuple[slice, slice]:
        """Rows and columns that the solid can possibly touch."""
        centre, radius = solid.bound()
        offset = [centre[i] - self.camera.position[i] for i in range(3)]
        x, y, z = (sum(axis[i] * offset[i] for i in range(3)) for axis in self.axes)
        near, far = z - radius, z + radius
        if near <= 0.05:
            return slice(None), slice(None)
        spans = []
        for value, length in ((y, self.height), (x, self.width)):
            low = min((value - radius) / near, (value - radius) / far) * self.focal + length / 2
            high = max((value + radius) / near, (value + radius) / far) * self.focal + length / 2
            spans.append(slice(max(0, math.floor(low)), max(0, math.ceil(high) + 1)))
        return spans[0], spans[1]


class Hits(NamedTuple):
    """The first hit of each ray.

    Attributes:
        depth: [H, W] float32 z-depth in metres.
        normal: [3, H, W] float32 unit normals in the world.
        label: [H, W] uint8 class ids.
        surface: [H, W] uint8 position in `materials(scene)`.
        point: [3, H, W] float32 world coordinates.
        frame: [3, H, W] float32 the point in the axes of the solid that was hit.
    """

    depth: Array
    normal: Array
    label: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    point: Array
    frame: Array


def materials(scene: Scene) -> list[Material]:
    """Faces, then patches, then things: what `Hits.surface` counts."""
    return [*scene.faces, *(p.material for p in scene.patches), *(t.material for t in scene.things)]


def trace(scene: Scene, view: View) -> Hits:
    """Geometry and classes; nothing here depends on materials or light."""
    rays = view.rays()
    eye = np.array(scene.camera.position, np.float32)[:, None, None]
    depth, face = _walls(scene, rays)
    label = np.array([CLASS_ID[name] for name in _FACE_CLASS], np.uint8)[face]
    point = eye + depth * rays
    surface = face.copy()
    axis = face // 2
    normal = np.where(np.arange(3)[:, None, None] == axis, -np.sign(rays), np.float32(0))
    _patches(scene, face, point, label, surface)
    frame = point.copy()
    for number, thing in enumerate(scene.things, start=len(scene.faces) + len(scene.patches)):
        rows, columns = view.window(thing.solid)
        t = thing.solid.distance(eye, rays[:, rows, columns])
        hit = t < depth[rows, columns]
        if not hit.any():
            continue
        at = eye[:, :, 0] + t[hit] * rays[:, rows, columns][:, hit]
        depth[rows, columns][hit] = t[hit]
        label[rows, columns][hit] = CLASS_ID[thing.label]
        surface[rows, columns][hit] = number
        point[:, rows, columns][:, hit] = at
        normal[:, rows, columns][:, hit] = thing.solid.normal(at)
        frame[:, rows, columns][:, hit] = thing.solid.texture_frame(at)
    return Hits(depth, normal, label, surface, point, frame)


def _walls(scene: Scene, rays: Array) -> tuple[Array, NDArray[np.uint8]]:
    """Distance to the room's own faces and which face it is (2 * axis + far side)."""
    reach = []
    for axis in range(3):
        d = nonzero(rays[axis])
        eye = np.float32(scene.camera.position[axis])
        reach.append((np.where(d > 0, np.float32(scene.size[axis]), np.float32(0)) - eye) / d)
    distance = np.stack(reach)
    axis = np.argmin(distance, axis=0)
    far = np.take_along_axis(rays, axis[None], axis=0)[0] > 0
    return distance.min(axis=0), (2 * axis + far).astype(np.uint8)


def _patches(
    scene: Scene, face: NDArray[np.uint8], point: Array, label: NDArray[np.uint8], surface: NDArray[np.uint8]
) -> None:
    """Overwrite label and surface where a patch is painted on the face that was hit."""
    for number, patch in enumerate(scene.patches, start=len(scene.faces)):
        u, v = (point[axis] for axis in range(3) if axis != patch.face // 2)
        inside = (u >= patch.low[0]) & (u <= patch.high[0]) & (v >= patch.low[1]) & (v <= patch.high[1])
        inside &= face == patch.face
        label[inside] = CLASS_ID[patch.label]
        surface[inside] = number


def camera_normals(hits: Hits, view: View) -> Array:
    """Unit normals [3, H, W] in the camera's axes: x right, y down, z away."""
    x, y, z = hits.normal
    turned = [axis[0] * x + axis[1] * y + axis[2] * z for axis in view.axes.astype(np.float32)]
    return np.stack(turned)


def shade(scene: Scene, view: View, hits: Hits) -> tuple[Array, Array]:
    """Albedo and light, whose product reaches the camera; both linear [3, H, W].

    The light is ambient, one point light with shadows, glow.
    """
    lamp = np.array(scene.light.position, np.float32)[:, None, None]
    to_light = lamp - hits.point
    squared = (to_light * to_light)[0] + (to_light * to_light)[1] + (to_light * to_light)[2]
    facing = sum(to_light[i] * hits.normal[i] for i in range(3)) / np.sqrt(squared)
    direct = np.maximum(facing, 0) / (1 + squared / np.float32(9.0))
    direct = np.where(_shadow(scene, hits, to_light), np.float32(0), direct)
    albedo, glow = _paint(scene, view, hits)
    colour = np.array(scene.light.colour, np.float32)[:, None, None]
    light = np.float32(scene.light.ambient) + np.float32(scene.light.strength) * colour * direct
    return albedo, light + glow


def _shadow(scene: Scene, hits: Hits, to_light: Array) -> NDArray[np.bool_]:
    """Whether a thing stands between a point and the light."""
    start = hits.point + np.float32(5) * NEAR * hits.normal
    dark = np.zeros(hits.depth.shape, np.bool_)
    for thing in scene.things:
        dark |= thing.solid.distance(start, to_light) < 1
    return dark


def _paint(scene: Scene, view: View, hits: Hits) -> tuple[Array, Array]:
    """Albedo [3, H, W] and glow [H, W] of the surfaces' materials."""
    albedo = np.empty_like(hits.point)
    glow = np.empty_like(hits.depth)
    surface, depth = hits.surface.ravel(), hits.depth.ravel()
    frame, normal = hits.frame.reshape(3, -1), hits.normal.reshape(3, -1)
    for number, material in enumerate(materials(scene)):
        here = np.flatnonzero(surface == number)
        if not here.size:
            continue
        period = np.float32(material.period)
        u, v = _unroll(frame[:, here], normal[:, here])
        u, v = (c / period + np.float32(o) for c, o in zip((u, v), material.offset, strict=True))
        width = depth[here] / (np.float32(view.focal) * period)
        mix = PATTERNS[material.pattern](u, v, width, material.noise_seed)
        for channel, (first, second) in enumerate(zip(*material.colours, strict=True)):
            tone = np.float32(first) + np.float32(second - first) * mix
            albedo[channel].ravel()[here] = tone * tone
        glow.ravel()[here] = material.glow
    return albedo, glow


def _unroll(points: Array, normal: Array) -> tuple[Array, Array]:
    """Two texture coordinates in metres: the two axes that the surface faces least; upright on walls."""
    x, y, z = points
    nx, ny, nz = np.abs(normal)
    flat = (nz >= nx) & (nz >= ny)
    return np.where((nx > ny) & ~flat, y, x), np.where(flat, y, z)
