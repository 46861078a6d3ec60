"""The mask of a target given without one, derived from the kind of its task."""

import torch
from torch import Tensor

from mtlbench.errors import DataError
from mtlbench.tasks import DEPTH_METRICS, Task

SHORTEST = 1e-3
"""A shorter vector has no direction."""


def validity(task: Task, target: Tensor, where: str) -> Tensor:
    """Mask of the valid pixels of a target [B, c, H, W], bool [B, 1, H, W].

    Valid are class ids other than the ignored one; attributes with at least one known value (0 or 1); vectors with a
    direction; finite numbers other than the ignored one; for depth those above 0.

    Args:
        task: the task of the target.
        target: the values.
        where: begins every message.

    Raises:
        DataError: values that are impossible for the task.
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
        known = known & (target > 0)  # unmeasured depth is stored as 0
    return known.all(1, keepdim=True)
