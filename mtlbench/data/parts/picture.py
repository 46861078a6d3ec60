"""One image with all its targets, a pure function of (seed, split, index)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.generated import SPLITS
from mtlbench.data.parts.defects import CLASSES, Defect, cover
from mtlbench.data.parts.defects import draw as draw_defect
from mtlbench.data.parts.part import Part, draw
from mtlbench.data.parts.shapes import Array, union
from mtlbench.data.rooms.textures import value_noise

NOISE = 4 / 255
"""Largest sensor noise; it is uniform."""

BEVEL = 0.06
"""Width of the bright or dark edge of a part, and of the chamfer of a bore."""


@dataclass(frozen=True)
class Picture:
    """An image of a part, H by W pixels.

    Attributes:
        rgb: [H, W, 3] uint8.
        mask: [H, W] bool, where the part is defective; nowhere if it is good.
        defect: one of `CLASSES`.
        severity: 0 of a good part, else in [0.2, 1].
        clean: [H, W, 3] uint8, the same part without its defect, under the same noise.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    defect: str
    severity: float
    clean: NDArray[np.uint8]


def render(seed: int, split: str, index: int, height: int, width: int) -> Picture:
    """Image `index` of `split`; part and defect are the same at every resolution. The classes take turns."""
    # Each word must stay below 2**32, or two triples could give the same stream.
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    part = draw(rng)
    kind = CLASSES[index % len(CLASSES)]
    defect = None if kind == CLASSES[0] else draw_defect(rng, kind, part)
    pixel = 2 / min(height, width)
    y, x = np.meshgrid(_centres(height, pixel), _centres(width, pixel), indexing="ij")
    u, v = part.coordinates(x, y)
    surface = part.distance(u, v)
    on_part = cover(surface, pixel)
    metal, ground = _metal(part, u, v, surface, x, y), _ground(part, x, y)
    noise = 2 * rng.random((3, height, width), dtype=np.float32) - 1

    def shown(factor: Array | float) -> NDArray[np.uint8]:
        linear = on_part * np.clip(metal * factor, 0, 1) + (1 - on_part) * ground
        # The square root is the display's gamma; unlike other powers it rounds the same on every machine.
        bright = np.sqrt(np.clip(linear, 0, 1)) + np.float32(NOISE) * noise
        return np.ascontiguousarray(np.rint(255 * np.clip(bright, 0, 1)).astype(np.uint8).transpose(1, 2, 0))

    clean = shown(1.0)
    if defect is None:
        return Picture(clean, np.zeros((height, width), bool), kind, 0.0, clean)
    look = defect.seen(u, v, pixel, _towards(part))
    return Picture(shown(look.factor), _mask(look.covered, on_part, defect, u, v), kind, defect.severity, clean)


def _centres(pixels: int, side: float) -> Array:
    """Of a row of pixels around the centre of the image."""
    return ((np.arange(pixels) + 0.5 - pixels / 2) * side).astype(np.float32)


def _metal(part: Part, u: Array, v: Array, surface: Array, x: Array, y: Array) -> Array:
    """Light from the metal, [3, H, W]: brushed, brighter on one side, edges that catch the light."""
    along = u * np.float32(part.brushing[0]) + v * np.float32(part.brushing[1])
    across = v * np.float32(part.brushing[0]) - u * np.float32(part.brushing[1])
    brushed = value_noise(3 * along, 40 * across, part.noise_seed % 2**16) - np.float32(0.5)
    lit = 1 + np.float32(part.light[0]) * x + np.float32(part.light[1]) * y + np.float32(0.16) * brushed
    down, right = np.gradient(union(part.body, u, v))
    steep = np.sqrt(down * down + right * right) + np.float32(1e-6)
    cosine, sine = part.light
    strength = np.float32((cosine * cosine + sine * sine) ** 0.5)
    facing = (right * np.float32(cosine) + down * np.float32(sine)) / steep / strength
    rim = np.clip(1 + union(part.body, u, v) / np.float32(BEVEL), 0, 1)
    chamfer = np.clip(1 - union(part.bores, u, v) / np.float32(BEVEL), 0, 1)
    lit = lit * (1 + np.float32(0.3) * rim * facing) + np.float32(0.3) * chamfer
    return np.stack([np.float32(c) * lit for c in part.metal])


def _ground(part: Part, x: Array, y: Array) -> Array:
    """Light from the background, [3, H, W]."""
    rough = value_noise(12 * x, 12 * y, (part.noise_seed + 1) % 2**16)
    return np.stack([np.float32(c) * (np.float32(0.7) + np.float32(0.6) * rough) for c in part.ground])


def _towards(part: Part) -> tuple[float, float]:
    """Unit vector in which the image gets brighter, in the part's coordinates."""
    x, y = part.light
    strength = (x * x + y * y) ** 0.5
    cosine, sine = part.turn
    return (cosine * x + sine * y) / strength, (cosine * y - sine * x) / strength


def _mask(covered: Array, on_part: Array, defect: Defect, u: Array, v: Array) -> NDArray[np.bool_]:
    """Mask of the visible defect; at least the pixel nearest to its centre."""
    mask = (covered > np.float32(0.5)) & (on_part > np.float32(0.5))
    away = (u - np.float32(defect.place[0])) ** 2 + (v - np.float32(defect.place[1])) ** 2
    mask.flat[int(np.argmin(away))] = True
    return np.asarray(mask)
