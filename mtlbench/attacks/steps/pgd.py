"""PGD (Madry et al. 2018, arXiv 1706.06083)."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step, step_count, step_size


class PGD(Step):
    """Steps of equal length, projected. In ``linf`` without a random start this is I-FGSM, the paper's "PGD".

    Args:
        steps: number of steps.
        size: step size as a share of eps; None means 1 / steps, as in the paper.
    """

    name = "pgd"

    def __init__(self, steps: int = 10, size: float | None = None) -> None:
        self.steps = step_count(steps)
        self.size = 1 / steps if size is None else step_size(size)

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One gradient a step; the last iterate."""
        x = start
        for _ in range(self.steps):
            direction = objective.ascent(losses, x).direction
            x = ball.project(x + self.size * ball.eps * ball.direction(direction))
        return x
