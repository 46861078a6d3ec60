"""What a step rule is: it moves images up an objective and ends inside the ball and the box by construction."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.random import PerImage


class Step(ABC):
    """An update rule.

    Attributes:
        name: as in conf/attack/step.
        steps: gradient evaluations per run.
    """

    name: str
    steps: int

    def __call__(self, losses: Losses, objective: Objective, x: Tensor, eps: Tensor, random: PerImage) -> Tensor:
        """Attack images.

        Args:
            losses: images -> losses [T, B] of this batch.
            objective: what to climb.
            x: clean images [B, 3, H, W] in [0, 1].
            eps: radius per image [B], same unit.
            random: draws that depend on the seed and each image's name only.

        Returns:
            Attacked images [B, 3, H, W], within eps of `x` and inside [0, 1].
        """
        ball = Ball(x, eps)
        with torch.no_grad():
            return ball.project(self.run(losses, objective.bind(losses, x), ball, random)).detach()

    @abstractmethod
    def run(self, losses: Losses, objective: Objective, ball: Ball, random: PerImage) -> Tensor:
        """Climb from `ball.x`; the result is projected by the caller."""
