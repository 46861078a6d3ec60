"""SAGA as the reference implementation of arXiv 2305.12066 runs it, quirks included. For parity only."""

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.objectives.total import Total
from mtlbench.attacks.steps.base import Step, step_count
from mtlbench.constants import GREY_LEVELS, LINF


class ReferenceSAGA(Step):
    """SAGA whose look-ahead gradient is T times that of the last task; rate 10, fitting factor 50, grey levels.

    Args:
        steps: number of steps of eps / steps.
    """

    name, norms = "saga_reference", (LINF,)
    rate, fit, losses = 10.0, 50.0, Total()

    def __init__(self, steps: int = 10) -> None:
        self.steps = step_count(steps)

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """2 T gradients a step; the last iterate."""
        x, weights = start, None
        size = ball.eps / self.steps
        unit = GREY_LEVELS * len(start)  # its gradients are of batch means, per grey level
        for _ in range(self.steps):
            directions = objective.task_directions(losses, x)[0] / unit
            if weights is None:
                weights = torch.ones_like(directions)
            blend = (weights * directions).sum(0)
            ahead = self.losses.task_directions(losses, ball.project(x + size * blend.sign()))[0][-1] / unit
            slope = self.fit * size * GREY_LEVELS * (1 - torch.tanh(self.fit * blend) ** 2)
            weights = weights + self.rate * len(directions) * ahead * slope * directions
            x = ball.project(x + size * (weights * directions).sum(0).sign())
        return x
