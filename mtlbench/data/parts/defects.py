"""Defects of a part: kind, place, severity, and effect on the reflected light.

A defect of severity s in [`LEAST`, 1] grows in size and in contrast with s; a good part has severity 0.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from mtlbench.data.parts.part import Part, between
from mtlbench.data.parts.shapes import Array, Bar, Point, direction, length, turned
from mtlbench.data.rooms.textures import value_noise

LEAST = 0.2
"""Severity of the slightest defect."""

PLACES = 96
"""Number of places to try; the first at which the defect is entirely on the part is used."""


@dataclass(frozen=True)
class Look:
    """The effect of a defect on N points of the metal.

    Attributes:
        covered: share of the point that is defective, 0..1; the mask is where it is above a half.
        factor: [3, N] on the brightness of the metal, where it is covered or not.
    """

    covered: Array
    factor: Array


class Defect(ABC):
    """Severity, place and direction; in the part's coordinates.

    Args:
        severity: in [`LEAST`, 1].
        place: its centre.
        turn: its direction, cosine and sine.
        seed: of its outline.
    """

    def __init__(self, severity: float, place: Point, turn: Point, seed: int) -> None:
        self.severity, self.place, self.turn, self.seed = severity, place, turn, seed

    @staticmethod
    @abstractmethod
    def reach(severity: float) -> float:
        """Radius of the surface that it needs around its centre."""

    @abstractmethod
    def look(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """What it does.

        Args:
            u: coordinates along `turn`, from the centre, [N].
            v: across.
            pixel: side of a pixel.
            light: unit vector of the light in (u, v).
        """

    def seen(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """`look` for points in the part's coordinates."""
        along, across = turned(u - np.float32(self.place[0]), v - np.float32(self.place[1]), self.turn)
        cosine, sine = self.turn
        own = (cosine * light[0] + sine * light[1], cosine * light[1] - sine * light[0])
        return self.look(along, across, pixel, own)


class Scratch(Defect):
    """A straight line that shines, with a dark flank."""

    @staticmethod
    def reach(severity: float) -> float:
        """It may run over an edge."""
        return 0.1

    def look(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """See `Defect.look`."""
        s = self.severity
        half = 0.035 + 0.025 * s
        line = Bar((0, 0), (0.22 + 0.38 * s, half), corner=half)
        covered = cover(line.distance(u, v), pixel)
        shine = np.where(v < 0, np.float32(0.35 + 0.35 * s), np.float32(-0.3 - 0.3 * s))
        return Look(covered, _same(1 + covered * shine))


class Dent(Defect):
    """A round hollow: the side towards the light gets darker, the other one brighter."""

    @staticmethod
    def reach(severity: float) -> float:
        """Most of its radius."""
        return 0.8 * Dent.radius(severity)

    @staticmethod
    def radius(severity: float) -> float:
        """Of the hollow."""
        return 0.15 + 0.15 * severity

    def look(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """The slope of a hollow of depth (1 - q^2)^2, q the distance from its centre in radii, scaled to 1."""
        radius = np.float32(self.radius(self.severity))
        q = length(u, v) / radius
        slope = np.maximum(1 - q * q, 0) * np.float32(2.6)
        towards = (u * np.float32(light[0]) + v * np.float32(light[1])) / radius
        depth = np.float32(0.3 + 0.35 * self.severity)
        bottom = np.maximum(1 - q * q, 0) * np.float32(0.35) * depth
        return Look(cover((q - np.float32(0.9)) * radius, pixel), _same(1 + depth * slope * towards - bottom))


class Hole(Defect):
    """A breakout: jagged, black, without the chamfer of a bore."""

    @staticmethod
    def reach(severity: float) -> float:
        """Its radius."""
        return 0.09 + 0.09 * severity

    def look(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """See `Defect.look`."""
        covered = cover(_blob(u, v, self.reach(self.severity), 9.0, self.seed), pixel)
        return Look(covered, _same(1 - covered * np.float32(0.93)))


class Stain(Defect):
    """A spot of rust or of oil: coloured, with an uneven outline."""

    @staticmethod
    def reach(severity: float) -> float:
        """Its radius."""
        return 0.15 + 0.15 * severity

    def look(self, u: Array, v: Array, pixel: float, light: Point) -> Look:
        """See `Defect.look`."""
        covered = cover(_blob(u, v, self.reach(self.severity), 5.0, self.seed), 2 * pixel)
        colour = (0.95, 0.55, 0.25) if self.seed % 2 else (0.4, 0.6, 0.95)
        strength = 0.55 + 0.4 * self.severity
        return Look(covered, np.stack([1 - covered * np.float32(strength * (1 - c)) for c in colour]))


KINDS: dict[str, type[Defect]] = {"scratch": Scratch, "dent": Dent, "hole": Hole, "stain": Stain}
CLASSES = ("good", *KINDS)
"""The classes of a part; a class id is a position in this tuple."""


def draw(rng: np.random.Generator, kind: str, part: Part) -> Defect:
    """A defect of a kind at random, on the surface of a part."""
    severity = round(between(rng, LEAST, 1), 3)
    made = KINDS[kind]
    u, v = (np.float32(1.6) * rng.random(PLACES, dtype=np.float32) - np.float32(0.8) for _ in range(2))
    room = part.distance(u, v) + np.float32(made.reach(severity))
    first = int(np.argmax(room < 0)) if (room < 0).any() else int(np.argmin(room))
    return made(severity, (float(u[first]), float(v[first])), direction(rng.random()), int(rng.random() * 2**31))


def cover(distance: Array, pixel: float) -> Array:
    """Share of a pixel that is inside, given the signed distance of its centre."""
    return np.clip(np.float32(0.5) - distance / np.float32(pixel), 0, 1)


def _blob(u: Array, v: Array, radius: float, frequency: float, seed: int) -> Array:
    """Signed distance, roughly, of a disc with an uneven outline that stays inside `radius`."""
    bumps = value_noise(u * np.float32(frequency), v * np.float32(frequency), seed % 2**16)
    return length(u, v) - np.float32(radius) * (np.float32(0.65) + np.float32(0.35) * bumps)


def _same(factor: Array) -> Array:
    """For red, green and blue."""
    return np.broadcast_to(factor, (3, *factor.shape))
