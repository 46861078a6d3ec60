"""The feasible set of an attack: a ball around the inputs, intersected with their box. All its geometry is here.

Two norms. The radius eps has the same unit in both: ``linf`` bounds the largest change of a value, ``l2`` the root
mean square change over all values of an input. So eps = 8 / 255 is eight grey levels in either, the L-infinity ball
lies inside of the L2 ball of the same eps, and a step of the same size moves an image equally far. (The usual L2
radius, a Euclidean length, is eps times the square root of the number of values; a `Space` may ask for it.) Sentences
have a ball for each word. Values that are not `movable` stay as they are, and count in no length.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mtlbench.attacks.random import PerImage
from mtlbench.constants import LINF
from mtlbench.space import IMAGES, Space


class Ball(ABC):
    """All inputs within `eps` of `x` and inside the box of their space.

    Args:
        x: clean inputs [B, ...], in the box.
        eps: radius per input [B], in the unit of `x` (8 / 255 is eight grey levels).
        random: draws for random points.
        space: of the inputs.
        movable: bool [B, ...], what may be moved; None = everything.
    """

    def __init__(
        self, x: Tensor, eps: Tensor, random: PerImage, space: Space = IMAGES, movable: Tensor | None = None
    ) -> None:
        self.x = x
        self.eps = per_image(eps.to(x), x)
        self.random = random
        self.space, self.movable = space, movable

    def free(self, move: Tensor) -> Tensor:
        """A move [B, ...], 0 where nothing may be moved."""
        return move if self.movable is None else torch.where(self.movable, move, 0)

    def boxed(self, z: Tensor) -> Tensor:
        """Clamped to the box."""
        return z if self.space.box is None else z.clamp(*self.space.box)

    def scaled(self, factor: float) -> "Ball":
        """The ball of `factor` times the radius around the same inputs, with the same draws."""
        radius = factor * self.eps.flatten(1)[:, 0]
        return type(self)(self.x, radius, self.random, self.space, self.movable)

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

    def outside(self, z: Tensor) -> Tensor:
        """How far inputs are outside of ball and box [B], 0 inside; any change of what may not move is outside."""
        radius = self.eps.flatten(1)[:, 0]
        found = [self.distance(z) - radius]
        if self.space.box is not None:
            low, high = z.flatten(1).amin(1), z.flatten(1).amax(1)
            found += [self.space.box[0] - low, high - self.space.box[1]]
        if self.movable is not None:
            found.append(torch.where(self.movable, 0, (z - self.x).abs()).flatten(1).amax(1))
        return torch.stack(found).amax(0).clamp_min(0)

    @abstractmethod
    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """A smooth stand-in for the derivative of `direction`, per value, up to a factor (used by SAGA)."""


class Linf(Ball):
    """Every value may change by eps."""

    def __init__(
        self, x: Tensor, eps: Tensor, random: PerImage, space: Space = IMAGES, movable: Tensor | None = None
    ) -> None:
        super().__init__(x, eps, random, space, movable)
        reach = self.eps if movable is None else self.eps * movable
        self.low, self.high = self.boxed(x - reach), self.boxed(x + reach)

    def direction(self, gradient: Tensor) -> Tensor:
        """Its sign."""
        return self.free(gradient.sign())

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
    """The length of the change of an input, or of each word, is at most eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """The gradient over its length; a zero gradient stays zero."""
        free = self.free(gradient)
        length = self.length(free)
        return free / torch.where(length > 0, length, 1)

    def project(self, z: Tensor) -> Tensor:
        """Scaled into the ball, then clamped to the box; since `x` is in the box, clamping never leaves the ball."""
        moved = self.free(z - self.x)
        excess = self.length(moved) / self.eps.clamp_min(torch.finfo(z.dtype).tiny)
        inside = z if self.movable is None else torch.where(self.movable, z, self.x)
        return self.boxed(torch.where(excess > 1, self.x + moved / excess.clamp_min(1), inside))

    def point(self) -> Tensor:
        """A random direction of length u^(1/n), u uniform and n the number of values: uniform in the ball."""
        share = self.random.uniform(self._first()).double().add(1).div(2)
        length = share.pow(1 / self._values()).to(self.x)
        return self.project(self.x + self.eps * length * self.direction(self.random.normal(self.x)))

    def edge(self) -> Tensor:
        """A random direction at full length."""
        return self.project(self.x + self.eps * self.direction(self.random.normal(self.x)))

    def distance(self, z: Tensor) -> Tensor:
        """The length of the change; of the word that changed the most."""
        return self.length(z - self.x).flatten(1).amax(1)

    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """The direction is linear up to its length."""
        return torch.full_like(blend, fit)

    def length(self, v: Tensor) -> Tensor:
        """Root mean square, or Euclidean length, of each input [B, 1, ...] or of each word [B, M, 1]."""
        square = self._grouped(v).square()
        if self.space.euclidean:
            mean = square.sum(-1)
        elif self.movable is None:
            mean = square.mean(-1)
        else:
            mean = square.sum(-1) / self._values().to(v).squeeze(-1)
        return self._apart(mean.sqrt())

    def _grouped(self, v: Tensor) -> Tensor:
        """[B, n] values of each input, or [B, M, E] of each word."""
        return v if self.space.per_word else v.flatten(1)

    def _apart(self, found: Tensor) -> Tensor:
        """[B] or [B, M] -> with axes for the values."""
        return found[..., None] if self.space.per_word else per_image(found, self.x)

    def _first(self) -> Tensor:
        """Like one value of each group."""
        if self.space.per_word:
            return self.x[..., :1]
        return self._apart(self.x[:, :1].flatten(1)[:, 0])

    def _values(self) -> Tensor:
        """How many values of each group may be moved, at least 1."""
        free = torch.ones_like(self.x, dtype=torch.bool) if self.movable is None else self.movable
        return self._apart(self._grouped(free).sum(-1).clamp_min(1).double())


BALLS: dict[str, type[Ball]] = {LINF: Linf, "l2": L2}
"""Norm -> its ball."""


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """[B] -> [B, 1, ...], with as many axes as `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def axes(like: Tensor) -> tuple[int, ...]:
    """All axes of [B, ...] but the first."""
    return tuple(range(1, like.ndim))
