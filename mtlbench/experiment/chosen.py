"""Which images are saved: a rule, not taste.

Of every attack and task the images are ranked by the relative rise of the task's loss, and the ranks are averaged:
over tasks and over all attacks, epsilons and models of the command that share these images. Ranks, because the
relative rise itself is dominated by images whose clean loss is close to 0. Ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

WORST, MEDIAN, BEST = "worst", "median", "best"


@dataclass(frozen=True)
class Place:
    """A chosen image.

    Attributes:
        index: position in the split.
        role: ``worst``, ``median`` or ``best``.
        rank: from 1, the image that the attacks hurt most.
    """

    index: int
    role: str
    rank: int


def choose(losses: Sequence[tuple[np.ndarray, np.ndarray]], number: int) -> list[Place]:
    """The images hurt most, those in the middle and those hurt least, in this order.

    Args:
        losses: of each attack those of the clean and of the attacked images, [N, T] each.
        number: how many images; three eighths of them are the worst, a quarter from the middle, the rest the best.
    """
    order = by_damage(losses)
    number = min(number, len(order))
    middle = (number + 1) // 4
    worst = (number - middle + 1) // 2
    start = worst + (len(order) - number) // 2
    ranks = {
        WORST: range(worst),
        MEDIAN: range(start, start + middle),
        BEST: range(len(order) - (number - middle - worst), len(order)),
    }
    return [Place(int(order[rank]), role, rank + 1) for role, found in ranks.items() for rank in found]


def by_damage(losses: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The images in the order of their mean rank, hurt most first; equal ones as in the split.

    An image without valid targets of a task has no rank there; images without any rank come last.
    """
    shares = []
    for clean, attacked in losses:
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = (attacked - clean) / np.abs(clean)
        shares.append(pd.DataFrame(rise).rank(pct=True).to_numpy())
    ranks = np.ma.masked_invalid(np.concatenate(shares, axis=1)).mean(axis=1).filled(-1.0)
    return np.argsort(-np.round(ranks, 12), kind="stable")
