"""Does a head of classes or attributes return logits: no probabilities, and none so far apart that a loss is 0?"""

from torch import Tensor

from mtlbench.engine.losses import at_size
from mtlbench.engine.scale_free import SCALE_FREE
from mtlbench.probing.finding import Finding
from mtlbench.probing.subject import Subject
from mtlbench.tasks import Task

QUESTION, SATURATION = "logits", "saturation"

GAP = 17.0
"""Nats between the true class and the next one from which a cross-entropy in float32 is exactly 0."""

SATURATED = 0.1
"""Share of pixels from which it is worth a word."""

COMFORTABLE = 10.0
"""The gap that the median pixel should have."""

ROUNDING = 1e-3


def logits(subject: Subject) -> list[Finding]:
    """A refusal for probabilities, a warning for saturation, a word on log-probabilities."""
    found = []
    for task in subject.tasks:
        if task.holds in ("classes", "attributes"):
            prediction = subject.predictions[task.name].float()
            found += (told := _probabilities(task, prediction))
            if not any(one.severity == "refuse" for one in told):
                found += _saturation(subject, task, prediction)
    return found


def _probabilities(task: Task, prediction: Tensor) -> list[Finding]:
    low, high = float(prediction.min()), float(prediction.max())
    name, many = task.name, task.holds == "classes" and task.channels > 1
    if many and high <= ROUNDING and _sums_to_one(prediction.exp()):
        seen = "the classes are log-probabilities, which are logits too"
        return [Finding(QUESTION, name, "info", seen, "nothing to do")]
    if low < 0 or high > 1 + ROUNDING:
        return []
    if many and _sums_to_one(prediction):
        seen = f"its values are in [{low:.2g}, {high:.2g}] and add up to 1 over the classes: a softmax inside"
        typed = f"outputs=lambda out: {{**out, {name!r}: out[{name!r}].clamp_min(1e-30).log()}}"
    else:
        seen = f"its values are in [{low:.2g}, {high:.2g}]: a sigmoid inside"
        typed = f"outputs=lambda out: {{**out, {name!r}: torch.logit(out[{name!r}], eps=1e-7)}}"
    return [Finding(QUESTION, name, "refuse", seen, f"return the logits, or {typed}")]


def _sums_to_one(probabilities: Tensor) -> bool:
    return float((probabilities.sum(1) - 1).abs().max()) < ROUNDING


def _saturation(subject: Subject, task: Task, prediction: Tensor) -> list[Finding]:
    """A warning where the loss of many pixels is 0 to rounding; a loss without scale does not mind."""
    if task.climbed in SCALE_FREE or (task.holds == "classes" and task.channels < 2):
        return []
    size = (prediction.shape[-2], prediction.shape[-1])
    mask = at_size(subject.batch.masks[task.name], size)
    if task.holds == "attributes":
        gaps = prediction.abs()[mask.expand_as(prediction)]
    else:
        best = prediction.topk(2, dim=1).values
        gaps = (best[:, :1] - best[:, 1:])[mask]
    share = float((gaps > GAP).double().mean()) if len(gaps) else 0.0
    if share <= SATURATED:
        return []
    middle = float(gaps.median())
    seen = f"{share:.0%} of its logits are over {GAP:g} apart (half of them {middle:.3g}): their loss is 0 in float32"
    typed = f"out[{task.name!r}] / {max(2, round(middle / COMFORTABLE))}"
    divide = f"outputs=lambda out: {{**out, {task.name!r}: {typed}}}"
    free = "label_margin" if task.holds == "attributes" else "class_margin"
    remedy = f"{divide} decides the same; attack.logits=normalised or attack_loss='{free}' are free of scale"
    return [Finding(SATURATION, task.name, "warn", seen, remedy)]
