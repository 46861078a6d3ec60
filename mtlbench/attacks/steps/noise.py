"""Random signs: the control that every attack has to beat."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps.base import Step


class Noise(Step):
    """x + eps times a random sign per value; uses no gradient."""

    name = "-"
    steps = 0

    def run(self, losses: Losses, objective: Objective, ball: Ball, random: PerImage) -> Tensor:
        """No gradient."""
        return ball.x + ball.eps * random.uniform(ball.x).sign()
