"""Random signs: the baseline that every attack has to beat."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step


class Noise(Step):
    """x + eps times a random sign per value, or a random direction in the L2 ball; uses no gradient."""

    name = "-"
    steps = 0

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """No gradient."""
        return ball.edge()
