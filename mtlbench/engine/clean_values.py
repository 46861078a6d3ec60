"""Clean values of metrics: the constants that a smooth ARP divides by."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from mtlbench.data.batch import Batch
from mtlbench.engine.draws import drawn
from mtlbench.engine.evaluate import frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.record import Record
from mtlbench.engine.terms import Values, level_of
from mtlbench.metrics import metrics_of, values
from mtlbench.metrics.measure import measure
from mtlbench.models.model import MultiTaskModel
from mtlbench.tasks import Task


class CleanValues:
    """Measures them when they are first asked for: an attack whose cells are all stored needs none.

    Args:
        model: on `device`.
        batches: gives the images on whose clean predictions they are measured.
        device: where to compute.
        seed: of the draws of a random model, those that score it.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        batches: Callable[[], Iterable[Batch]],
        device: torch.device | str,
        seed: int = 0,
    ) -> None:
        self.model, self.batches, self.device, self.seed = model, batches, device, seed
        self._found: dict[tuple[Task, ...], Values] = {}

    def __call__(self, tasks: Sequence[Task]) -> Values:
        """The value of every metric of `tasks`, in the standard scores; see `terms.Values`."""
        chosen = tuple(tasks)
        if chosen not in self._found:
            with torch.no_grad(), frozen(self.model):
                self._found[chosen] = self._measured(chosen)
        return self._found[chosen]

    def _measured(self, tasks: tuple[Task, ...]) -> Values:
        record = Record()
        for given in self.batches():
            batch = given.to(self.device)
            forward = drawn(self.model, self.seed, batch.names)
            predictions = forward(batch.input, [task.name for task in tasks])
            measured = measure(tasks, predictions, batch.targets, batch.masks)
            losses = TaskLosses(forward, tasks, batch.targets, batch.masks, clean=batch.input)
            measured.per_image["losses"] = losses.of(predictions).T
            record.add(measured, len(batch))
        arrays = record.arrays()
        found = values(tasks, arrays, np.ones((1, record.done)), "standard")
        mean = {task.name: _mean(arrays["losses"][:, i]) for i, task in enumerate(tasks)}
        without = {(task.name, metric.name) for task in tasks for metric in metrics_of(task) if not level_of(metric)}
        return {key: mean[key[0]] if key in without else float(value[0]) for key, value in found.items()}


def _mean(losses: np.ndarray) -> float:
    """The mean loss of the images that have one: 0 is that of an image without anything valid."""
    valid = losses[losses != 0]
    return float(valid.mean(dtype=np.float64)) if len(valid) else float("nan")
