"""The head of a task per image: one prediction of the whole image, as a map of one pixel."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.models.backbone import Head, conv_bn_relu


class PooledHead(Head):
    """A convolution, the mean and the maximum over the image, a linear layer. Ours, as common as it is.

    The maximum is for what is small: a scratch fills a hundredth of an image, of whose mean it is but a hundredth.

    Args:
        inputs: channels of the last block.
        outputs: of the head.
        width: channels in between.
        act: name of the activation, None for ReLU.
    """

    def __init__(self, inputs: int, outputs: int, width: int, act: str | None = None) -> None:
        super().__init__()
        self.local = conv_bn_relu(inputs, width, act=act)
        self.classify = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The last of `features` [B, inputs, h, w] -> [B, outputs, 1, 1]."""
        local = self.local(features[-1])
        whole = torch.cat([local.mean((2, 3)), local.amax((2, 3))], 1)
        found: Tensor = self.classify(whole[:, :, None, None])
        return found
