"""Converts the output of a model to one map [B, C, h, w] for each task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlbench.errors import ModelError, UsageError
from mtlbench.tasks import Task

Where = str | int | slice
"""A key or attribute, a position, or a slice of channels of a single tensor."""

Outputs = Callable[[Any], Mapping[str, Any]] | Mapping[str, Where] | None


def check(outputs: Outputs, tasks: Sequence[Task]) -> None:
    """Refuse `outputs` that do not select every task.

    Raises:
        UsageError: it is of another kind, or lacks a task.
    """
    if outputs is None or callable(outputs):
        return
    example = f"expected a function, or a mapping such as {{{tasks[0].name!r}: 0}}"
    if not isinstance(outputs, Mapping):
        raise UsageError(f"outputs={outputs!r}: {example}")
    names = [task.name for task in tasks]
    if set(outputs) != set(names):
        raise UsageError(f"outputs={dict(outputs)!r}: expected one entry for each task: {', '.join(names)}")
    for name, where in outputs.items():
        if isinstance(where, bool) or not isinstance(where, (str, int, slice)):
            raise UsageError(f"outputs[{name!r}]={where!r}: expected a key, a position or a slice of channels")


def maps(returned: Any, outputs: Outputs, tasks: Sequence[Task], images: int) -> dict[str, Tensor]:
    """Task name -> prediction [B, C, h, w] with the task's channels; other outputs are dropped.

    Args:
        returned: by the model, of `images` images.
        outputs: how to select the tasks, see `check`; None if it is a mapping by task name.
        tasks: the selected tasks.
        images: the batch size B.

    Raises:
        ModelError: a prediction is missing or has another shape or type; the message names the task and the remedy.
    """
    if callable(outputs):
        returned = outputs(returned)
        places: Mapping[str, Where] = {task.name: task.name for task in tasks}
    else:
        places = outputs or {task.name: task.name for task in tasks}
    return {task.name: as_map(_found(returned, places[task.name], task), task, images) for task in tasks}


def _found(returned: Any, where: Where, task: Task) -> Any:
    """The entry at `where` of the model's output."""
    if isinstance(where, slice) or (isinstance(where, int) and isinstance(returned, Tensor)):
        if not isinstance(returned, Tensor) or returned.ndim < 2:
            raise ModelError(f"{task.name}: outputs gives channels of a tensor, the model returns {_kind(returned)}")
        return returned[:, where if isinstance(where, slice) else slice(where, where + 1)]
    if isinstance(where, str):
        if isinstance(returned, Mapping) and where in returned:
            return returned[where]
        if not isinstance(returned, (Mapping, Tensor)) and hasattr(returned, where):
            return getattr(returned, where)
    elif isinstance(returned, Sequence) and -len(returned) <= where < len(returned):
        return returned[where]
    raise ModelError(
        f"{task.name}: the model returns {_kind(returned)}, in which there is no {where!r}; give "
        f"outputs={{{task.name!r}: KEY, POSITION or slice OF CHANNELS}}, or a function that returns a dict of tasks"
    )


def as_map(prediction: Any, task: Task, images: int) -> Tensor:
    """A prediction as [B, C, h, w]; accepts [B, h, w] with one channel, and [B, C] or [B] for a task per image."""
    if not isinstance(prediction, Tensor):
        raise ModelError(f"{task.name}: expected a tensor, the model returns {_kind(prediction)}; pick it in outputs=")
    if not prediction.dtype.is_floating_point:
        raise ModelError(
            f"{task.name}: the prediction is of {prediction.dtype}, which has no gradient; return the logits, "
            "without argmax"
        )
    found, shape = prediction, list(prediction.shape)
    if found.ndim == 3 and task.channels == 1 and not task.per_image:
        found = found[:, None]
    elif found.ndim == 2 and task.per_image:
        found = found[:, :, None, None]
    elif found.ndim == 1 and task.per_image and task.channels == 1:
        found = found[:, None, None, None]
    if found.ndim == 4 and found.shape[:2] == (images, task.channels):
        return found
    expected = f"[{images}, {task.channels}{'' if task.per_image else ', h, w'}]"
    last = found.ndim == 4 and found.shape[3] == task.channels
    hint = "; channels are last, permute them in outputs=" if last else ""
    raise ModelError(f"{task.name}: the prediction has shape {shape}, expected {expected}{hint}")


def _kind(returned: Any) -> str:
    if isinstance(returned, Tensor):
        return f"a tensor {list(returned.shape)}"
    if isinstance(returned, Mapping):
        return f"a mapping with the keys {', '.join(map(repr, returned))}"
    if isinstance(returned, Sequence) and not isinstance(returned, str):
        return f"a {type(returned).__name__} of {len(returned)}"
    return f"a {type(returned).__name__}"
