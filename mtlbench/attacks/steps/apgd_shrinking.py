"""APGD in a ball that shrinks to its size, the step rule of SEA (Croce et al. 2023, arXiv 2306.12941)."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.apgd import APGD
from mtlbench.attacks.steps.base import Step, step_count, step_size
from mtlbench.errors import UsageError

RADII = (2.0, 1.5, 1.0)
"""Of the three runs, in eps, as in the authors' code."""

SHARES = (3, 3)
"""Tenths of the steps that the first two runs have, rounded down; the last has the others."""


class ShrinkingAPGD(Step):
    """Three runs of `APGD` with radii 2, 1.5 and 1 eps, each from the best point of the last, projected.

    Args:
        steps: of all three together, at least 4.
        size: first step of a run as a share of its radius.
    """

    name = "apgd_shrinking"

    def __init__(self, steps: int = 100, size: float = 2.0) -> None:
        self.steps, self.size = step_count(steps), step_size(size)
        if 0 in self.runs():
            raise UsageError(f"attack.step.steps={steps}: expected at least 4, three runs share them")

    def runs(self) -> tuple[int, ...]:
        """Steps of each run."""
        first = [share * self.steps // 10 for share in SHARES]
        return (*first, self.steps - sum(first))

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """One gradient a step and three more forwards; the best iterate of the last run for each image."""
        x = start
        for radius, steps in zip(RADII, self.runs(), strict=True):
            wider = ball.scaled(radius)
            x = APGD(steps, self.size).run(losses, objective, wider, wider.project(x))
        return x
