"""The best constant prediction: no other constant scores better on the images it was taken from."""

from dataclasses import replace

import pytest
import torch

from mtlbench.data.batch import Batch
from mtlbench.data.loader import in_order
from mtlbench.engine.baseline import constants, scores
from mtlbench.tasks import Task, classification, multilabel
from tests.fakes import FakeDataset


def test_no_other_constant_is_better() -> None:
    """Each task by the metric that its constant is the best of; small steps away from it tell."""
    dataset = FakeDataset(6)
    metrics = {"segmentation": "pixel_accuracy", "normals": "cosine_similarity", "depth": "abs_err"}
    tasks = [replace(task, metrics=(metrics[task.name],)) for task in dataset.tasks]
    batches = [rarely_valid(batch) for batch in in_order(dataset, 4)]
    best = constants(tasks, batches)
    found = scores(tasks, best, batches)
    generator = torch.Generator().manual_seed(0)
    for size in (0.003, 0.03, 0.3):
        for _ in range(10):
            other = {
                name: value + size * torch.randn(value.shape, generator=generator) for name, value in best.items()
            }
            worse = scores(tasks, other, batches)
            assert worse["depth", "abs_err"] > found["depth", "abs_err"]
            assert worse["normals", "cosine_similarity"] < found["normals", "cosine_similarity"]
            assert worse["segmentation", "pixel_accuracy"] <= found["segmentation", "pixel_accuracy"]


def rarely_valid(batch: Batch) -> Batch:
    """Most normals of the first image do not count: a mean over images is no mean over pixels."""
    masks = {name: mask.clone() for name, mask in batch.masks.items()}
    masks["normals"][0, :, 2:] = False
    return replace(batch, masks=masks)


def test_a_constant_for_every_channel() -> None:
    """Of a task with several channels that is scored by its absolute error."""
    task = Task("flow", 2, "l1", ("keypoint_err",))
    target = torch.stack([torch.arange(5.0), torch.arange(5.0) * 10])[None, :, None]
    mask = torch.tensor([True, True, True, False, False])[None, None, None]
    batch = Batch(torch.zeros(1, 3, 1, 5), {"flow": target}, {"flow": mask}, ("a",))
    found = constants([task], [batch])
    assert found["flow"].tolist() == [1, 10]
    assert scores([task], found, [batch])["flow", "keypoint_err"] == pytest.approx((11 + 0 + 11) / 3)


def test_constants_of_tasks_per_image() -> None:
    """Odds of 2 to 1 and of 1 to 3, unknown labels not counted; a constant has the size of its targets."""
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [torch.nan, 1.0]])[:, :, None, None]
    classes = torch.tensor([0, 1, 1, 1])[:, None, None, None]
    masks = dict.fromkeys(("labels", "class"), torch.ones(4, 1, 1, 1, dtype=torch.bool))
    batch = Batch(torch.zeros(4, 3, 8, 8), {"labels": labels, "class": classes}, masks, tuple("abcd"))
    tasks = [multilabel(2, name="labels"), classification(2, name="class")]
    found = constants(tasks, [batch])
    assert found["labels"].exp().tolist() == pytest.approx([2, 1 / 3])
    values = scores(tasks, found, [batch])
    assert values["labels", "label_accuracy"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert values["class", "balanced_accuracy"] == 0.5
