"""An attack: an objective, a step rule, and the best of several starts, for a batch of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives.base import Losses, Objective
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps.base import Step
from mtlbench.errors import UsageError
from mtlbench.options import flag, one_of, whole
from mtlbench.tasks import Task

RAW, NORMALISED = "raw", "normalised"


@dataclass(frozen=True)
class Attack:
    """What to climb, how, from where, and whose losses.

    Attributes:
        objective: built from conf/attack.
        step: built from conf/attack/step.
        tasks: the tasks whose losses the objective sees, one for `single`.
        random_start: begin at a random point of the ball instead of the image.
        restarts: number of runs; per image the one with the highest score counts. Runs after the first always
            begin at a random point.
        norm: of the ball, ``linf`` or ``l2``, see `ball`.
        logits: what its cross-entropies see, ``raw`` logits or ``normalised`` ones: divided by a third of their spread
            on the clean image, so that the same decisions are attacked alike.
    """

    objective: Objective
    step: Step
    tasks: tuple[Task, ...]
    random_start: bool = False
    restarts: int = 1
    norm: str = "linf"
    logits: str = RAW

    def __post_init__(self) -> None:
        one_of(self.norm, "attack.norm", BALLS)
        one_of(self.logits, "attack.logits", (RAW, NORMALISED))
        whole(self.restarts, "attack.restarts")
        flag(self.random_start, "attack.random_start")
        if self.norm not in self.step.norms:
            raise UsageError(f"attack.norm={self.norm}: {self.step.name} steps in {', '.join(self.step.norms)} only")

    @property
    def gradients(self) -> int:
        """Gradient evaluations per image, the attack's cost."""
        tasks = len(self.tasks)
        return self.restarts * self.step.gradients(self.objective.runs(tasks), tasks * self.objective.searches(tasks))

    def __call__(self, losses: Losses, x: Tensor, eps: Tensor, random: PerImage) -> dict[str, Tensor]:
        """Attack images.

        Args:
            losses: images -> losses [T, B] of this batch.
            x: clean images [B, 3, H, W] in [0, 1].
            eps: radius per image [B], same unit.
            random: draws that depend on the seed and each image's name only.

        Returns:
            Attacked images [B, 3, H, W], within eps of `x` and inside [0, 1], under the key ``""``; an objective
            that tries several weightings adds one entry for each.
        """
        ball = BALLS[self.norm](x, eps, random)
        with torch.no_grad():
            judge = self.objective.bind(losses, x)
            runs: dict[str, list[Tensor]] = {name: [] for name in judge.candidates()}
            for number in range(self.restarts):
                start = ball.point() if self.random_start or number > 0 else ball.x
                for name, objective in judge.candidates().items():
                    runs[name].append(ball.project(self.step.run(losses, objective, ball, start)).detach())
            found = {name: best_of(images, losses, judge) for name, images in runs.items()}
            if "" not in found:
                found[""] = best_of(list(found.values()), losses, judge)
        return found


def best_of(images: Sequence[Tensor], losses: Losses, objective: Objective) -> Tensor:
    """Per image the one of several attacked versions [B, 3, H, W] with the highest score; the first among equals."""
    best, score = images[0], None
    for other in images[1:]:
        if score is None:
            score = objective.score(losses(best))
        challenge = objective.score(losses(other))
        better = challenge > score
        best = torch.where(better[:, None, None, None], other, best)
        score = torch.where(better, challenge, score)
    return best
