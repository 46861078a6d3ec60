"""Procedural patterns: numbers in [0, 1] over a surface, faded out where a pixel covers a whole period.

The sums stay with +, -, *, /, sqrt and integers, so the same scene gives the same bytes everywhere.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.rooms.solids import Array

Pattern = Callable[[Array, Array, Array, int], Array]
"""(u, v, width, seed) -> [N]: u and v in periods, width = periods that a pixel covers."""


def _wave(u: Array) -> Array:
    """Triangle wave in [-1, 1] of period 1."""
    return 4 * np.abs(u - np.floor(u) - np.float32(0.5)) - 1


def _soft_sign(wave: Array, width: Array) -> Array:
    """The sign of a triangle wave, blurred over a pixel that covers `width` periods; in [-1, 1]."""
    return np.clip(wave / (3 * width + np.float32(1e-4)), -1, 1)


def plain(u: Array, v: Array, width: Array, seed: int) -> Array:
    """One colour."""
    return np.zeros_like(u)


def stripes(u: Array, v: Array, width: Array, seed: int) -> Array:
    """Bands along v."""
    return (1 + _soft_sign(_wave(u), width)) / 2


def checks(u: Array, v: Array, width: Array, seed: int) -> Array:
    """A chessboard."""
    return (1 + _soft_sign(_wave(u), width) * _soft_sign(_wave(v), width)) / 2


def grid(u: Array, v: Array, width: Array, seed: int) -> Array:
    """Bars along u and v that take an eighth of the period each."""
    bars = np.maximum(_wave(u), _wave(v)) - np.float32(0.75)
    return (1 + _soft_sign(bars, width)) / 2


def noise(u: Array, v: Array, width: Array, seed: int) -> Array:
    """Two octaves of value noise."""
    fade = np.clip(np.float32(1.5) - 2 * width, 0, 1)
    coarse, fine = value_noise(u, v, seed), value_noise(2 * u, 2 * v, seed + 1)
    return np.float32(0.5) + fade * (np.float32(0.7) * coarse + np.float32(0.3) * fine - np.float32(0.5))


PATTERNS: dict[str, Pattern] = {
    "plain": plain,
    "stripes": stripes,
    "checks": checks,
    "grid": grid,
    "noise": noise,
}


def value_noise(u: Array, v: Array, seed: int) -> Array:
    """Random numbers at the integer points, smoothly interpolated."""
    left, low = np.floor(u), np.floor(v)
    i, j = left.astype(np.int32), low.astype(np.int32)
    s, t = _smooth(u - left), _smooth(v - low)
    below = _random(i, j, seed) * (1 - s) + _random(i + 1, j, seed) * s
    above = _random(i, j + 1, seed) * (1 - s) + _random(i + 1, j + 1, seed) * s
    return below * (1 - t) + above * t


def _smooth(t: Array) -> Array:
    return t * t * (3 - 2 * t)


def _random(i: NDArray[np.int32], j: NDArray[np.int32], seed: int) -> Array:
    """A number in [0, 1) for each pair of integers: a multiply-xorshift hash."""
    h = i.astype(np.uint32) * np.uint32(374761393) + j.astype(np.uint32) * np.uint32(668265263)
    h += np.uint32(seed * 2246822519 % 2**32)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(2654435761)
    return (h >> np.uint32(8)).astype(np.float32) / np.float32(2**24)
