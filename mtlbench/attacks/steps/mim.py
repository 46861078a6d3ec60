"""Momentum attacks: MIM (Dong et al. 2018, arXiv 1710.06081) and a variant with a linearly decaying step size."""

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball, axes
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step, step_count, step_size


class MIM(Step):
    """Steps along a running sum of directions, each divided by its mean absolute value per image.

    Args:
        steps: number of steps.
        size: step size as a share of eps; None means 1 / steps.
        momentum: weight of the running sum, above 0.
    """

    name = "mim"

    def __init__(self, steps: int = 10, size: float | None = None, momentum: float = 1.0) -> None:
        self.steps = step_count(steps)
        self.size = 1 / steps if size is None else step_size(size)
        self.momentum = step_size(momentum, "momentum")

    def size_at(self, step: int) -> float:
        """Step size as a share of eps, the same throughout."""
        return self.size

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One gradient a step; the last iterate."""
        x, velocity = start, torch.zeros_like(start)
        for step in range(self.steps):
            velocity = self.momentum * velocity + unit(objective.ascent(losses, x).direction)
            x = ball.project(x + self.size_at(step) * ball.eps * ball.direction(velocity))
        return x


class MIMLinear(MIM):
    """MIM with a step size that decays linearly from `size` to 0: it converges without tracking the best point.

    Args:
        steps: number of steps.
        size: first step as a share of eps.
        momentum: weight of the running sum.
    """

    name = "mim_linear"

    def __init__(self, steps: int = 20, size: float = 2.0, momentum: float = 0.5) -> None:
        super().__init__(steps, size, momentum)

    def size_at(self, step: int) -> float:
        """Step `step` of n has size (1 - step / n)."""
        return self.size * (1 - step / self.steps)


def unit(direction: Tensor) -> Tensor:
    """Directions [B, ...] of mean absolute value 1 per image; a zero direction stays zero."""
    scale = direction.abs().mean(axes(direction), keepdim=True)
    return direction / torch.where(scale > 0, scale, torch.ones_like(scale))
