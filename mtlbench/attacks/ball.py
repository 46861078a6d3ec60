"""Where an attack may go: the L-infinity ball around the images, cut with the box [0, 1]."""

import torch
from torch import Tensor


class Ball:
    """All images within `eps` of `x` in every pixel and inside [0, 1].

    Args:
        x: clean images [B, 3, H, W] in [0, 1].
        eps: radius per image [B], in the unit of `x` (8 / 255 is eight grey levels).
    """

    def __init__(self, x: Tensor, eps: Tensor) -> None:
        self.x = x
        self.eps = eps.to(x)[:, None, None, None]
        self.low = (x - self.eps).clamp(0, 1)
        self.high = (x + self.eps).clamp(0, 1)

    def project(self, z: Tensor) -> Tensor:
        """The nearest point of the ball and box, per pixel."""
        return torch.minimum(torch.maximum(z, self.low), self.high)
