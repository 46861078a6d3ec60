"""The decoder of all levels: its size, and that every level is heard."""

import pytest
import torch

from mtlbench.models.pyramid import Pyramid

SIZES = {
    "convolutions": ((2, 4, 8, 16, 32), (66, 97), (17, 25)),
    "from four": ((4, 8, 16, 32), (66, 97), (17, 25)),
    "full size first": ((1, 2, 4, 8), (66, 97), (17, 25)),
    "patches of 16": ((16, 16, 16), (64, 96), (16, 24)),
    "patches of 14": ((14, 14), (70, 98), (20, 28)),
    "fine only": ((1, 2), (66, 97), (33, 49)),
}


@pytest.mark.parametrize("case", SIZES)
def test_predictions_have_about_a_quarter_of_the_size(case: str) -> None:
    strides, size, expected = SIZES[case]
    head = Pyramid([3] * len(strides), strides, 5, 8)
    maps = [torch.rand(2, 3, *(-(-side // stride) for side in size)).requires_grad_() for stride in strides]
    found = head(maps)
    assert found.shape == (2, 5, *expected)
    found.square().sum().backward()
    assert all(one.grad.abs().amax((0, 1)).gt(0).float().mean() > 0.9 for one in maps), "of every level nearly all"
