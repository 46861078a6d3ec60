"""APGD (Croce & Hein 2020, arXiv 2003.01690, algorithm 1), with step size and best point kept per image."""

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball, per_image
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step, step_count, step_size

MOMENTUM = 0.75
RISES_NEEDED = 0.75
FIRST_CHECK, SHORTEN_BY, SHORTEST = 22, 3, 6
"""Percent of the steps, as integers: sums of multiples of 0.01 would round to the wrong step."""


class APGD(Step):
    """Momentum steps; where the score stops rising the step halves and the search restarts from the best point.

    Args:
        steps: number of steps.
        size: first step as a share of eps: 2 as in Croce & Hein; the paper's variant is 1 / steps.
    """

    name = "apgd"

    def __init__(self, steps: int = 10, size: float = 2.0) -> None:
        self.steps = step_count(steps)
        self.size = step_size(size)

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One gradient a step and one more forward; the best iterate of each image."""
        x = before = best = start
        direction, score, _ = objective.ascent(losses, x)
        best_direction, best_score = direction, score
        size = self.size * ball.eps
        checked, checked_size, checked_score = 0, size, score
        rises = torch.zeros_like(score)
        for k in range(1, self.steps + 1):
            target = ball.project(x + size * ball.direction(direction))
            if k > 1:
                target = ball.project(x + MOMENTUM * (target - x) + (1 - MOMENTUM) * (x - before))
            before, x, last = x, target, score
            if k < self.steps:
                direction, score, _ = objective.ascent(losses, x)
            else:
                score = objective.score(losses(x))
            rises = rises + (score > last)
            better = score > best_score
            best = torch.where(per_image(better, x), x, best)
            best_direction = torch.where(per_image(better, x), direction, best_direction)
            best_score = torch.where(better, score, best_score)
            if k in checkpoints(self.steps):
                stuck = rises < RISES_NEEDED * (k - checked)
                stuck |= (size == checked_size).flatten() & (best_score == checked_score)
                checked, checked_size, checked_score = k, size, best_score
                size = torch.where(per_image(stuck, x), size / 2, size)
                x = torch.where(per_image(stuck, x), best, x)
                direction = torch.where(per_image(stuck, x), best_direction, direction)
                score = torch.where(stuck, best_score, score)
                rises = torch.zeros_like(rises)
        return best


def checkpoints(steps: int) -> tuple[int, ...]:
    """The steps after which the step size may halve, ascending: ceil(p N) with shrinking gaps between the p."""
    found, position, gap = set(), FIRST_CHECK, FIRST_CHECK
    while position < 100:
        found.add(-(-position * steps // 100))
        gap = max(gap - SHORTEN_BY, SHORTEST)
        position += gap
    return tuple(sorted(found))
