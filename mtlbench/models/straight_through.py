"""Gradients past a part that has none: BPDA with the identity (Athalye et al. 2018, arXiv 1802.00420, section 4.1)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mtlbench.errors import ModelError


def straight_through(function: Callable[[Tensor], Tensor]) -> nn.Module:
    """A module that computes `function` and passes gradients through unchanged, as if it were the identity.

    Put it where a model rounds, compresses, filters or leaves PyTorch, so that attacks can see past that place. What
    the model predicts stays the same to the bit, so the attacked model is the one that is used:

        >>> import torch, mtlbench
        >>> front_end = mtlbench.straight_through(lambda x: (x * 7).round() / 7)
        >>> x = torch.tensor([[0.2, 0.5]], requires_grad=True)
        >>> front_end(x).sum().backward()
        >>> x.grad.tolist()
        [[1.0, 1.0]]

    Args:
        function: finite tensors -> floating-point tensors of the same shape; a module becomes a part of this one.

    Raises:
        ModelError: when called, the function returns something else.
    """
    return StraightThrough(function)


class StraightThrough(nn.Module):
    """See `straight_through`."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """The function's values, with the gradient of `x`."""
        with torch.no_grad():
            y = self.function(x)
        if not isinstance(y, Tensor) or y.shape != x.shape or not y.is_floating_point():
            found = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
            raise ModelError(
                f"straight_through: the function returned {found} for {list(x.shape)} of {x.dtype}; gradients pass "
                "unchanged only from a floating-point tensor of the same shape"
            )
        return y + (x - x.detach())  # plus exactly 0
