"""A sample of a split: its images lie evenly, and are those of the split."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.spread import Spread, positions
from tests.fakes import FakeDataset


@given(st.integers(1, 2000), st.integers(1, 100))
def test_positions_lie_evenly(images: int, wanted: int) -> None:
    found = positions(images, wanted)
    assert len(found) == min(images, wanted)
    gaps = [b - a for a, b in zip((-1, *found), (*found, images), strict=True)]
    inner = gaps[1:-1]
    assert max(inner, default=0) - min(inner, default=0) <= 1
    assert min(gaps) >= 1


def test_the_images_are_those_of_the_split() -> None:
    whole = FakeDataset(images=10)
    sample = Spread(whole, 3)
    assert (len(sample), sample.positions, sample.split) == (3, (1, 5, 8), "train sample")
    for own, position in enumerate(sample.positions):
        assert torch.equal(sample.sample(own).input, whole.sample(position).input)
        assert list(sample.files(own)) == list(whole.files(position))
    assert (sample.settings(), sample.tasks, sample.name) == (whole.settings(), whole.tasks, whole.name)
