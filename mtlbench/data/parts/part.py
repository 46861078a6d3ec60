"""A part without defects: outline, drilled holes, metal, light and background."""

from dataclasses import dataclass

import numpy as np

from mtlbench.data.parts.shapes import Array, Bar, Disc, Point, Shape, direction, turned, union

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A part and the conditions of its picture.

    Attributes:
        place: position of its centre in the image.
        turn: its rotation: cosine and sine.
        body: shapes that together are its outline, in its own coordinates.
        bores: drilled holes; each has a bright chamfer.
        metal: RGB of the metal.
        brushing: direction of the traces of grinding, in its own coordinates.
        light: direction in which the image gets brighter, times the strength.
        ground: RGB of the background.
        noise_seed: of metal and ground.
    """

    place: Point
    turn: Point
    body: tuple[Shape, ...]
    bores: tuple[Disc, ...]
    metal: Colour
    brushing: Point
    light: Point
    ground: Colour
    noise_seed: int

    def coordinates(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The part's own coordinates of points of the image."""
        return turned(x - np.float32(self.place[0]), y - np.float32(self.place[1]), self.turn)

    def distance(self, u: Array, v: Array) -> Array:
        """Signed distance of its surface, bores cut out, in its own coordinates."""
        return np.maximum(union(self.body, u, v), -union(self.bores, u, v))


def draw(rng: np.random.Generator) -> Part:
    """A part at random: a plate, a flange, a gear or a bracket."""
    body, bores = KINDS[int(rng.random() * len(KINDS))](rng)
    grey, warm = between(rng, 0.5, 0.72), between(rng, -0.03, 0.05)
    ground = between(rng, 0.12, 0.3)
    light, strength = direction(rng.random()), between(rng, 0.08, 0.2)
    return Part(
        place=(between(rng, -0.1, 0.1), between(rng, -0.1, 0.1)),
        turn=direction(rng.random()),
        body=body,
        bores=bores,
        metal=(grey + warm, grey, grey - warm),
        brushing=direction(rng.random()),
        light=(strength * light[0], strength * light[1]),
        ground=(ground * between(rng, 0.7, 1.3), ground * between(rng, 0.7, 1.3), ground * between(rng, 0.7, 1.3)),
        noise_seed=int(rng.random() * 2**31),
    )


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in a range."""
    return low + (high - low) * rng.random()


Outline = tuple[tuple[Shape, ...], tuple[Disc, ...]]


def _plate(rng: np.random.Generator) -> Outline:
    """A rectangle with a bore in two or in all of its corners."""
    half = (between(rng, 0.6, 0.74), between(rng, 0.42, 0.58))
    inset, radius = between(rng, 0.13, 0.17), between(rng, 0.06, 0.09)
    x, y = half[0] - inset, half[1] - inset
    corners = [(-x, -y), (x, y), (-x, y), (x, -y)][: 2 if rng.random() < 0.4 else 4]
    return (Bar((0, 0), half, corner=between(rng, 0.03, 0.15)),), tuple(Disc(corner, radius) for corner in corners)


def _flange(rng: np.random.Generator) -> Outline:
    """A disc with a bore in the middle and some around it."""
    outer = between(rng, 0.64, 0.76)
    around, radius = 3 + int(rng.random() * 4), between(rng, 0.05, 0.075)
    bolts = [direction(number / around) for number in range(around)]
    middle = Disc((0, 0), between(rng, 0.12, 0.2))
    far = outer - 0.15
    return (Disc((0, 0), outer),), (middle, *(Disc((far * x, far * y), radius) for x, y in bolts))


def _gear(rng: np.random.Generator) -> Outline:
    """A disc with teeth and a bore for the shaft."""
    root = between(rng, 0.54, 0.64)
    teeth, height = 8 + int(rng.random() * 6), between(rng, 0.1, 0.14)
    width = 1.45 * root / teeth
    turns = [direction(number / teeth) for number in range(teeth)]
    bars = [Bar((root * x, root * y), (height, width), turn=(x, y), corner=0.02) for x, y in turns]
    return (Disc((0, 0), root), *bars), (Disc((0, 0), between(rng, 0.11, 0.19)),)


def _bracket(rng: np.random.Generator) -> Outline:
    """Two arms at a right angle, with a bore at each end and one where they meet."""
    arm, width = between(rng, 0.58, 0.68), between(rng, 0.24, 0.3)
    corner, radius = between(rng, 0.03, 0.12), between(rng, 0.06, 0.09)
    inner = width - arm
    lying = Bar((0, inner), (arm, width), corner=corner)
    standing = Bar((inner, 0), (width, arm), corner=corner)
    end = arm - 0.17
    return (lying, standing), (Disc((end, inner), radius), Disc((inner, end), radius), Disc((inner, inner), radius))


KINDS = (_plate, _flange, _gear, _bracket)
