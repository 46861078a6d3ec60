"""Batches from a dataset: in order for evaluation, in a reproducible shuffle for training."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch, collate


def in_order(dataset: MultiTaskDataset, batch_size: int, workers: int = 0) -> DataLoader[Batch]:
    """Every image once, in the dataset's order, undistorted by augmentation; the last batch may be smaller."""
    return _loader(dataset, workers, batch_size=batch_size, shuffle=False)


class Shuffle(Sampler[list[tuple[int, int]]]):
    """Training batches of (index, draw), where draw is the iteration: a pure function of seed and iteration.

    Args:
        images: size of the split.
        batch_size: images per batch; batches cross epoch boundaries, so every batch is full.
        seed: of the training.
        start: first iteration to yield, so that a resumed training sees the same batches.
        stop: iteration to stop before.
    """

    def __init__(self, images: int, batch_size: int, seed: int, start: int, stop: int) -> None:
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.start, self.stop = start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.empty(0, np.int64)
        for iteration in range(self.start, self.stop):
            batch = []
            for position in range(iteration * self.batch_size, (iteration + 1) * self.batch_size):
                if position // self.images != epoch:
                    epoch = position // self.images
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.images)
                batch.append((int(order[position % self.images]), iteration))
            yield batch


def shuffled(
    dataset: MultiTaskDataset, batch_size: int, seed: int, start: int, stop: int, workers: int = 0
) -> DataLoader[Batch]:
    """Augmented training batches `start` to `stop` of the endless sequence that `seed` defines."""
    return _loader(dataset, workers, batch_sampler=Shuffle(len(dataset), batch_size, seed, start, stop))


def _loader(dataset: MultiTaskDataset, workers: int, **options: object) -> DataLoader[Batch]:
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # samples go in, `collate` makes batches of them
        num_workers=workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        **options,  # type: ignore[arg-type]
    )
