"""Where a target given without a mask counts, by what its task says it holds."""

import torch
from torch import Tensor

from mtlbench.errors import DataError
from mtlbench.tasks import DEPTH_METRICS, Task

SHORTEST = 1e-3
"""A shorter vector has no direction."""


def validity(task: Task, target: Tensor, where: str) -> Tensor:
    """Which pixels of a target [B, c, H, W] may be scored, bool [B, 1, H, W].

    Class ids other than the ignored one; attributes of which one is 0 or 1, not unknown; vectors with a direction;
    finite numbers other than the ignored one; of a depth those above 0.

    Args:
        task: what the target is of.
        target: the values.
        where: begins every message.

    Raises:
        DataError: values that the task cannot have.
    """
    known = target.isfinite() if target.dtype.is_floating_point else torch.ones_like(target, dtype=torch.bool)
    if task.ignore is not None:
        known = known & (target != task.ignore)
    if task.holds == "classes":
        ids = target[known]
        wrong = (ids < 0) | (ids >= task.channels) | (ids != ids.round())
        if wrong.any():
            found = ", ".join(f"{value:g}" for value in ids[wrong].unique()[:5].tolist())
            raise DataError(
                f"{where}: class ids {found}, expected 0 to {task.channels - 1}, or ignore={task.ignore} of the task"
            )
        return known
    if task.holds == "attributes":
        return ((target == 0) | (target == 1)).any(1, keepdim=True)
    if task.holds == "directions":
        return known.all(1, keepdim=True) & (torch.linalg.vector_norm(target.double(), dim=1, keepdim=True) > SHORTEST)
    if {*task.metric_names} & {*DEPTH_METRICS}:
        known = known & (target > 0)  # what nobody measured is stored as 0
    return known.all(1, keepdim=True)
