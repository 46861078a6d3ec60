"""FGSM (Goodfellow et al. 2015, arXiv 1412.6572): one step of the full radius."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step


class FGSM(Step):
    """x + eps times the direction of length 1: its sign in the L-infinity ball."""

    name = "fgsm"
    steps = 1

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One gradient."""
        return start + ball.eps * ball.direction(objective.ascent(losses, start).direction)
