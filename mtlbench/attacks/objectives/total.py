"""Total: the sum of the task losses."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Potential


class Total(Potential):
    """Sum of the losses, the plain multi-task baseline of arXiv 2305.12066. Large losses dominate it."""

    name = "total"

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], sum over the tasks."""
        return losses.sum(0)
