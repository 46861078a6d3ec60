"""The interface of a step rule, which moves inputs to increase an objective. `Attack` projects its result again."""

from abc import ABC, abstractmethod

from torch import Tensor

from mtlbench.attacks.around import Choices
from mtlbench.attacks.ball import BALLS, Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.identity import Identified
from mtlbench.options import positive, whole
from mtlbench.space import FORMS, Form


class Step(Identified, ABC):
    """An update rule.

    Attributes:
        steps: how often it moves.
        norms: the norms that it supports.
        forms: the inputs that it can move.
        counts: what eps counts, in the place of the unit of the inputs' space; None where it is that unit.
        reach: how far on the way to another start (`Attack.starts`) it begins: short of the border of the ball, where
            gradients still see what they left, unless it takes no step itself.
    """

    steps: int
    norms: tuple[str, ...] = tuple(BALLS)
    forms: tuple[Form, ...] = FORMS
    counts: str | None = None

    def inside(self, ball: Ball, choices: Choices | None) -> Ball:
        """Where it may go: `ball`, of the norm that was asked for, or a set of its own.

        Args:
            ball: around the inputs.
            choices: which words may be replaced by which, where the inputs are sentences.
        """
        return ball

    reach: float = 0.9

    @abstractmethod
    def run(self, losses: Losses, objective: Objective, ball: Ball, start: Tensor) -> Tensor:
        """Climb.

        Args:
            losses: inputs -> losses [T, B] of this batch.
            objective: what to climb, bound to the batch.
            ball: where the inputs may go.
            start: [B, ...], in the ball.

        Returns:
            Attacked inputs [B, ...].
        """


def step_count(steps: object) -> int:
    """`attack.step.steps`, checked."""
    return whole(steps, "attack.step.steps")


def step_size(size: object, option: str = "size") -> float:
    """An option of a step rule that is a positive number, checked."""
    return positive(size, f"attack.step.{option}", ", for example 0.25")
