"""Summarise a dataset: how many images, which classes and attributes, which depths, how much is masked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.files import Array
from mtlbench.space import Form
from mtlbench.tasks import Task

# NYUv2 ends at 10 m; the last bin includes all larger values.
METRES = (*np.arange(0, 10.5, 0.5).tolist(), float("inf"))
LOG_UNITS = tuple(np.linspace(0, 1, 21).tolist())


@dataclass(frozen=True)
class Histogram:
    """A histogram.

    Attributes:
        edges: n + 1 bin edges, in metres (the last is infinite) or in log units 0..1.
        counts: n numbers of valid pixels; a bin includes its lower edge, the last one both.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Description:
    """The statistics of `describe` over all unaugmented images.

    Attributes:
        name: of the dataset.
        split: of the dataset.
        images: number of images.
        form: of the inputs, see `Space.form`.
        shape: of an input: that of images ends in height and width, that of sentences begins with the longest one.
        class_share: per task of classes, class -> its share of the valid pixels (images), 0..1; of attributes,
            attribute -> the share of images that have it, among those for which it is known.
        depths: per task of depth in metres or log units.
        valid_share: task name -> share of pixels that its mask keeps, 0..1.
        whole: the tasks whose targets are of whole images; for them read images for pixels.
    """

    name: str
    split: str
    images: int
    form: Form
    shape: tuple[int, ...]
    class_share: dict[str, dict[str, float]]
    depths: dict[str, Histogram]
    valid_share: dict[str, float]
    whole: frozenset[str]


class _Counts:
    """The counts of one task."""

    def __init__(self, task: Task) -> None:
        self.task, self.valid, self.pixels = task, 0, 0
        self.labels = task.labels or tuple(map(str, range(task.channels)))
        self.has, self.known = np.zeros(task.channels, np.int64), np.zeros(task.channels, np.int64)
        edges = {"log_depth_err": LOG_UNITS, "abs_err": METRES}
        self.edges = next((edges[metric] for metric in task.metric_names if metric in edges), ())
        if task.unit:
            self.edges = ()
        self.depths = np.zeros(max(len(self.edges) - 1, 0), np.int64)

    def add(self, target: Tensor, mask: Tensor) -> None:
        """One image: target [c, H, W], mask [1, H, W]."""
        self.valid += int(mask.sum())
        self.pixels += mask.numel()
        if self.task.holds == "classes":
            found = torch.bincount(target[mask].long(), minlength=self.task.channels).numpy()
            self.has, self.known = self.has + found, self.known + found.sum()
        elif self.task.holds == "attributes":
            self.has += (target == 1).sum((1, 2)).numpy()
            self.known += ((target == 1) | (target == 0)).sum((1, 2)).numpy()
        elif self.edges:
            self.depths += np.histogram(target[mask].numpy(), np.asarray(self.edges))[0]

    def shares(self) -> dict[str, float]:
        shares: Array = self.has / np.maximum(self.known, 1)
        return dict(zip(self.labels, shares.tolist(), strict=True))


def describe(dataset: MultiTaskDataset, progress: Callable[[int, int], None] | None = None) -> Description:
    """Decode every image of `dataset` once and count.

    Args:
        dataset: at least one image.
        progress: called with (images done, images in all) after each image.

    Raises:
        DataError: a file is missing, damaged or out of range.
    """
    counts, shape = {task.name: _Counts(task) for task in dataset.tasks}, tuple[int, ...]()
    for index in range(len(dataset)):
        sample = dataset.sample(index)
        shape = tuple(sample.input.shape)
        for name, count in counts.items():
            count.add(sample.targets[name], sample.masks[name])
        if progress is not None:
            progress(index + 1, len(dataset))
    return Description(
        name=dataset.name,
        split=dataset.split,
        images=len(dataset),
        form=dataset.space.form,
        shape=shape,
        class_share={n: c.shares() for n, c in counts.items() if c.task.holds in ("classes", "attributes")},
        depths={n: Histogram(c.edges, tuple(c.depths.tolist())) for n, c in counts.items() if c.edges},
        valid_share={name: count.valid / max(count.pixels, 1) for name, count in counts.items()},
        whole=frozenset(task.name for task in dataset.tasks if task.per_image),
    )
