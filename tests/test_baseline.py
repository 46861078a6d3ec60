"""The best constant prediction: no other constant scores better on the images it was taken from."""

from dataclasses import replace

import torch

from mtlbench.baseline import constants, scores
from mtlbench.data.batch import Batch
from mtlbench.data.loader import in_order
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
