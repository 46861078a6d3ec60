"""Floor: DGBA with a floor under the losses."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Potential

FLOOR = 0.5
"""In nats, near the loss of a decision on the border, log 2; not tuned."""


class Floor(Potential):
    """Sum of log(L + 0.5): what a loss below the floor is worth, it is worth anywhere. Ours.

    A logarithm rewards doubling a loss of .001 as much as doubling one of .7, which is wasted where a decision is
    what counts and the radius does not suffice to flip it.
    """

    name = "floor"

    def score(self, losses: Tensor) -> Tensor:
        """[T, B] -> [B], sum over the tasks."""
        return (losses + FLOOR).log().sum(0)
