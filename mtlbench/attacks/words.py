"""Where an attack that replaces words may go: sentences that differ in at most eps words."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mtlbench.attacks.ball import Ball


class Words(Ball):
    """All sentences in which at most eps words are replaced, each by one of its substitutes.

    Args:
        ball: around the sentences [B, M, D]; its eps is the number of words, what is behind the point changes nothing.
        vectors: [V, D], see `around.Choices`.
        substitutes: [B, M, K], see `around.Choices`.
    """

    def __init__(self, ball: Ball, vectors: Tensor, substitutes: Tensor) -> None:
        super().__init__(ball.x, ball.eps.flatten().floor(), ball.random, ball.space, ball.movable)
        self.vectors, self.substitutes = vectors.to(ball.x.dtype), substitutes

    @property
    def most(self) -> int:
        """The largest number of words that may be replaced in one of the sentences."""
        return min(int(self.eps.max()), self.x.shape[1]) if len(self.x) else 0

    def replaced(self, z: Tensor) -> Tensor:
        """Which words [B, M] of sentences are others than those of `x`."""
        return (z != self.x).any(-1)

    def moves(self, z: Tensor, gradient: Tensor, number: int) -> Iterator[Tensor]:
        """Sentences with one more word replaced, by how much a linear function with this gradient rises.

        HotFlip (Ebrahimi et al. 2018, arXiv 1712.06751) ranks replacements so. A sentence without any left, because
        its words have no other substitutes or enough are replaced, stays as it is.

        Args:
            z: sentences of the set, [B, M, D].
            gradient: [B, M, D].
            number: how many to give, best first.
        """
        used = self.replaced(z)
        free = ~used & (used.sum(1, keepdim=True) < self.eps[:, 0])
        there = (self.substitutes >= 0) & free[..., None]
        rise = (gradient @ self.vectors.T).gather(2, self.substitutes.clamp_min(0))
        rise = (rise - (gradient * z).sum(-1, keepdim=True)).masked_fill(~there, -torch.inf).flatten(1)
        best, which = rise.topk(min(number, rise.shape[1]), 1)
        for one, gain in zip(which.T, best.T, strict=True):
            yield self._with(z, one, gain > -torch.inf)

    def direction(self, gradient: Tensor) -> Tensor:
        """The replacement of one word of `x` that increases a linear function with this gradient the most."""
        return next(self.moves(self.x, gradient, 1)) - self.x

    def project(self, z: Tensor) -> Tensor:
        """The first eps replaced words stay, the others, and what may not be moved, are put back."""
        kept = self.replaced(z).cumsum(1) <= self.eps[:, 0]
        return torch.where(kept[..., None] & self.free(torch.ones_like(z)).bool(), z, self.x)

    def point(self) -> Tensor:
        """As many words as may be, at random places, replaced at random; places are drawn once each."""
        z = self.x
        for _ in range(self.most):
            used = self.replaced(z)
            free = ~used & (used.sum(1, keepdim=True) < self.eps[:, 0])
            there = ((self.substitutes >= 0) & free[..., None]).flatten(1)
            draws = self.random.uniform(self.substitutes.to(z.dtype)).flatten(1).masked_fill(~there, -torch.inf)
            best, which = draws.max(1)
            z = self._with(z, which, best > -torch.inf)
        return z

    def edge(self) -> Tensor:
        """The same: no sentence with fewer words replaced is farther away."""
        return self.point()

    def distance(self, z: Tensor) -> Tensor:
        """The number of replaced words."""
        return self.replaced(z).sum(1).to(z.dtype)

    def slope(self, blend: Tensor, fit: float) -> Tensor:
        """Words are replaced or not: there is nothing between."""
        return torch.zeros_like(blend)

    def _with(self, z: Tensor, which: Tensor, there: Tensor) -> Tensor:
        """Sentences with the substitute number `which` [B] of M * K put in its place, where `there` [B] is one."""
        options = self.substitutes.shape[2]
        word = self.substitutes.flatten(1).gather(1, which[:, None]).clamp_min(0)
        place = torch.arange(z.shape[1], device=z.device) == (which // options)[:, None]
        return torch.where((place & there[:, None])[..., None], self.vectors[word], z)
