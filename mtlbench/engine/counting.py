"""Counts gradient evaluations, the cost of an attack, with hooks on the backward pass."""

from torch import Tensor

from mtlbench.attacks.objectives.base import Losses


class Counted:
    """Losses that count the backward passes through them.

    Args:
        losses: images [B, 3, H, W] -> losses [T, B].

    Attributes:
        gradients: number so far: one per image and backward pass. Gradients that PyTorch evaluates in one batch
            (``is_grads_batched``) count as one.
    """

    def __init__(self, losses: Losses) -> None:
        self.losses, self.gradients = losses, 0

    def __call__(self, x: Tensor) -> Tensor:
        """The losses [T, B]."""
        values = self.losses(x)
        if values.requires_grad:
            values.register_hook(self._count)
        return values

    def _count(self, gradient: Tensor) -> None:
        self.gradients += gradient.shape[-1]
