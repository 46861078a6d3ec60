"""Computes the statistics that the metrics of the tasks need from a batch of predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.errors import DataError
from mtlbench.metrics import metrics_of, statistics_of
from mtlbench.metrics.base import Compute
from mtlbench.metrics.statistics import STATISTICS, PixelMap
from mtlbench.tasks import Task


@dataclass(frozen=True)
class Measured:
    """Statistics of N images, keyed ``<task>/<statistic>``.

    Attributes:
        per_image: [N, k] each.
        pooled: [k] each, summed over the images.
    """

    per_image: dict[str, Tensor]
    pooled: dict[str, Tensor]

    @staticmethod
    def join(parts: Sequence["Measured"]) -> "Measured":
        """Concatenate the statistics of consecutive batches."""
        first = parts[0]
        return Measured(
            per_image={key: torch.cat([part.per_image[key] for part in parts]) for key in first.per_image},
            pooled={key: torch.stack([part.pooled[key] for part in parts]).sum(0) for key in first.pooled},
        )


@torch.no_grad()
def measure(
    tasks: Sequence[Task],
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
) -> Measured:
    """Every statistic that the metrics of `tasks` need, each once, on the device of the predictions.

    Args:
        tasks: what to measure.
        predictions: task name -> [B, C, h, w], of any size and floating type.
        targets: task name -> [B, c, H, W], as in `Batch`.
        masks: task name -> [B, 1, H, W] bool.

    Raises:
        DataError: the shapes of a task do not match.
    """
    measured = Measured({}, {})
    for task in tasks:
        prediction, target, mask = predictions[task.name], targets[task.name], masks[task.name]
        task.check_shapes(prediction.shape, target.shape, mask.shape)
        weights = _class_weights(task.class_weights, prediction.device)
        maps: dict[PixelMap, Tensor] = {}
        own = {name: compute for metric in metrics_of(task) for name, compute in metric.computed.items()}
        for name in statistics_of(task):
            if name in own:
                measured.per_image[f"{task.name}/{name}"] = _own(task, name, own[name], prediction, target, mask)
                continue
            statistic = STATISTICS[name]
            if statistic.map not in maps:
                maps[statistic.map] = statistic.map(prediction, target, mask)
            result = statistic.of(maps[statistic.map], target, mask, prediction.shape[1], weights, task.labels)
            (measured.pooled if statistic.pooled else measured.per_image)[f"{task.name}/{name}"] = result
    return measured


def _own(task: Task, name: str, compute: Compute, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """A statistic of the user [B, k], float64; the prediction is resized to the target as for built-in ones."""
    if prediction.shape[-2:] != target.shape[-2:]:
        prediction = F.interpolate(prediction.float(), size=target.shape[-2:], mode="nearest")
    found = compute(prediction, target, mask)
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(prediction):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise DataError(f"{task.name}: statistic {name} is {shape}; expected a tensor [{len(prediction)}, k]")
    return found.detach().double()


@lru_cache(maxsize=16)
def _class_weights(weights: tuple[float, ...], device: torch.device) -> Tensor | None:
    """The weights on `device`, cached, because copying them for every batch would synchronise."""
    return torch.tensor(weights).to(device, non_blocking=True) if weights else None
