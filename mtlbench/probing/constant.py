"""Is it better than a prediction that ignores the image? One that is not has no robustness to measure."""

from collections.abc import Mapping
from itertools import permutations, product
from math import isnan

from torch import Tensor

from mtlbench.engine.losses import at_size
from mtlbench.probing.finding import Finding
from mtlbench.probing.quality import best_constant, quality, varies
from mtlbench.probing.subject import Subject
from mtlbench.tasks import Task

QUESTION = "constant"
CAUSES = "are the weights loaded, is inputs= right, does each name in outputs= belong to its own head?"
OTHER = "the finding on inputs says why"

BETTER = 0.9
"""An explanation must bring the loss below so much of the best constant's."""


def best_constants(subject: Subject) -> dict[str, float]:
    """Task name -> quality of its best constant, for tasks whose targets count and are not all the same."""
    targets, masks = subject.batch.targets, subject.batch.masks
    found = {
        task.name: best_constant(task, subject.predictions[task.name], targets[task.name], masks[task.name])
        for task in subject.tasks
        if bool(subject.valid(task).any()) and varies(targets[task.name], masks[task.name])
    }
    return {name: loss for name, loss in found.items() if not isnan(loss)}


def constant(subject: Subject, best: Mapping[str, float], explained: bool = False) -> list[Finding]:
    """A refusal for every task that is no better, with the reason where one can be seen.

    Args:
        subject: who is asked.
        best: see `best_constants`.
        explained: another question has found why already.
    """
    found = []
    for task in subject.tasks:
        if task.name not in best:
            found.append(_without_targets(subject, task))
            continue
        prediction, target, mask = (
            kind[task.name] for kind in (subject.predictions, subject.batch.targets, subject.batch.masks)
        )
        loss = quality(task, prediction, target, mask)
        if not loss < best[task.name]:
            seen = f"its loss is {loss:.3g}, that of the best constant prediction {best[task.name]:.3g}"
            why = "" if explained else _explained(task, prediction, target, mask, best[task.name])
            found.append(Finding(QUESTION, task.name, "refuse", seen, OTHER if explained else why or CAUSES))
    return found


def _without_targets(subject: Subject, task: Task) -> Finding:
    first = f"the first {len(subject.batch)} images"
    targets, mask = subject.batch.targets[task.name], subject.batch.masks[task.name]
    if bool(mask.any()) and not varies(targets, mask):
        remedy = "are the images sorted? It was not held against a constant"
        return Finding("targets", task.name, "info", f"all targets of {first} are the same", remedy)
    remedy = "its targets or masks? It was not asked about its gradient and its quality"
    return Finding("targets", task.name, "warn", f"none of {first} has a target that counts where it predicts", remedy)


def _explained(task: Task, prediction: Tensor, target: Tensor, mask: Tensor, best: float) -> str:
    """What would make it better than the constant: other axes of directions, another unit of values; or nothing."""
    if task.holds == "directions":
        return _axes(task, prediction, target, mask, best)
    return _unit(task, prediction, target, mask, best) if task.holds == "values" else ""


def _axes(task: Task, prediction: Tensor, target: Tensor, mask: Tensor, best: float) -> str:
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turned = prediction[:, list(order)] * prediction.new_tensor(signs)[:, None, None]
        found.append((quality(task, turned, target, mask), order, signs))
    loss, order, signs = min(found)
    if loss > BETTER * best:
        return ""
    flipped = "" if signs == (1, 1, 1) else f" * torch.tensor({list(signs)})[:, None, None]"
    typed = f"out[{task.name!r}][:, {list(order)}]{flipped}"
    return f"with other axes its loss is {loss:.3g}: outputs=lambda out: {{**out, {task.name!r}: {typed}}}"


def _unit(task: Task, prediction: Tensor, target: Tensor, mask: Tensor, best: float) -> str:
    size = (prediction.shape[-2], prediction.shape[-1])
    counts = at_size(mask, size).expand_as(prediction)
    middle = float(prediction[counts].median())
    scale = float(at_size(target, size)[counts].median()) / middle if middle else 0.0
    loss = quality(task, prediction * scale, target, mask)
    if not loss <= BETTER * best:
        return ""
    typed = f"outputs=lambda out: {{**out, {task.name!r}: out[{task.name!r}] * {scale:.3g}}}"
    return f"in another unit its loss is {loss:.3g}: {typed}"
