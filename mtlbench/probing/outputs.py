"""Does it return its tasks: each of them, as a tensor of the right shape, finite, in what precision?"""

from typing import Any

import torch
from torch import Tensor

from mtlbench.errors import ModelError
from mtlbench.models.adapted import Adapted
from mtlbench.models.outputs import maps
from mtlbench.probing.finding import Finding
from mtlbench.probing.subject import Subject, called, guarded
from mtlbench.tasks import Task

QUESTION = "outputs"


def outputs(subject: Subject) -> list[Finding]:
    """A refusal for every task that is not there, or not finite; half precision is told."""
    model, image = subject.model, subject.batch.input
    try:
        with torch.no_grad():
            if not isinstance(model, Adapted):
                found = subject.predict(image)
                return [one for task in subject.tasks for one in _values(found[task.name], task)]
            returned = guarded(lambda: model.inner(model.inputs(image.clone())), called(image))
    except ModelError as error:
        return [_refusal(error, None)]
    return [one for task in subject.tasks for one in _task(model, returned, task, len(image))]


def _task(model: Adapted, returned: Any, task: Task, images: int) -> list[Finding]:
    try:
        prediction = guarded(lambda: maps(returned, model.outputs, [task], images)[task.name], f"{task.name}: outputs")
    except ModelError as error:
        return [_refusal(error, task)]
    return _values(prediction, task)


def _values(prediction: Tensor, task: Task) -> list[Finding]:
    found = []
    if share := float((~prediction.isfinite()).double().mean()):
        seen = f"{share:.1%} of its values are not finite"
        remedy = "look for log(0), a division by 0 or an overflow of half precision: model.float()"
        found.append(Finding(QUESTION, task.name, "refuse", seen, remedy))
    if prediction.dtype in (torch.float16, torch.bfloat16):
        seen = f"computed in {str(prediction.dtype).removeprefix('torch.')}, about three digits"
        remedy = "small changes of a loss are lost in rounding; model.float() is exact"
        found.append(Finding("precision", task.name, "info", seen, remedy))
    return found


def _refusal(error: ModelError, task: Task | None) -> Finding:
    """The message of the adapter, which ends in what helps."""
    text = str(error)
    if task is None:
        seen, _, remedy = text.rpartition("; ")
        return Finding(QUESTION, None, "refuse", seen, remedy)
    seen, _, remedy = text.removeprefix(f"{task.name}: ").partition("; ")
    typed = f"outputs=lambda out: {{..., {task.name!r}: ...}} gives it, or give the task that fits the head"
    return Finding(QUESTION, task.name, "refuse", seen, remedy or typed)
