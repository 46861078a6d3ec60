"""Spearman's rank correlation over a few things, as sharing trees: its interval, and a test that needs no theory."""

from itertools import permutations
from math import atanh, factorial, sqrt, tanh

import numpy as np

from mtlbench.scores.student import quantile
from mtlbench.scores.wide import Block

MOST_EXACT = 8
"""Of up to so many things all orders are counted, 40,320 of eight."""

PERMUTATIONS = 10_000
ROUNDING = 1e-9


def spearman(x: Block, y: Block) -> float:
    """Correlation of the ranks of x [n] with those of y [n], ties sharing a mean rank.

    NaN where one of them is constant or undefined.
    """
    a, b = _standard(x), _standard(y)
    return float(a @ b)


def permutation_p(x: Block, y: Block, seed: int = 0) -> float:
    """Two-sided p-value of `spearman` where x and y have nothing to do with each other.

    The share of the orders of y with a correlation at least as large in size: exact for up to `MOST_EXACT` things, of
    more the share among `PERMUTATIONS` random orders, which the found one joins. With n things it is 2 / n! at least.
    """
    a, b = _standard(x), _standard(y)
    rho = abs(float(a @ b))
    if np.isnan(rho):
        return np.nan
    n = len(a)
    if n <= MOST_EXACT:
        orders = np.fromiter(permutations(range(n)), np.dtype((np.intp, n)), factorial(n))
        return float((np.abs(b[orders] @ a) >= rho - ROUNDING).mean())
    shuffled = np.random.default_rng(seed).permuted(np.tile(b, (PERMUTATIONS, 1)), axis=1)
    return float((1 + (np.abs(shuffled @ a) >= rho - ROUNDING).sum()) / (1 + PERMUTATIONS))


def rank_interval(rho: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation over n things (Bonett and Wright 2000, Psychometrika 65).

    Normal on the scale of atanh, with variance (1 + rho^2 / 2) / (n - 3). NaN for fewer than five things, and where
    all ranks agree or are reversed.
    """
    if np.isnan(rho) or n < 5 or abs(rho) > 1 - ROUNDING:
        return np.nan, np.nan
    half = quantile(0.05, None) * sqrt((1 + rho**2 / 2) / (n - 3))
    return tanh(atanh(rho) - half), tanh(atanh(rho) + half)


def _standard(values: Block) -> Block:
    """Ranks [n], less their mean, over the root of their sum of squares; NaN where that is 0 or a value is NaN."""
    order = np.argsort(values, kind="stable")
    _, number, sizes = np.unique(values[order], return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    ranks = np.empty(len(values))
    ranks[order] = (ends - (sizes - 1) / 2)[number]
    ranks -= ranks.mean()
    size = np.sqrt((ranks**2).sum())
    return np.full(len(values), np.nan) if size == 0 or np.isnan(values).any() else ranks / size
