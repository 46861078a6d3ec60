"""Student's t distribution with whole degrees of freedom, and the normal one beside it.

The closed forms of Abramowitz and Stegun 1964, 26.7.3 and 26.7.4. SciPy has them too, but takes a second to import.
"""

from functools import cache
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

SMALLEST_P = 1e-9
"""The closed forms lose their digits below it: a p-value that is smaller is given as this."""

POINTS = 4000


def two_sided(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """The probability of a value beyond t or -t, t >= 0, with `freedom` degrees of freedom, at least 1."""
    angle = np.arctan(t / sqrt(freedom))
    sine, cosine = np.sin(angle), np.cos(angle)
    odd = freedom % 2
    term = cosine if odd else np.ones_like(angle)
    series = np.zeros_like(angle)
    for step in range(freedom // 2):
        series = series + term
        term = term * cosine**2 * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    inside = 2 / np.pi * (angle + sine * series) if odd else sine * series
    return np.clip(1 - inside, 0, 1)


def two_sided_normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of a standard normal value beyond z or -z, z >= 0 [n]."""
    return np.array([erfc(value / sqrt(2)) for value in z.tolist()]).reshape(z.shape)


@cache
def beyond(freedom: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities p, falling from 1 to `SMALLEST_P`, and the t and z that are exceeded in size with probability p.

    Args:
        freedom: of t; None stands for infinitely many, where t is z.
    """
    p = np.geomspace(1, SMALLEST_P, POINTS)
    p[0] = 1
    z = np.array([0.0, *(-NormalDist().inv_cdf(value / 2) for value in p[1:])])
    if freedom is None:
        return p, z, z
    low, high = np.zeros(POINTS), np.full(POINTS, 1e10)
    for _ in range(100):
        middle = (low + high) / 2
        above = two_sided(middle, freedom) > p
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return p, (low + high) / 2, z


@cache
def quantile(p: float, freedom: int | None) -> float:
    """The t that is exceeded in size with probability p, `SMALLEST_P` < p < 1; of z where `freedom` is None."""
    if freedom is None:
        return -NormalDist().inv_cdf(p / 2)
    low, high = 0.0, 1e10
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(np.array(middle), freedom) > p else (low, middle)
    return (low + high) / 2
