"""Statistics of one cell while a pass goes on, in a form that an interrupted pass can store and continue from."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mtlbench.engine.counting import FREE, Cost
from mtlbench.metrics.measure import Measured
from mtlbench.metrics.statistics import STATISTICS


class Record:
    """Statistics of one cell, accumulated batch by batch on the device.

    Args:
        per_image: name -> [n, k] of the images done so far.
        pooled: name -> [k], summed over them.
        done: number of these images.
        cost: of the attack on them.
    """

    def __init__(
        self,
        per_image: dict[str, Tensor] | None = None,
        pooled: dict[str, Tensor] | None = None,
        done: int = 0,
        cost: Cost = FREE,
    ) -> None:
        self._state = ([per_image] if per_image else []), pooled or {}, done, cost

    @property
    def done(self) -> int:
        """Number of images done, counted from the first of the split."""
        return self._state[2]

    @property
    def cost_per_image(self) -> dict[str, float]:
        """``gradients_per_image`` and ``forwards_per_image``, means; ints if they are whole."""
        _, _, done, cost = self._state
        return cost.per_image(max(done, 1))

    def add(self, measured: Measured, images: int, cost: Cost = FREE) -> None:
        """Append the statistics of the next `images` images and the cost of the attack on them."""
        batches, pooled, done, earlier = self._state
        pooled = {name: pooled[name] + value if name in pooled else value for name, value in measured.pooled.items()}
        # A single assignment: a signal may interrupt the pass at any moment, and the state must stay consistent.
        self._state = [*batches, measured.per_image], pooled, done + images, earlier + cost

    def arrays(self) -> dict[str, np.ndarray]:
        """Per-image statistics [N, k] in the loader's order and pooled ones [k], on the host."""
        batches, pooled, _, _ = self._state
        joined = {name: torch.cat([batch[name] for batch in batches]) for name in (batches[0] if batches else ())}
        return {name: value.cpu().numpy() for name, value in (joined | pooled).items()}

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray], done: int, device: torch.device, cost: Cost = FREE) -> "Record":
        """A record that continues after its first `done` images, from the result of `arrays`."""
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        pooled = {name: tensor for name, tensor in tensors.items() if is_pooled(name)}
        per_image = {name: tensor for name, tensor in tensors.items() if name not in pooled}
        return Record(per_image, pooled, done, cost)


def is_pooled(name: str) -> bool:
    """Whether an array of a record is summed over the images; names are ``<task>/<statistic>``."""
    statistic = STATISTICS.get(name.rpartition("/")[2])
    return "/" in name and statistic is not None and statistic.pooled
