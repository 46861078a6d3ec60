"""Adversarial training: which images the second step of an iteration sees (arXiv 2305.12066, section 3, "FAT")."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import FGSM, PGD, Step
from mtlbench.data.batch import Batch
from mtlbench.engine.evaluate import GREY, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.models.model import MultiTaskModel
from mtlbench.options import number, one_of, whole
from mtlbench.tasks import Task

OBJECTIVES: dict[str, type[Objective]] = {"single": Single, "total": Total, "dgba": DGBA}


@dataclass(frozen=True)
class Adversary:
    """Makes the attacked images of an iteration.

    Args:
        attack: ``single`` (each task in turn), ``total`` or ``dgba``; ``none`` leaves the images as they are, which
            is the control for what the second step alone does.
        step: ``fgsm`` or ``pgd``.
        steps: gradient steps of ``pgd``.
        eps: radius in grey levels of 255.
        ratio: share of the iterations that take an adversarial step, in (0, 1].
        warmup: iterations before the first one.
        seed: of the training.
    """

    attack: str
    step: str
    steps: int
    eps: float
    ratio: float
    warmup: int
    seed: int

    def __post_init__(self) -> None:
        one_of(self.attack, "training.attack", (*OBJECTIVES, "none"))
        one_of(self.step, "training.step", ("fgsm", "pgd"))
        whole(self.steps, "training.steps")
        number(self.eps, "training.eps", "grey levels of 255, for example 8 for 8/255", above=0, most=255)
        number(self.ratio, "training.ratio", "a number above 0, at most 1", above=0, most=1)
        whole(self.warmup, "training.warmup", 0)

    def identity(self) -> dict[str, object]:
        """All that changes the attacked images, without what the attack does not read; the recipe has the seed."""
        idle = {"seed"}
        idle |= {"step", "steps", "eps"} if self.attack == "none" else {"steps"} if self.step == "fgsm" else set()
        found = asdict(self) | {"eps": float(self.eps), "ratio": float(self.ratio)}
        return {name: value for name, value in found.items() if name not in idle}

    def wanted(self, iteration: int) -> bool:
        """Whether an iteration takes an adversarial step: evenly spread, a pure function of the iteration."""
        return iteration >= self.warmup and int((iteration + 1) * self.ratio) > int(iteration * self.ratio)

    def attacked(self, tasks: Sequence[Task], iteration: int) -> tuple[Task, ...]:
        """The tasks that the step of an iteration attacks; `single` counts steps, so that it passes over none."""
        return (tasks[int(iteration * self.ratio) % len(tasks)],) if self.attack == "single" else tuple(tasks)

    def __call__(self, tasks: Sequence[Task], model: MultiTaskModel, batch: Batch, iteration: int) -> Tensor | None:
        """Attacked images [B, 3, H, W] of `batch`, made in evaluation mode; None where no step is wanted."""
        if not self.wanted(iteration):
            return None
        if self.attack == "none":
            return batch.image
        seen = self.attacked(tasks, iteration)
        rule: Step = FGSM() if self.step == "fgsm" else PGD(self.steps)
        losses = TaskLosses(model, seen, batch.targets, batch.masks, clean=batch.image)
        eps = torch.full((len(batch),), self.eps / GREY, device=batch.image.device)
        random = PerImage(self.seed + iteration, batch.names)
        with frozen(model):
            return Attack(OBJECTIVES[self.attack](), rule, seen)(losses, batch.image, eps, random)[""]
