"""Shapes by their signed distance: negative inside, positive outside, in half short sides of the image.

Points are two arrays, x to the right and y down from the image's centre.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = tuple[float, float]

EMPTY = 9.0
"""A distance beyond all that an image shows."""


class Shape(Protocol):
    """What has an inside."""

    def distance(self, x: Array, y: Array) -> Array:
        """Signed distance of each point, or a bound of it far outside."""


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    centre: Point
    radius: float

    def distance(self, x: Array, y: Array) -> Array:
        """See `Shape`."""
        return length(x - np.float32(self.centre[0]), y - np.float32(self.centre[1])) - np.float32(self.radius)


@dataclass(frozen=True)
class Bar:
    """A rectangle with round corners.

    Attributes:
        centre: of the rectangle.
        half: half width and half height.
        turn: cosine and sine of the angle between its width and the x axis.
        corner: radius of the corners.
    """

    centre: Point
    half: Point
    turn: Point = (1.0, 0.0)
    corner: float = 0.0

    def distance(self, x: Array, y: Array) -> Array:
        """See `Shape`."""
        u, v = turned(x - np.float32(self.centre[0]), y - np.float32(self.centre[1]), self.turn)
        across = np.abs(u) - np.float32(self.half[0] - self.corner)
        along = np.abs(v) - np.float32(self.half[1] - self.corner)
        outside = length(np.maximum(across, 0), np.maximum(along, 0))
        return outside + np.minimum(np.maximum(across, along), 0) - np.float32(self.corner)


def length(x: Array, y: Array) -> Array:
    """Of vectors."""
    return np.sqrt(x * x + y * y)


def turned(x: Array, y: Array, turn: Point) -> tuple[Array, Array]:
    """Coordinates along an axis of this direction (cosine, sine), and across."""
    cosine, sine = np.float32(turn[0]), np.float32(turn[1])
    return cosine * x + sine * y, cosine * y - sine * x


def direction(share: float) -> Point:
    """The unit vector at a share of a full turn."""
    return math.cos(2 * math.pi * share), math.sin(2 * math.pi * share)


def union(shapes: tuple[Shape, ...], x: Array, y: Array) -> Array:
    """Distance of what any of the shapes covers."""
    found = np.full_like(x, EMPTY)
    for shape in shapes:
        found = np.minimum(found, shape.distance(x, y))
    return found
