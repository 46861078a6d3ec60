"""The best constant prediction: no other constant scores better on the images it was taken from."""

import pytest
import torch

from mtlbench.baseline import constants, scores
from mtlbench.data.batch import Batch
from mtlbench.data.loader import in_order
from mtlbench.tasks import Task
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


def test_a_constant_for_every_channel() -> None:
    """Of a task with several channels that is scored by its absolute error."""
    task = Task("flow", 2, "l1", ("keypoint_err",))
    target = torch.stack([torch.arange(5.0), torch.arange(5.0) * 10])[None, :, None]
    mask = torch.tensor([True, True, True, False, False])[None, None, None]
    batch = Batch(torch.zeros(1, 3, 1, 5), {"flow": target}, {"flow": mask}, ("a",))
    found = constants([task], [batch])
    assert found["flow"].tolist() == [1, 10]
    assert scores([task], found, [batch])["flow", "keypoint_err"] == pytest.approx((11 + 0 + 11) / 3)
