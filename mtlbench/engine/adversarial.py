"""Adversarial training: the images for the second step of an iteration (arXiv 2305.12066, section 3, "FAT")."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import Objective, Single
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import Step
from mtlbench.constants import LINF, NO_ATTACK
from mtlbench.data.batch import Batch
from mtlbench.engine.around import around
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.consistency import Consistency
from mtlbench.engine.evaluate import frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.errors import UsageError
from mtlbench.identity import public_name
from mtlbench.models.model import MultiTaskModel
from mtlbench.options import number, one_of, whole
from mtlbench.tasks import Task


@dataclass(frozen=True)
class Adversary:
    """Makes the attacked images of an iteration. Clean values of metrics that it climbs are those of the batch.

    Args:
        objective: the attack's objective; `Single` attacks each task in turn. None leaves the images unchanged, which
            is the control for the effect of the second step alone.
        step: its step rule.
        eps: radius in the unit of the inputs' space, grey levels of 255 for images.
        norm: of the ball, ``linf`` or ``l2``.
        ratio: share of the iterations that take an adversarial step, in (0, 1].
        warmup: iterations before the first adversarial step.
        seed: of the training.
        consistency: what the adversarial step descends; None for the losses of the attacked images.
    """

    objective: Objective | None
    step: Step
    eps: float
    ratio: float
    warmup: int
    seed: int
    consistency: Consistency | None = None
    norm: str = LINF

    def __post_init__(self) -> None:
        if self.objective and self.objective.alternatives(2):
            raise UsageError(
                f"training.attack={self.objective.name}: expected one attack, this is the best of several"
            )
        if self.objective and self.objective.recipe:
            raise UsageError(
                f"training.attack={self.objective.name}: expected an objective, this is a fixed recipe of many "
                "gradients; smooth_arp is what it climbs"
            )
        number(self.eps, "training.eps", "a radius, for images grey levels of 255: 8 for 8/255", above=0, most=255)
        number(self.ratio, "training.ratio", "a number above 0, at most 1", above=0, most=1)
        whole(self.warmup, "training.warmup", 0)
        if one_of(self.norm, "training.norm", BALLS) not in self.step.norms:
            known = " or ".join(self.step.norms)
            raise UsageError(f"training.norm={self.norm}: expected {known}, which {self.step.name} steps in")

    def identity(self) -> dict[str, object]:
        """Everything that affects the attacked images, without unread options; the seed is in the recipe."""
        when: dict[str, object] = {"ratio": float(self.ratio), "warmup": self.warmup}
        if self.consistency is not None:
            when["consistency"] = float(self.consistency.weight)
        if self.objective is None:
            return {"attack": NO_ATTACK, **when}
        if self.norm != LINF:
            when["norm"] = self.norm
        parts = {"attack": self.objective, "step": self.step}
        names = {part: public_name(type(found)) for part, found in parts.items()}
        versions = {f"{part}_version": found.version for part, found in parts.items() if found.version > 1}
        steps = {"steps": self.step.steps} if "steps" in signature(type(self.step)).parameters else {}
        return {**names, **versions, **steps, "eps": float(self.eps), **when}

    def wanted(self, iteration: int) -> bool:
        """Whether an iteration takes an adversarial step; evenly spaced, a pure function of the iteration."""
        return iteration >= self.warmup and int((iteration + 1) * self.ratio) > int(iteration * self.ratio)

    def attacked(self, tasks: Sequence[Task], iteration: int) -> tuple[Task, ...]:
        """The tasks attacked in an iteration; `single` cycles through them by counting adversarial steps."""
        if not isinstance(self.objective, Single):
            return tuple(tasks)
        return (tasks[int(iteration * self.ratio) % len(tasks)],)

    def __call__(self, tasks: Sequence[Task], model: MultiTaskModel, batch: Batch, iteration: int) -> Tensor | None:
        """Attacked inputs [B, ...] of `batch`, made in evaluation mode; None in an iteration without a step."""
        if not self.wanted(iteration):
            return None
        if self.objective is None:
            return batch.input
        seen = self.attacked(tasks, iteration)
        attack = Attack(self.objective, self.step, seen, norm=self.norm)
        eps = torch.full((len(batch),), self.eps / batch.space.scale, device=batch.input.device)
        random = PerImage(self.seed + iteration, batch.names)
        with frozen(model):
            clean_values = CleanValues(model, lambda: [batch], batch.input.device)
            losses = TaskLosses.seen_by(attack, model, batch, clean_values)
            return attack(losses, batch.input, eps, random, around(batch))
