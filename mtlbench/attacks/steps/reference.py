"""APGD and SAGA as the reference implementation of arXiv 2305.12066 runs them, quirks included. For parity only.

Their numbers change with the batch size; use `APGD` and `SAGA` for everything else.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.objectives.total import Total
from mtlbench.attacks.steps.apgd import MOMENTUM, RISES_NEEDED, checkpoints
from mtlbench.attacks.steps.base import Step, step_count

GREY = 255.0


class ReferenceAPGD(Step):
    """One score for the whole batch: it decides the best point and the step size of all its images at once.

    Further differences from `APGD`: the step starts at eps / steps, the momentum target is not clipped to the box,
    and the search does not go back to the best point when the step halves.

    Args:
        steps: number of steps.
        clean: loss of each task on the clean data set; the score is then sum_i mean_b L_i / clean_i, the reference's
            for dgba. None gives sum_i mean_b L_i, its score for every other objective.
    """

    name, norms = "apgd_reference", ("linf",)

    def __init__(self, steps: int = 10, clean: Sequence[float] | None = None) -> None:
        self.steps, self.clean = step_count(steps), clean

    def gradients(self, runs: int, per_task: int) -> int:
        """One direction more than steps: that of the start."""
        return (self.steps + 1) * runs

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One direction a step and one at the start; the batch's best iterate."""
        x = before = best = start
        direction, _, values = objective.ascent(losses, x)
        score = best_score = checked_score = self._score(values)
        size, checked, rises = ball.eps / self.steps, 0, torch.zeros_like(score)
        checked_size = size
        for k in range(self.steps):
            target = x + size * direction.sign()
            if k > 0:
                target = torch.minimum(torch.maximum(target, ball.x - ball.eps), ball.x + ball.eps)
                target = x + MOMENTUM * (target - x) + (1 - MOMENTUM) * (x - before)
            before, x, last = x, ball.project(target), score
            direction, _, values = objective.ascent(losses, x)
            score = self._score(values)
            rises = rises + (score > last)
            better = score >= best_score
            best, best_score = torch.where(better, x, best), torch.where(better, score, best_score)
            if k in checkpoints(self.steps):
                stuck = (rises < RISES_NEEDED * (k - checked)) | (
                    (size == checked_size).all() & (best_score == checked_score)
                )
                checked, checked_size, checked_score = k, size, best_score
                size, rises = torch.where(stuck, size / 2, size), torch.zeros_like(rises)
        return best

    def _score(self, values: Tensor) -> Tensor:
        means = values.mean(1)
        return means.sum() if self.clean is None else (means / means.new_tensor(list(self.clean))).sum()


class ReferenceSAGA(Step):
    """SAGA whose look-ahead gradient is T times that of the last task; rate 10, fitting factor 50, grey levels.

    Args:
        steps: number of steps of eps / steps.
    """

    name, norms = "saga_reference", ("linf",)
    rate, fit, losses = 10.0, 50.0, Total()

    def __init__(self, steps: int = 10) -> None:
        self.steps = step_count(steps)

    def gradients(self, runs: int, per_task: int) -> int:
        """Those of all tasks, twice a step."""
        return self.steps * 2 * per_task

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """2 T gradients a step; the last iterate."""
        x, weights = start, None
        size, unit = ball.eps / self.steps, GREY * len(start)  # its gradients are of batch means, per grey level
        for _ in range(self.steps):
            parts = objective.parts(losses, x)[0] / unit
            if weights is None:
                weights = torch.ones_like(parts)
            blend = (weights * parts).sum(0)
            ahead = self.losses.parts(losses, ball.project(x + size * blend.sign()))[0][-1] / unit
            slope = self.fit * size * GREY * (1 - torch.tanh(self.fit * blend) ** 2)
            weights = weights + self.rate * len(parts) * ahead * slope * parts
            x = ball.project(x + size * (weights * parts).sum(0).sign())
        return x
