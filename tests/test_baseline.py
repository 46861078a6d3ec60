"""The best constant prediction: no other constant scores better on the images it was taken from."""

import torch

from mtlbench.baseline import constants, scores
from mtlbench.data.loader import in_order
from tests.fakes import FakeDataset


def test_no_other_constant_is_better() -> None:
    dataset = FakeDataset(6)
    batches = list(in_order(dataset, 4))
    best = constants(dataset.tasks, batches)
    found = scores(dataset.tasks, best, batches)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        other = {name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in best.items()}
        worse = scores(dataset.tasks, other, batches)
        assert worse["depth", "abs_err"] >= found["depth", "abs_err"]
        assert worse["segmentation", "pixel_accuracy"] <= found["segmentation", "pixel_accuracy"]
