"""A vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) in levels: patch embedding, then groups of blocks.

Between levels go maps, as in any other trunk: the tokens of the patches in their places. Those that have none (class,
registers) fill rows above the map, of which the rest is zero; so a map tells the grid for images of any shape.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.models.backbone import Head

GROUPS = 4


def to_map(tokens: Tensor, prefix: int, width: int) -> Tensor:
    """Tokens [B, prefix + h * width, C] -> [B, C, rows + h, width], see `rows_above`."""
    first, others = tokens[:, :prefix], tokens[:, prefix:]
    filled = F.pad(first, (0, 0, 0, rows_above(prefix, width) * width - prefix))
    return torch.cat([filled, others], 1).unflatten(1, (-1, width)).permute(0, 3, 1, 2)


def to_tokens(packed: Tensor, prefix: int) -> Tensor:
    """The inverse of `to_map`."""
    width = packed.shape[-1]
    found = packed.flatten(2).transpose(1, 2)
    return torch.cat([found[:, :prefix], found[:, rows_above(prefix, width) * width :]], 1)


def patches(packed: Tensor, prefix: int) -> Tensor:
    """The map of the patches alone, [B, C, h, width]."""
    return packed[:, :, rows_above(prefix, packed.shape[-1]) :]


def rows_above(prefix: int, width: int) -> int:
    """Rows of a map that hold `prefix` tokens without a place."""
    return -(-prefix // width)


class Embedding(nn.Module):
    """Patches to tokens, with their positions: the image [B, 3, H, W], in whole patches -> a map.

    Args:
        vit: a timm VisionTransformer that takes images of any size; keeps all but its blocks.
    """

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        vit.blocks = nn.Sequential()
        self.vit = vit

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, C, rows + h, w]."""
        vit: Any = self.vit
        grid = vit.patch_embed(image)
        tokens = vit.norm_pre(vit.patch_drop(vit._pos_embed(grid)))  # as its own forward pass
        return to_map(tokens, vit.num_prefix_tokens, grid.shape[2])


class Blocks(nn.Sequential):
    """Some blocks of a transformer, from map to map."""

    def __init__(self, blocks: Sequence[nn.Module], prefix: int) -> None:
        super().__init__(*blocks)
        self.prefix = prefix

    def forward(self, packed: Tensor) -> Tensor:
        """[B, C, rows + h, w] -> the same."""
        tokens = super().forward(to_tokens(packed, self.prefix))
        return to_map(tokens, self.prefix, packed.shape[-1])


class OfPatches(Head):
    """A head that sees the maps of the patches alone."""

    def __init__(self, head: Head, prefix: int) -> None:
        super().__init__()
        self.head, self.prefix = head, prefix

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """As the head within."""
        found: Tensor = self.head([patches(packed, self.prefix) for packed in features])
        return found


def groups(depth: int) -> list[slice]:
    """`GROUPS` even parts of so many blocks; fewer of fewer blocks."""
    number = min(GROUPS, depth)
    ends = [depth * part // number for part in range(number + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]
