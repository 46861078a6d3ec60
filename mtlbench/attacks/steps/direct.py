"""No step: goes straight to where it starts, as far as the ball allows. What no gradient has to find."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.steps.base import Step


class Direct(Step):
    """For ``attack.starts`` beside the image; from the image itself it stays there."""

    name = "-"
    steps = 0
    reach = 1.0

    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """No gradient."""
        return start
