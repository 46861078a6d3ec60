"""The interface of an objective: from per-image losses to a score and an ascent direction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtlbench.identity import Identified

Losses = Callable[[Tensor], Tensor]
"""Inputs [B, ...] -> losses [T, B], or what takes their place (`Objective.climbs`)."""

LOSSES, METRICS = "losses", "metrics"


class Ascent(NamedTuple):
    """One evaluation of an objective at some images.

    Attributes:
        direction: [B, ...]; step rules use its sign or a normalised version of it, so its scale is irrelevant.
        score: [B], higher is better for the attacker.
        losses: [T, B], detached.
    """

    direction: Tensor
    score: Tensor
    losses: Tensor


class Objective(Identified, ABC):
    """What an attack maximises. It holds no state of a batch.

    Attributes:
        climbs: what a row of its losses [T, B] is: ``losses`` the task's loss; ``metrics`` the mean over the task's
            metrics of smooth level / clean value, whose rise is the task's damage as ARP counts it, made smooth.
        sees: losses that each task has a row of, in the place of its own; empty for its own.
        recipe: name and version of the fixed recipe that it is; such an attack takes no options but eps, norm, tasks,
            eot, source and those of its checks.
    """

    climbs: str = LOSSES
    sees: tuple[str, ...] = ()
    recipe: str | None = None

    def bind(self, losses: Losses, x: Tensor) -> "Objective":
        """The objective for one batch of clean images `x`; overridden where it depends on their clean losses."""
        return self

    def alternatives(self, tasks: int) -> Sequence["Objective"]:
        """The objectives to climb for so many tasks, if this one only picks the best result per image; else empty."""
        return ()

    @abstractmethod
    def score(self, losses: Tensor) -> Tensor:
        """Losses [T, B] -> score [B]."""

    @abstractmethod
    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """Direction and score at `x`."""

    def task_directions(self, losses: Losses, x: Tensor) -> tuple[Tensor, Tensor]:
        """Per-task directions [T, B, ...], which sum to the direction of a potential, and the losses [T, B]."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            values = losses(x)
            leaf = values.detach().requires_grad_()
            (weights,) = torch.autograd.grad(self.score(leaf).sum(), leaf)
            last = len(values) - 1
            directions = [
                torch.autograd.grad((weight * value).sum(), x, retain_graph=i < last)[0]
                for i, (weight, value) in enumerate(zip(weights, values, strict=True))
            ]
        return torch.stack(directions), values.detach()


class Potential(Objective):
    """An objective whose direction is the gradient of its score: one forward and one backward."""

    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """One forward, one backward to the images."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            values = losses(x)
            score = self.score(values)
            (direction,) = torch.autograd.grad(score.sum(), x)
        return Ascent(direction, score.detach(), values.detach())
