"""Quotients of two uncertain numbers (Fieller 1954)."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mtlbench.scores.spread import freedom, spread
from mtlbench.scores.student import quantile
from mtlbench.scores.wide import Block

DOUBLINGS = 60
HALVINGS = 60


def quotient(above: pd.DataFrame, below: pd.DataFrame) -> pd.DataFrame:
    """Rows of `above` over those of `below`, over the same images and trainings, with the interval of the quotient.

    The interval holds every factor g for which above - g below is, in the sense of `spread`, not told from 0. It has
    no end, and is NaN, where the interval of the denominator contains 0.

    Args:
        above: wide frame.
        below: of the same shape; row i divides row i of `above`.

    Returns:
        Columns value, ci_low, ci_high; and below_low, the lower end of the interval of the denominator.
    """
    added = pd.DataFrame(above.to_numpy() + below.to_numpy(), above.index, above.columns)
    a, b, both = spread(above), spread(below), spread(added)
    t = np.array([quantile(0.05, freedom(count)) for count in a.trainings]).reshape(a.value.shape)
    z = quantile(0.05, None)

    def outside(g: Block) -> Block:
        """Positive where above - g below is told from 0."""
        between, images = (
            x - g * (xy - x - y) + g**2 * y
            for x, y, xy in ((a.between, b.between, both.between), (a.images, b.images, both.images))
        )
        return (a.value - g * b.value) ** 2 - t**2 * between.clip(min=0) - z**2 * images.clip(min=0)

    low = b.value - b.half()
    bounded = (low > 0) | (b.value + b.half() < 0)
    value = a.value / np.where(b.value != 0, b.value, np.nan)
    ends = [np.where(bounded, _edge(outside, value, sign), np.nan) for sign in (-1, 1)]
    return pd.DataFrame({"value": value, "ci_low": ends[0], "ci_high": ends[1], "below_low": low}, index=above.index)


def _edge(outside: Callable[[Block], Block], start: Block, sign: int) -> Block:
    """Where `outside` turns positive, going up from `start`, or down."""
    near, step = start.copy(), np.full(start.shape, 1e-3) * np.maximum(np.abs(start), 1e-6)
    far = start + sign * step
    for _ in range(DOUBLINGS):
        inside = ~(outside(far) > 0)
        if not inside.any():
            break
        near, step = np.where(inside, far, near), np.where(inside, 2 * step, step)
        far = np.where(inside, far + sign * step, far)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        inside = ~(outside(middle) > 0)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return (near + far) / 2
