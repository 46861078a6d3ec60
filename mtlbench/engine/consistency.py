"""Consistency training: predictions on attacked inputs are drawn to those on clean ones, not to the labels.

After TRADES (Zhang et al. 2019, arXiv 1901.08573, equation 5), whose second term is a Kullback-Leibler divergence of
classes; here each kind of task has one of its own. Gradients pass through both predictions, as there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.data.batch import Batch
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.masked import at_size, masked_mean
from mtlbench.models.tree_model import TreeModel
from mtlbench.options import positive
from mtlbench.tasks import Kind, Task


@dataclass(frozen=True)
class Consistency:
    """What a step on attacked inputs descends in the place of their losses: loss on the clean ones + weight * drift.

    Args:
        weight: of the drift, beta (1 / lambda) of the paper.
    """

    weight: float

    def __post_init__(self) -> None:
        positive(self.weight, "training.consistency", ", the weight of the drift of predictions; 6 in the paper")

    def __call__(self, model: TreeModel, losses: TaskLosses, batch: Batch, attacked: Tensor) -> Tensor:
        """The rows [T, B] of a batch; `losses` are those of training, `attacked` inputs like the batch's [B, ...]."""
        clean, moved = (model(x, losses.names) for x in (batch.input, attacked))
        drifts = [drift(task, clean[task.name], moved[task.name], batch.masks[task.name]) for task in losses.tasks]
        return losses.of(clean) + self.weight * torch.stack(drifts)


def drift(task: Task, clean: Tensor, moved: Tensor, mask: Tensor) -> Tensor:
    """How far a prediction has moved, per image [B]: 0 where it has not, over the pixels with a target.

    Args:
        task: what it predicts: the Kullback-Leibler divergence in nats of classes, and of attributes in the mean over
            them; one minus the cosine of directions; the absolute difference of values, summed over channels.
        clean: the prediction [B, C, h, w] on clean inputs.
        moved: that on attacked ones.
        mask: [B, 1, H, W] bool.
    """
    valid = at_size(mask, (clean.shape[-2], clean.shape[-1]))[:, 0]
    return masked_mean(DRIFTS[task.holds](clean, moved), valid.to(clean.dtype))


def _of_classes(clean: Tensor, moved: Tensor) -> Tensor:
    before, after = clean.log_softmax(1), moved.log_softmax(1)
    return (before.exp() * (before - after)).sum(1)


def _of_attributes(clean: Tensor, moved: Tensor) -> Tensor:
    p = clean.sigmoid()
    yes = F.logsigmoid(clean) - F.logsigmoid(moved)
    no = F.logsigmoid(-clean) - F.logsigmoid(-moved)
    return (p * yes + (1 - p) * no).mean(1)


def _of_directions(clean: Tensor, moved: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(clean, moved, dim=1)


def _of_values(clean: Tensor, moved: Tensor) -> Tensor:
    return (clean - moved).abs().sum(1)


DRIFTS: dict[Kind, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": _of_classes,
    "attributes": _of_attributes,
    "directions": _of_directions,
    "values": _of_values,
}
"""By what the target of a task holds."""
