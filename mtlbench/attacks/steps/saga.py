"""SAGA, the self-attention gradient attack (Mahmood et al. 2021, arXiv 2104.02610), for several tasks of one model."""

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball, axes
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step, step_count, step_size
from mtlbench.attacks.steps.mim import unit


class SAGA(Step):
    """Blend the tasks' gradients per pixel, with weights learned through a look-ahead step.

    Each step moves along sign(sum_m a_m g_m). Before each step, the weights a_m are updated by gradient ascent on the
    objective at the look-ahead image x' = x + size * eps * sign(sum_m a_m g_m), where the derivative of tanh replaces
    that of sign: a_m += rate * grad(x') * fit * g_m * (1 - tanh^2(fit * sum_m a_m g_m)).

    Deviations from the paper's adaptation: every task enters the look-ahead gradient, directions have mean absolute
    value 1 per image (the raw ones are so small that the weights would never move), and 1 - tanh^2 stays finite
    where sech^2 overflows.

    Args:
        steps: number of steps.
        size: step size as a share of eps; None means 1 / steps.
        rate: learning rate of the weights.
        fit: how closely tanh approximates sign.
    """

    name = "saga"

    def __init__(self, steps: int = 10, size: float | None = None, rate: float = 0.5, fit: float = 1.0) -> None:
        self.steps = step_count(steps)
        self.size = 1 / steps if size is None else step_size(size)
        self.rate, self.fit = step_size(rate, "rate"), step_size(fit, "fit")

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """T + 1 gradients a step; the last iterate."""
        x, weights = start, None
        for _ in range(self.steps):
            directions, _ = objective.task_directions(losses, x)
            scale = directions.sum(0).abs().mean(axes(x), keepdim=True)
            directions = directions / torch.where(scale > 0, scale, torch.ones_like(scale))
            if weights is None:
                weights = torch.ones_like(directions)
            blend = (weights * directions).sum(0)
            ahead = objective.ascent(losses, ball.project(x + self.size * ball.eps * ball.direction(blend))).direction
            slope = ball.slope(blend, self.fit)
            weights = weights + self.rate * unit(ahead) * slope * directions
            x = ball.project(x + self.size * ball.eps * ball.direction((weights * directions).sum(0)))
        return x
