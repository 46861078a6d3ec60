"""What an objective is: per-image losses in, a score to climb and a direction to climb it out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Losses = Callable[[Tensor], Tensor]
"""Images [B, 3, H, W] -> losses [T, B]."""


class Ascent(NamedTuple):
    """One evaluation of an objective at some images.

    Attributes:
        direction: [B, 3, H, W], only its sign or its scale-free form should be used.
        score: [B], higher is better for the attacker.
        losses: [T, B], detached.
    """

    direction: Tensor
    score: Tensor
    losses: Tensor


class Objective(ABC):
    """What an attack climbs. Holds no state of a batch."""

    name: str

    def bind(self, losses: Losses, x: Tensor) -> "Objective":
        """The objective for one batch of clean images `x`; overridden where it depends on their clean losses."""
        return self

    @abstractmethod
    def score(self, losses: Tensor) -> Tensor:
        """Losses [T, B] -> score [B]."""

    @abstractmethod
    def ascent(self, losses: Losses, x: Tensor) -> Ascent:
        """Direction and score at `x`."""


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
