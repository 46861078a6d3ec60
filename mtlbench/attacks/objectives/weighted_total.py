"""Weighted total: the best of a grid of weightings of the task losses."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from mtlbench.attacks.objectives.base import Losses, Objective, Potential
from mtlbench.attacks.objectives.static import Static
from mtlbench.options import whole


class Weighted(Potential):
    """Sum of w_i L_i with fixed weights.

    Args:
        weights: T numbers.
    """

    name = "weighted"

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = tuple(weights)

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B]."""
        return (losses * losses.new_tensor(self.weights)[:, None]).sum(0)


class WeightedTotal(Static):
    """Every weighting on a grid over the simplex is attacked with; the best counts (arXiv 2305.12066, baseline).

    Best per image means the highest averaged relative loss change (`Static`). The statistics of each weighting are
    kept too, so that the best weighting of the whole run can be told. The cost is that of one attack per weighting.

    Args:
        grid: weights are multiples of 1 / grid that add up to 1; T = 3 tasks and grid 3 give 10 weightings.
    """

    name = "weighted_total"

    def __init__(self, grid: int = 3) -> None:
        super().__init__()
        self.grid = whole(grid, "attack.grid")

    def bind(self, losses: Losses, x: Tensor) -> "WeightedTotal":
        """A copy that knows the clean losses."""
        bound = super().bind(losses, x)
        assert isinstance(bound, WeightedTotal)
        bound.grid = self.grid
        return bound

    def candidates(self) -> Mapping[str, Objective]:
        """One `Weighted` per grid point, named like ``w1/0/2`` (thirds)."""
        assert self.clean is not None, "bind the objective to a batch first"
        return {
            "w" + "/".join(map(str, point)): Weighted([count / self.grid for count in point])
            for point in simplex(len(self.clean), self.grid)
        }

    def runs(self, tasks: int) -> int:
        """One backward per grid point."""
        return self.searches(tasks)

    def searches(self, tasks: int) -> int:
        """Number of grid points."""
        return sum(1 for _ in simplex(tasks, self.grid))


def simplex(parts: int, total: int) -> Iterator[tuple[int, ...]]:
    """All tuples of `parts` counts that add up to `total`."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in simplex(parts - 1, total - first):
            yield (first, *rest)
