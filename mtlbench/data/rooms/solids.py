"""The three solids that furniture is made of: ray intersections and surface normals.

Points, origins and directions are arrays [3, ...] that broadcast against each other. Distances count in
multiples of the direction, which need not have length one.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""Always float32 here; NumPy's annotations lose that in sums with plain numbers."""

NEAR = np.float32(1e-3)
"""Closer hits are on the surface from which the ray starts."""

MISS = np.float32(np.inf)


class Solid(Protocol):
    """A closed surface."""

    def distance(self, origin: Array, direction: Array) -> Array:
        """Multiple of `direction` at which the ray enters, infinite where it misses; [...] float32."""
        ...

    def normal(self, points: Array) -> Array:
        """Outward unit normals [3, N] at points [3, N] of the surface."""
        ...

    def texture_frame(self, points: Array) -> Array:
        """The points in axes that turn with the solid, [3, N] in metres."""
        ...

    def bound(self) -> tuple[tuple[float, float, float], float]:
        """Centre and radius of a ball around it."""
        ...


def nonzero(values: Array) -> Array:
    """The values with those too small to divide by replaced."""
    return np.where(np.abs(values) < 1e-7, np.float32(1e-7), values)


def _column(*values: float) -> Array:
    return np.array(values, np.float32)


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: tuple[float, float, float]
    radius: float

    def distance(self, origin: Array, direction: Array) -> Array:
        """Nearer root of the quadratic."""
        x, y, z = (origin[i] - np.float32(self.centre[i]) for i in range(3))
        dx, dy, dz = direction
        a = dx * dx + dy * dy + dz * dz
        b = x * dx + y * dy + z * dz
        c = x * x + y * y + z * z - np.float32(self.radius**2)
        root = b * b - a * c
        t = (-b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (t > NEAR), t, MISS)

    def normal(self, points: Array) -> Array:
        """Away from the centre."""
        return _unit(self.texture_frame(points))

    def texture_frame(self, points: Array) -> Array:
        """Relative to the centre."""
        return points - _column(*self.centre)[:, None]

    def bound(self) -> tuple[tuple[float, float, float], float]:
        """The ball itself."""
        return self.centre, self.radius


@dataclass(frozen=True)
class Box:
    """A box with half edges `half`, turned by `yaw` about the vertical."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float = 0.0

    def distance(self, origin: Array, direction: Array) -> Array:
        """Slab method in the box's own axes."""
        shifted = (origin[i] - np.float32(self.centre[i]) for i in range(3))
        enter: Array = np.array(-MISS)
        leave: Array = np.array(MISS)
        for o, d, half in zip(self._turn(*shifted), self._turn(*direction), self.half, strict=True):
            inverse = 1 / nonzero(d)
            middle, reach = -o * inverse, np.abs(np.float32(half) * inverse)
            enter, leave = np.maximum(enter, middle - reach), np.minimum(leave, middle + reach)
        return np.where((enter <= leave) & (enter > NEAR), enter, MISS)

    def normal(self, points: Array) -> Array:
        """Normal of the nearest face."""
        local = self.texture_frame(points)
        axis = np.argmin(_column(*self.half)[:, None] - np.abs(local), axis=0)
        face = np.where(np.arange(3)[:, None] == axis, np.sign(local), np.float32(0))
        x, y, z = face
        c, s = np.float32(math.cos(self.yaw)), np.float32(math.sin(self.yaw))
        return np.stack([c * x - s * y, s * x + c * y, z])

    def texture_frame(self, points: Array) -> Array:
        """The box's own axes."""
        return np.stack(self._turn(*(points - _column(*self.centre)[:, None])))

    def bound(self) -> tuple[tuple[float, float, float], float]:
        """Through the corners."""
        return self.centre, math.hypot(*self.half)

    def _turn(self, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
        c, s = np.float32(math.cos(self.yaw)), np.float32(math.sin(self.yaw))
        return c * x + s * y, c * y - s * x, z


@dataclass(frozen=True)
class Frustum:
    """An upright cylinder or truncated cone that stands on `base` with radii `bottom` and `top`."""

    base: tuple[float, float, float]
    height: float
    bottom: float
    top: float

    def distance(self, origin: Array, direction: Array) -> Array:
        """Nearest of the two crossings with the cone and the two with the lids."""
        x, y, z = (origin[i] - np.float32(self.base[i]) for i in range(3))
        dx, dy, dz = direction
        slope = np.float32((self.top - self.bottom) / self.height)
        radius = np.float32(self.bottom) + slope * z
        a = nonzero(dx * dx + dy * dy - slope * slope * dz * dz)
        b = x * dx + y * dy - slope * radius * dz
        root = b * b - a * (x * x + y * y - radius * radius)
        spread = np.sqrt(np.maximum(root, 0))
        best = np.full(np.shape(root), MISS)
        for t in ((-b - spread) / a, (-b + spread) / a):
            at = z + t * dz
            good = (root > 0) & (t > NEAR) & (at >= 0) & (at <= np.float32(self.height))
            best = np.where(good & (t < best), t, best)
        for level, lid in ((0.0, self.bottom), (self.height, self.top)):
            t = (np.float32(level) - z) / nonzero(dz)
            inside = (x + t * dx) ** 2 + (y + t * dy) ** 2 <= np.float32(lid**2)
            best = np.where(inside & (t > NEAR) & (t < best), t, best)
        return best

    def normal(self, points: Array) -> Array:
        """Normal of the lid or the mantle, whichever is nearer."""
        x, y, z = self.texture_frame(points)
        slope = np.float32((self.top - self.bottom) / self.height)
        radius = np.float32(self.bottom) + slope * z
        mantle = _unit(np.stack([x, y, -slope * radius]))
        below, above = np.abs(z), np.abs(z - np.float32(self.height))
        lid = np.minimum(below, above) < np.abs(np.sqrt(x * x + y * y) - radius)
        up = np.where(above < below, np.float32(1), np.float32(-1))
        flat = np.stack([np.zeros_like(up), np.zeros_like(up), up])
        return np.where(lid, flat, mantle)

    def texture_frame(self, points: Array) -> Array:
        """Relative to the middle of the base."""
        return points - _column(*self.base)[:, None]

    def bound(self) -> tuple[tuple[float, float, float], float]:
        """Through the wider rim."""
        x, y, z = self.base
        return (x, y, z + self.height / 2), math.hypot(self.height / 2, max(self.bottom, self.top))


def _unit(vectors: Array) -> Array:
    x, y, z = vectors
    return vectors / np.sqrt(x * x + y * y + z * z)
