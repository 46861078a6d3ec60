"""What a task is to an attack: its loss, or the smooth levels of its metrics over their clean values.

The rise of the second kind is a task's damage as ARP counts it, made smooth. The clean values are constants.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlbench.constants import MIN_CLEAN
from mtlbench.engine.dense import JUDGES
from mtlbench.engine.scale_free import OF_KIND, SCALES, Scale
from mtlbench.engine.smooth import LEVELS, PixelSum
from mtlbench.metrics import Metric, metrics_of
from mtlbench.tasks import KINDS, Loss, Task

Values = Mapping[tuple[str, str], float]
"""(task, metric) -> the metric's value on clean images, in its unit; or of the task's loss, where that is climbed."""

ValuesOf = Callable[[Sequence[Task]], Values]


@dataclass(frozen=True)
class Term:
    """A loss in the sum that stands for a task.

    Attributes:
        loss: see `losses.loss_of`.
        weight: its factor.
        decision: it is of decisions, which the scale of logits does not change: whatever ``attack.logits`` says, it
            sees them in thirds of their clean spread, and class weights do not concern it.
    """

    loss: str | Loss
    weight: float = 1.0
    decision: bool = False

    @property
    def judge(self) -> "Term | None":
        """What tells how good an image is, where the loss does not."""
        judge = JUDGES.get(self.loss) if isinstance(self.loss, str) else None
        return None if judge is None else Term(judge)


def terms_of(task: Task, clean: Values) -> tuple[Term, ...]:
    """The mean over the task's metrics of level / clean value.

    In the place of a metric without a level is that of its stand-in, over the clean value of the metric; without one,
    the task's loss over its own clean value. A metric whose clean value is (nearly) 0, or unknown, has no relative
    drop and is left out; if all are, so is the task.
    """
    weights: dict[str | Loss, float] = {}
    metrics = metrics_of(task)
    for metric in metrics:
        value = abs(clean[task.name, metric.name])
        if value >= MIN_CLEAN:
            loss = level_of(metric) or task.climbed
            weights[loss] = weights.get(loss, 0) + 1 / (len(metrics) * value)
    own = {level_of(metric) for metric in metrics}
    return _joined(weights, own) or (Term(task.climbed, 0.0),)


def level_of(metric: Metric) -> str | Loss | None:
    """What an attack climbs of a metric; None for the task's loss."""
    return metric.smooth or metric.stand_in


def _joined(weights: Mapping[str | Loss, float], levels: Collection[str | Loss | None]) -> tuple[Term, ...]:
    """A term of each loss and its weight; one of all pixelwise levels with the same base."""
    terms, sums = [], dict[Any, list[tuple[float, Any]]]()
    for loss, weight in weights.items():
        level = LEVELS.get(loss) if isinstance(loss, str) and loss in levels else None
        if isinstance(level, PixelSum):
            sums.setdefault(level.base, []).extend((weight * factor, part) for factor, part in level.parts)
        else:
            terms.append(Term(loss, weight, loss in levels and _is_decision(loss)))
    return (*terms, *(Term(PixelSum(base, tuple(parts)), 1.0, True) for base, parts in sums.items()))


def _is_decision(level: str | Loss) -> bool:
    """Whether a level is more than a loss that is a metric as well, such as the cross-entropy."""
    return not isinstance(level, str) or level in LEVELS


def scale_of(task: Task, term: Term) -> Scale | None:
    """The scale that a term sees the task's logits in; None where there are none, or a user's loss sees them as is."""
    if isinstance(term.loss, str):
        kind = KINDS.get(term.loss)
        return SCALES.get(term.loss) or (None if kind is None else OF_KIND.get(kind))
    return OF_KIND.get(task.holds) if term.decision else None
