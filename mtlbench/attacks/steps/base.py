"""What a step rule is: it moves images up an objective. `Attack` projects what it returns once more."""

from abc import ABC, abstractmethod

from torch import Tensor

from mtlbench.attacks.ball import BALLS, Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.errors import UsageError
from mtlbench.identity import Identified
from mtlbench.options import is_number, is_whole


class Step(Identified, ABC):
    """An update rule.

    Attributes:
        steps: directions of the objective evaluated per run.
        blends: whether each step also needs the gradient of every task on its own.
        norms: of the balls that it can step in.
    """

    steps: int
    blends: bool = False
    norms: tuple[str, ...] = tuple(BALLS)

    def gradients(self, runs: int, per_task: int) -> int:
        """Gradients that a run evaluates, of an objective that evaluates `runs` of them for a direction.

        Args:
            runs: gradients of one direction.
            per_task: gradients of every task on its own, for each of the weightings that the objective tries.
        """
        return self.steps * (runs + (per_task if self.blends else 0))

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


def at_least_one(steps: int) -> int:
    """`steps`, or a `UsageError`."""
    if not is_whole(steps, 1):
        raise UsageError(f"attack.step.steps={steps}: expected a whole number of at least 1")
    return steps


def positive(value: float, option: str = "size") -> float:
    """A positive finite number, or a `UsageError` that names the option of the step."""
    if not is_number(value) or value <= 0:
        raise UsageError(f"attack.step.{option}={value}: expected a positive number, for example 0.25")
    return float(value)
