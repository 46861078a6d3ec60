"""Weighted total: the best of a grid of weightings of the task losses."""

from collections.abc import Iterator, Sequence
from math import gcd

from torch import Tensor

from mtlbench.attacks.objectives.base import Objective, Potential
from mtlbench.attacks.objectives.static import Static
from mtlbench.errors import UsageError
from mtlbench.options import whole


class Weighted(Potential):
    """Sum of the losses with fixed weights that add up to 1.

    Args:
        weights: T whole numbers, not all of them 0; loss i counts with weights[i] / sum(weights).
    """

    name = "weighted"

    def __init__(self, weights: Sequence[int]) -> None:
        common = gcd(*(whole(weight, "attack.weights", 0) for weight in weights))
        if common == 0:
            raise UsageError(f"attack.weights={list(weights)}: expected whole numbers, one of them above 0")
        self.weights = tuple(weight // common for weight in weights)

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B]."""
        if len(losses) != len(self.weights):
            raise UsageError(f"attack.weights={list(self.weights)}: expected one for each of {len(losses)} tasks")
        total = sum(self.weights)
        return (losses * losses.new_tensor([weight / total for weight in self.weights])[:, None]).sum(0)


class WeightedTotal(Static):
    """Attacks with every weighting on a grid over the simplex and keeps the best (arXiv 2305.12066, baseline).

    Best per image means the highest averaged relative loss change (`Static`). Each weighting is a separate attack, so
    that the best weighting of the whole run is known too. The cost is one attack per weighting.

    Args:
        grid: weights are multiples of 1 / grid that add up to 1; T = 3 tasks and grid 3 give 10 weightings.
    """

    name = "weighted_total"

    def __init__(self, grid: int = 3) -> None:
        super().__init__()
        self.grid = whole(grid, "attack.grid")

    def alternatives(self, tasks: int) -> Sequence[Objective]:
        """One `Weighted` per grid point."""
        return [Weighted(point) for point in simplex(tasks, self.grid)]


def simplex(length: int, total: int) -> Iterator[tuple[int, ...]]:
    """All tuples of `length` counts that add up to `total`."""
    if length == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in simplex(length - 1, total - first):
            yield (first, *rest)
