"""How far a number would move with other trainings and other images, and what that allows to say.

A number measured on K trainings and the same N images varies with both, d = mean + training + image + rest. The sample
variance between the trainings over K estimates the share of training and rest; the images' own share is the
covariance, over bootstrap samples of the images, between trainings (a random-effects model with crossed factors).
The first has K - 1 degrees of freedom, the second many. Their intervals are put together as squares, half^2 =
t^2 between + z^2 images (MOVER: Zou and Donner 2008, Statistics in Medicine 27), which is a t interval where trainings
decide and a normal one where images do. With one training only images are left.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.scores.student import SMALLEST_P, beyond, quantile
from mtlbench.scores.wide import Block, of_trainings, point, replicates

LEVEL = 0.05
POWER = 0.8
MOST_SEEDS = 100
MORE_IMAGES, NO_TEST = "more images", ""


ROUNDING = 1e-12
"""A difference up to here is none; those that are reported are percent, fractions, or in units such as degrees."""


@dataclass(frozen=True)
class Spread:
    """What is known of rows of a wide frame, each [rows]; NaN where it is not.

    Attributes:
        value: the number itself.
        trainings: over which it is a mean, at least 1.
        between: variance of that mean due to trainings; 0 where there is one only.
        images: variance of that mean due to images. May be a little below 0, as it is estimated as a difference.
    """

    value: Block
    trainings: NDArray[np.intp]
    between: Block
    images: Block

    def half(self, level: float = LEVEL) -> Block:
        """Half the interval that leaves out the mean with probability `level`."""
        t = np.array([quantile(level, freedom(count)) for count in self.trainings]).reshape(self.value.shape)
        images = quantile(level, None) ** 2 * self.images.clip(min=0)
        return np.sqrt(t**2 * self.between + images)

    def p_values(self) -> Block:
        """The smallest `level` whose interval leaves out 0: two-sided, not below `SMALLEST_P`."""
        result = np.full(self.value.shape, np.nan)
        known = np.isfinite(self.value + self.between + self.images)
        for row in np.flatnonzero(known):
            if abs(self.value[row]) <= ROUNDING:  # whatever the spread, which may be estimated as 0
                result[row] = 1.0
                continue
            p, t, z = beyond(freedom(self.trainings[row]))
            half = np.sqrt(t**2 * self.between[row] + z**2 * max(self.images[row], 0.0))
            at = np.searchsorted(half, abs(self.value[row]), side="right")
            result[row] = p[max(at - 1, 0)] if at < len(p) else SMALLEST_P
        return result

    def seeds_needed(self) -> list[str]:
        """With how many trainings a difference of this size has p < .05 with a probability of about .8.

        ``>100``, or ``more images`` where no number of trainings is enough; ``unknown`` from one training.
        """
        return [self._needed(row) for row in range(len(self.value))]

    def _needed(self, row: int) -> str:
        value, count = self.value[row], int(self.trainings[row])
        if not np.isfinite(value + self.between[row] + self.images[row]):
            return NO_TEST
        if count < 2:
            return "unknown"

        def enough(seeds: float, freedom: int | None) -> bool:
            t, z = (quantile(LEVEL, f) + quantile(2 - 2 * POWER, f) for f in (freedom, None))
            return bool(t**2 * self.between[row] * count / seeds + z**2 * max(self.images[row], 0.0) < value**2)

        if not enough(np.inf, None):
            return MORE_IMAGES
        return next((str(seeds) for seeds in range(2, MOST_SEEDS + 1) if enough(seeds, seeds - 1)), f">{MOST_SEEDS}")


def freedom(trainings: int) -> int | None:
    """Degrees of freedom of the variance between so many trainings."""
    return int(trainings) - 1 if trainings > 1 else None


def spread(frame: pd.DataFrame) -> Spread:
    """`Spread` of the rows of a wide frame, of one training each or averaged by `seeds.over_seeds`."""
    each = of_trainings(frame)
    counts = np.maximum((~np.isnan(each[:, :, 0])).sum(1), 1)
    between = np.zeros(len(frame))
    drawn = replicates(frame)
    sampled = drawn.shape[1] > 0
    images = drawn.var(1) if sampled else np.full(len(frame), np.nan)
    for count in set(counts.tolist()) - {1}:
        rows = counts == count
        own = each[rows, :count]
        between[rows] = own[:, :, 0].var(1, ddof=1) / count
        if sampled:
            mean, single = own[:, :, 1:].mean(1).var(1), own[:, :, 1:].var(2).mean(1)
            images[rows] = (count * mean - single) / (count - 1)
    return Spread(point(frame), counts, between, images)
