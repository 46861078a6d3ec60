"""The interface of a step rule, which moves images to increase an objective. `Attack` projects its result again."""

from abc import ABC, abstractmethod

from torch import Tensor

from mtlbench.attacks.ball import BALLS, Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.identity import Identified
from mtlbench.options import positive, whole


class Step(Identified, ABC):
    """An update rule.

    Attributes:
        steps: how often it moves.
        norms: the norms that it supports.
    """

    steps: int
    norms: tuple[str, ...] = tuple(BALLS)

    @abstractmethod
    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """Climb.

        Args:
            losses: images -> losses [T, B] of this batch.
            objective: what to climb, bound to the batch.
            ball: where the images may go.
            start: [B, 3, H, W], in the ball.

        Returns:
            Attacked images [B, 3, H, W].
        """


def step_count(steps: object) -> int:
    """`attack.step.steps`, checked."""
    return whole(steps, "attack.step.steps")


def step_size(size: object, option: str = "size") -> float:
    """An option of a step rule that is a positive number, checked."""
    return positive(size, f"attack.step.{option}", ", for example 0.25")
