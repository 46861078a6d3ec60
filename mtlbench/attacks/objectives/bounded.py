"""Bounded: no task counts for more than 1."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Potential


class Bounded(Potential):
    """Sum of 1 - exp(-L): of a cross-entropy this is what the true class has lost, 1 - p. Ours."""

    name = "bounded"

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], sum over the tasks, each in [0, 1]."""
        return -(-losses).expm1().sum(0)
