"""Where an attack may go: the L-infinity ball around the images, cut with the box [0, 1]."""

import torch
from torch import Tensor

from mtlbench.attacks.random import PerImage


class Ball:
    """All images within `eps` of `x` in every pixel and inside [0, 1].

    Args:
        x: clean images [B, 3, H, W] in [0, 1].
        eps: radius per image [B], in the unit of `x` (8 / 255 is eight grey levels).
        random: draws for random points.
    """

    def __init__(self, x: Tensor, eps: Tensor, random: PerImage) -> None:
        self.x = x
        self.eps = eps.to(x)[:, None, None, None]
        self.low = (x - self.eps).clamp(0, 1)
        self.high = (x + self.eps).clamp(0, 1)
        self.random = random

    def project(self, z: Tensor) -> Tensor:
        """The nearest point of the ball and box, per pixel."""
        return torch.minimum(torch.maximum(z, self.low), self.high)

    def point(self) -> Tensor:
        """A uniform random point of the ball, projected into the box."""
        return self.project(self.x + self.eps * self.random.uniform(self.x))

    def corner(self) -> Tensor:
        """A random corner of the ball, projected into the box."""
        return self.project(self.x + self.eps * self.random.uniform(self.x).sign())
