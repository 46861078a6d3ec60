"""Summarise a dataset: how many images, which classes, which depths, how much is masked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mtlbench.data.base import ImageDataset
from mtlbench.data.batch import Sample
from mtlbench.data.files import Array
from mtlbench.tasks import DEPTH, Task

# NYUv2 ends at 10 m; the last bin takes whatever lies beyond.
METRES = (*np.arange(0, 10.5, 0.5).tolist(), float("inf"))
LOG_UNITS = tuple(np.linspace(0, 1, 21).tolist())


@dataclass(frozen=True)
class Description:
    """What `describe` counted, in the test form, over all images.

    Attributes:
        name: of the dataset.
        split: of the dataset.
        images: number of images.
        size: height and width of a sample.
        class_shares: task of classes -> class -> its share of the valid pixels, or of the images, 0..1.
        depth_edges: n + 1 bin edges, in metres (the last is infinite) or in log units 0..1.
        depth_counts: n numbers of valid pixels; a bin includes its lower edge, the last one both.
        valid_share: task name -> share of pixels that its mask keeps, 0..1; of images for those of `per_image`.
        per_image: tasks with one value for a whole image.
    """

    name: str
    split: str
    images: int
    size: tuple[int, int]
    class_shares: dict[str, dict[str, float]]
    depth_edges: tuple[float, ...]
    depth_counts: tuple[int, ...]
    valid_share: dict[str, float]
    per_image: tuple[str, ...]


def describe(dataset: ImageDataset, progress: Callable[[int, int], None] | None = None) -> Description:
    """Decode every image of `dataset` once and count.

    Args:
        dataset: at least one image.
        progress: called with (images done, images in all) after each image.

    Raises:
        DataError: a file is missing, damaged or out of range.
    """
    tasks = {task.name: task for task in dataset.tasks}
    classes = {name: np.zeros(task.channels, np.int64) for name, task in tasks.items() if task.holds == "classes"}
    edges = LOG_UNITS if DEPTH in tasks and "log_depth_err" in tasks[DEPTH].metrics else METRES
    depths = np.zeros(len(edges) - 1, np.int64)
    valid, pixels, size = dict.fromkeys(tasks, 0), dict.fromkeys(tasks, 0), (0, 0)
    for index in range(len(dataset)):
        sample = dataset.sample(index)
        size = (sample.image.shape[1], sample.image.shape[2])
        for task in tasks:
            valid[task] += int(sample.masks[task].sum())
            pixels[task] += sample.masks[task].numel()
        for task, counts in classes.items():
            counts += torch.bincount(_valid(sample, task).long(), minlength=len(counts)).numpy()
        if DEPTH in tasks:
            depths += _histogram(_valid(sample, DEPTH).numpy(), edges)
        if progress is not None:
            progress(index + 1, len(dataset))
    return Description(
        name=dataset.name,
        split=dataset.split,
        images=len(dataset),
        size=size,
        class_shares={task: _shares(tasks[task], counts) for task, counts in classes.items()},
        depth_edges=edges,
        depth_counts=tuple(depths.tolist()),
        valid_share={task: count / max(pixels[task], 1) for task, count in valid.items()},
        per_image=tuple(name for name, task in tasks.items() if task.per_image),
    )


def _shares(task: Task, counts: Array) -> dict[str, float]:
    names = task.labels or tuple(map(str, range(task.channels)))
    return dict(zip(names, (counts / max(int(counts.sum()), 1)).tolist(), strict=True))


def _valid(sample: Sample, task: str) -> torch.Tensor:
    return sample.targets[task][sample.masks[task]]


def _histogram(values: Array, edges: Sequence[float]) -> Array:
    return np.histogram(values, np.asarray(edges))[0]
