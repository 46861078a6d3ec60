"""Random numbers per image, independent of the batch: they depend only on the seed and the image's name."""

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class PerImage:
    """A stream of draws for each of B images.

    Args:
        seed: of the run.
        names: B image names.
    """

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._streams = [np.random.Generator(np.random.Philox(key(seed, name))) for name in names]

    def copy(self) -> "PerImage":
        """A copy of the streams in their current state."""
        return copy.deepcopy(self)

    def normal(self, like: Tensor) -> Tensor:
        """Normal numbers of the shape [B, ...] of `like`, on its device."""
        draws = [s.standard_normal(tuple(like.shape[1:]), np.float32) for s in self._streams]
        return torch.from_numpy(np.stack(draws)).to(like.device)

    def uniform(self, like: Tensor) -> Tensor:
        """Uniform numbers in [-1, 1) of the shape [B, ...] of `like`, on its device."""
        draws = [2 * s.random(tuple(like.shape[1:]), np.float32) - 1 for s in self._streams]
        return torch.from_numpy(np.stack(draws)).to(like.device)


def key(seed: int, name: str) -> int:
    """A number of 64 bits for an input of this name under a seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big")
