"""A decoder for trunks of any kind: the maps of all levels, brought to one grid and summed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.models.backbone import Head, conv_bn_relu

STRIDE = 4
"""Pixels of the image for a pixel of a prediction, about."""


class Pyramid(Head):
    """A 1x1 convolution of each level to one width, their sum at about a quarter of the image's size, a 3x3
    convolution, a classifier; close to the semantic branch of Panoptic FPN (Kirillov et al. 2019, arXiv 1901.02446).

    Args:
        channels: of the levels' maps.
        strides: of the levels' maps.
        outputs: channels of the prediction.
        width: channels in between.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], outputs: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, width, 1, bias=False) for inputs in channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in channels)
        self.refine = conv_bn_relu(width, width)
        self.classify = nn.Conv2d(width, outputs, 1)
        # The grid is that of the finest level whose stride is STRIDE or more, made finer where it is coarser.
        self.at = next((level for level, stride in enumerate(strides) if stride >= STRIDE), len(strides) - 1)
        self.finer = max(1, round(strides[self.at] / STRIDE))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps of the levels -> [B, outputs, h, w]."""
        height, width = features[self.at].shape[2:]
        size = (height * self.finer, width * self.finer)
        maps = [
            _resized(norm(lateral(one)), size)
            for lateral, norm, one in zip(self.lateral, self.norms, features, strict=True)
        ]
        found: Tensor = self.classify(self.refine(F.relu(torch.stack(maps).sum(0))))
        return found


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages where `size` is smaller, bilinear interpolation where it is larger."""
    if tuple(x.shape[2:]) == size:
        return x
    if x.shape[2] >= size[0] and x.shape[3] >= size[1]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
