"""APGD as the reference implementation of arXiv 2305.12066 runs it, quirks included. For parity only."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.apgd import MOMENTUM, RISES_NEEDED, checkpoints
from mtlbench.attacks.steps.base import Step, step_count
from mtlbench.constants import LINF


class ReferenceAPGD(Step):
    """APGD with one score for the whole batch, which determines the best point and the step size of all images.

    Further differences from `APGD`: the step starts at eps / steps, the momentum target is not clipped to the box,
    and the search does not go back to the best point when the step halves.

    Args:
        steps: number of steps.
        clean: loss of each task on the clean data set; the score is then sum_i mean_b L_i / clean_i, the reference's
            for dgba. None gives sum_i mean_b L_i, its score for every other objective.
    """

    name, norms = "apgd_reference", (LINF,)

    def __init__(self, steps: int = 10, clean: Sequence[float] | None = None) -> None:
        self.steps, self.clean = step_count(steps), clean

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
