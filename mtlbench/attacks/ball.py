"""The feasible set of an attack: a ball around the images, intersected with the box [0, 1]. All its geometry is here.

Two norms. The radius eps has the same unit in both: ``linf`` bounds the largest change of a value, ``l2`` the root
mean square change over all values of an image. So eps = 8 / 255 is eight grey levels in either, the L-infinity ball
lies inside of the L2 ball of the same eps, and a step of the same size moves an image equally far. (The usual L2
radius, a Euclidean length, is eps times the square root of the number of values.)
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mtlbench.attacks.random import PerImage


class Ball(ABC):
    """All images within `eps` of `x` and inside [0, 1].

    Args:
        x: clean images [B, ...] in [0, 1].
        eps: radius per image [B], in the unit of `x` (8 / 255 is eight grey levels).
        random: draws for random points.
    """

    def __init__(self, x: Tensor, eps: Tensor, random: PerImage) -> None:
        self.x = x
        self.eps = per_image(eps.to(x), x)
        self.random = random

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """The move of length 1 [B, ...] that increases a linear function with this gradient the most."""

    @abstractmethod
    def project(self, z: Tensor) -> Tensor:
        """Project onto the ball and the box; points inside both are unchanged."""

    @abstractmethod
    def point(self) -> Tensor:
        """A uniform random point of the ball, projected into the box."""

    @abstractmethod
    def edge(self) -> Tensor:
        """A random point on the border of the ball, projected into the box: a corner in ``linf``."""

    @abstractmethod
    def distance(self, z: Tensor) -> Tensor:
        """The distance of images from `x` [B], in the unit of eps."""

    @abstractmethod
    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """A smooth stand-in for the derivative of `direction`, per value, up to a factor (used by SAGA)."""


class Linf(Ball):
    """Every value may change by eps."""

    def __init__(self, x: Tensor, eps: Tensor, random: PerImage) -> None:
        super().__init__(x, eps, random)
        self.low = (x - self.eps).clamp(0, 1)
        self.high = (x + self.eps).clamp(0, 1)

    def direction(self, gradient: Tensor) -> Tensor:
        """Its sign."""
        return gradient.sign()

    def project(self, z: Tensor) -> Tensor:
        """The nearest point, per value."""
        return torch.minimum(torch.maximum(z, self.low), self.high)

    def point(self) -> Tensor:
        """Uniform in every value."""
        return self.project(self.x + self.eps * self.random.uniform(self.x))

    def edge(self) -> Tensor:
        """A random corner."""
        return self.project(self.x + self.eps * self.random.uniform(self.x).sign())

    def distance(self, z: Tensor) -> Tensor:
        """The largest change of a value."""
        return (z - self.x).abs().flatten(1).amax(1)

    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """The derivative of tanh(fit * blend), which approximates the sign."""
        return fit * (1 - torch.tanh(fit * blend) ** 2)


class L2(Ball):
    """The root mean square change of an image's values is at most eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient over its root mean square; a zero gradient stays zero."""
        length = rms(gradient)
        return gradient / per_image(torch.where(length > 0, length, 1), gradient)

    def project(self, z: Tensor) -> Tensor:
        """Scaled into the ball, then clamped to the box; since `x` is in the box, clamping never leaves the ball."""
        moved = z - self.x
        excess = per_image(rms(moved), moved) / self.eps.clamp_min(torch.finfo(z.dtype).tiny)
        return torch.where(excess > 1, self.x + moved / excess.clamp_min(1), z).clamp(0, 1)

    def point(self) -> Tensor:
        """A random direction of length u^(1/n), u uniform and n the number of values: uniform in the ball."""
        share = self.random.uniform(self.x[:, :1].flatten(1)[:, :1]).double().add(1).div(2)
        values = self.x[0].numel()
        length = per_image(share.flatten().pow(1 / values).to(self.x), self.x)
        return self.project(self.x + self.eps * length * self.direction(self.random.normal(self.x)))

    def edge(self) -> Tensor:
        """A random direction at full length."""
        return self.project(self.x + self.eps * self.direction(self.random.normal(self.x)))

    def distance(self, z: Tensor) -> Tensor:
        """The root mean square change."""
        return rms(z - self.x)

    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """The direction is linear up to its length."""
        return torch.full_like(blend, fit)


BALLS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2}
"""Norm -> its ball."""


def rms(v: Tensor) -> Tensor:
    """Root mean square [B] over all values of each image [B, ...]."""
    return v.flatten(1).square().mean(1).sqrt()


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ...], with as many axes as `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))
