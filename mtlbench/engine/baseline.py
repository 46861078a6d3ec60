"""The best prediction that ignores the image: a model has to beat it before its robustness is meaningful."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from mtlbench.data.batch import Batch
from mtlbench.engine.record import Record
from mtlbench.metrics import values
from mtlbench.metrics.measure import measure
from mtlbench.tasks import Task


def constants(tasks: Sequence[Task], training: Sequence[Batch]) -> dict[str, Tensor]:
    """The best constant of each task on training images: task name -> [channels].

    Classes: log frequencies, class-weighted if the loss is; attributes: log odds; directions: the mean unit vector;
        all others: the median, which minimises the absolute error.
    """
    return {task.name: _constant(task, training) for task in tasks}


def scores(
    tasks: Sequence[Task], constant: dict[str, Tensor], batches: Iterable[Batch]
) -> dict[tuple[str, str], float]:
    """(task, metric) -> value in the standard scores of predicting `constant` everywhere."""
    record = Record()
    for batch in batches:
        predictions = {
            task.name: constant[task.name][None, :, None, None].expand(
                len(batch), -1, *batch.targets[task.name].shape[-2:]
            )
            for task in tasks
        }
        record.add(measure(tasks, predictions, batch.targets, batch.masks), len(batch))
    found = values(tasks, record.arrays(), np.ones((1, record.done)), "standard")
    return {name: float(value[0]) for name, value in found.items()}


def _constant(task: Task, training: Sequence[Batch]) -> Tensor:
    targets = torch.cat([batch.targets[task.name] for batch in training])
    masks = torch.cat([batch.masks[task.name] for batch in training])
    if task.holds == "classes":
        ids = torch.where(masks, targets.long(), task.channels)
        counts = torch.bincount(ids.flatten(), minlength=task.channels + 1)[: task.channels].float()
        weights = torch.tensor(task.class_weights) if task.class_weights else torch.ones(task.channels)
        return (counts * weights).clamp_min(1e-6).log()
    if task.holds == "attributes":
        known = ((targets == 0) | (targets == 1)) & masks
        share = (known & (targets == 1)).sum((0, 2, 3)) / known.sum((0, 2, 3)).clamp_min(1)
        return share.clamp(1e-6, 1 - 1e-6).logit()
    if task.holds == "directions":
        unit = torch.nn.functional.normalize(targets.float(), dim=1)
        return unit.movedim(1, -1)[masks[:, 0]].mean(0)
    return torch.stack([targets[:, i : i + 1][masks].float().median() for i in range(task.channels)])
