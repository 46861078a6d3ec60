"""PGD (Madry et al. 2018, arXiv 1706.06083) in the L-infinity ball."""

from torch import Tensor

from mtlbench.attacks.ball import Ball
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps.base import Step
from mtlbench.errors import UsageError


class PGD(Step):
    """Signed steps of equal size, projected. Without a random start this is I-FGSM, the paper's "PGD".

    Args:
        steps: number of steps.
        size: step size as a share of eps; None means 1 / steps, as in the paper.
        random_start: start from a uniform point of the ball instead of the image.
    """

    name = "pgd"

    def __init__(self, steps: int = 10, size: float | None = None, random_start: bool = False) -> None:
        self.steps = at_least_one(steps)
        self.size = 1 / steps if size is None else positive(size)
        self.random_start = random_start

    def run(self, losses: Losses, objective: Objective, ball: Ball, random: PerImage) -> Tensor:
        """Take `steps` gradients; the last iterate."""
        x = ball.x
        if self.random_start:
            x = ball.project(x + ball.eps * random.uniform(x))
        for _ in range(self.steps):
            direction = objective.ascent(losses, x).direction
            x = ball.project(x + self.size * ball.eps * direction.sign())
        return x


def at_least_one(steps: int) -> int:
    """`steps`, or a `UsageError`."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise UsageError(f"attack.step.steps={steps}: expected a whole number of at least 1")
    return steps


def positive(size: float) -> float:
    """`size`, or a `UsageError`."""
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size < float("inf"):
        raise UsageError(f"attack.step.size={size}: expected a positive share of eps, for example 0.25")
    return float(size)
