"""Training on noisy inputs, so that a model votes well under randomised smoothing (Cohen et al. 2019, section 3.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mtlbench.attacks.random import PerImage
from mtlbench.data.batch import Batch
from mtlbench.options import positive


@dataclass(frozen=True)
class Noisy:
    """Adds other normal noise to the inputs of every iteration, after all augmentation.

    Args:
        sigma: its standard deviation, in the unit of eps: 16 is 16 grey levels of an image.
        seed: of the training.
    """

    sigma: float
    seed: int

    def __post_init__(self) -> None:
        positive(self.sigma, "training.sigma", ", in the unit of eps, for example 16 grey levels of an image")

    def identity(self) -> dict[str, float]:
        """What affects the inputs; the seed is in the recipe."""
        return {"sigma": float(self.sigma)}

    def __call__(self, batch: Batch, iteration: int) -> Tensor:
        """The noisy inputs [B, ...], not clamped to the box; a pure function of seed, iteration and names."""
        random = PerImage(self.seed, [f"iteration {iteration}/{name}" for name in batch.names])
        noise = random.normal(batch.input).to(batch.input.dtype) * (self.sigma / batch.space.scale)
        return batch.input + (noise if batch.movable is None else torch.where(batch.movable, noise, 0))
