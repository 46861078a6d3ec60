"""Masked per-image losses [B] for training on and attacking tasks, and what an attack climbs of them.

Every loss takes a prediction [B, C, h, w], a target [B, c, h, w] *at the prediction's size* (`at_size` resizes with
nearest, as the reference does), a mask [B, 1, h, w] bool and class weights [C] or None. Ignored pixels have weight 0.
An image without a valid pixel has loss exactly 0 and no gradient; `valid_images` counts the others. Shapes that fit
only by broadcasting raise a `DataError`. `plain` has what tasks are trained by, `scale_free` what a confident head
does not blunt, `dense` the field's attacks on segmentation, `smooth` the levels of metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy

import torch
from torch import Tensor

from mtlbench.attacks.attack import NORMALISED, RAW, Attack
from mtlbench.attacks.objectives.base import METRICS
from mtlbench.data.batch import Batch
from mtlbench.engine.dense import AS_REPORTED, DENSE, SCHEDULES
from mtlbench.engine.masked import at_size, masked_mean, valid_images
from mtlbench.engine.plain import PLAIN
from mtlbench.engine.scale_free import SCALE_FREE, SOFT, Scale, of_images
from mtlbench.engine.smooth import LEVELS
from mtlbench.engine.terms import Term, ValuesOf, scale_of, terms_of
from mtlbench.errors import DataError, UsageError
from mtlbench.metrics import metrics_of
from mtlbench.options import near, one_of
from mtlbench.tasks import Loss, Task, named

__all__ = ["LOSSES", "TaskLosses", "at_size", "check_levels", "loss_of", "masked_mean", "valid_images"]

Forward = Callable[[Tensor, Sequence[str]], Mapping[str, Tensor]]
LOSSES: dict[str, Loss] = {**PLAIN, **SCALE_FREE, **DENSE, **LEVELS}
"""Every loss by name."""


def loss_of(given: str | Loss) -> Loss:
    """The loss of that name; a function is returned unchanged.

    Raises:
        UsageError: no such name.
    """
    found = LOSSES.get(given) if isinstance(given, str) else given
    if found is None:
        raise UsageError(f"loss {given}: expected a function, or one of {', '.join(LOSSES)}")
    return found


def check_levels(tasks: Sequence[Task]) -> None:
    """Refuse a metric whose smooth level is no loss, before anything is trained or attacked.

    Raises:
        UsageError: the message names metric, task and level.
    """
    for task in tasks:
        for metric in metrics_of(task):
            level = metric.smooth
            if not (level is None or callable(level) or (isinstance(level, str) and level in LOSSES)):
                raise UsageError(
                    f"metric {metric.name} of task {task.name}: smooth={level}: expected a function, or one of "
                    f"{', '.join(LOSSES)}{near(str(level), list(LOSSES))}"
                )


class TaskLosses:
    """What an attack climbs, or a training descends, on a fixed batch, as a function of its images: x -> [T, B].

    A row is a task's loss, or the weighted sum of its `terms`. A task that is there several times has several rows.

    Args:
        forward: (images, task names) -> task name -> prediction; called with the names of `tasks` only, so that a
            model can run only their paths.
        tasks: the T tasks, in the order of the rows.
        targets: task name -> [B, c, H, W].
        masks: task name -> [B, 1, H, W] bool.
        clean: the clean inputs [B, ...], on which the scales of logits are measured, once and only if a loss needs
            them.
        logits: ``normalised`` divides the input of losses of logits by a third of its spread on the clean image, so
            that multiplying the logits by a constant changes nothing; ``raw`` does not.
        training: use the training losses; if false, those that an attack climbs.
        terms: of each of `tasks`, what takes the place of its loss, see `engine.terms`.
        steps: gradients of a run, for losses that change during it (`dense.SCHEDULES`).
    """

    def __init__(
        self,
        forward: Forward,
        tasks: Sequence[Task],
        targets: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        *,
        clean: Tensor | None = None,
        logits: str = RAW,
        training: bool = False,
        terms: Sequence[Sequence[Term]] | None = None,
        steps: int = 1,
    ) -> None:
        self.forward, self.tasks = forward, tuple(tasks)
        self.names = list(dict.fromkeys(task.name for task in tasks))
        self.targets = {name: targets[name] for name in self.names}
        self.masks = {name: masks[name] for name in self.names}
        self.clean, self.training, self.steps = clean, training, steps
        self.logits = one_of(logits, "attack.logits", (RAW, NORMALISED))
        self.terms = terms or [(Term(task.loss if training else task.climbed),) for task in self.tasks]
        self._gradients = 0
        self._sized: dict[tuple[str, tuple[int, int]], tuple[Tensor, Tensor]] = {}
        self._scales: dict[tuple[str, Scale], Tensor] | None = None

    @classmethod
    def seen_by(
        cls, attack: Attack, forward: Forward, batch: Batch, clean_values: ValuesOf | None = None
    ) -> "TaskLosses":
        """What an attack climbs on a batch.

        Args:
            attack: its objective says whether these are losses or metrics.
            forward: see `TaskLosses`.
            batch: clean images.
            clean_values: of the metrics, for an objective that climbs them.
        """
        terms, tasks = None, attack.seen
        if attack.objective.climbs == METRICS:
            if clean_values is None:
                raise ValueError(f"{attack.objective.name} climbs metrics, which need their clean values")
            terms = [terms_of(task, clean_values(tasks)) for task in tasks]
        return cls(
            forward,
            tasks,
            batch.targets,
            batch.masks,
            clean=batch.input,
            logits=attack.logits,
            terms=terms,
            steps=max(attack.step.steps, 1),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """The rows [T, B] of images `x`. Each call with a gradient is a step of a run, for `dense.SCHEDULES`."""
        rows = self.of(self.forward(x, self.names))
        self._gradients += rows.requires_grad
        return rows

    def of(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """The rows [T, B] of given predictions."""
        rows = zip(self.tasks, self.terms, strict=True)
        return torch.stack([self._row(task, terms, predictions[task.name]) for task, terms in rows])

    def repeat(self, times: int) -> "TaskLosses":
        """The same for a batch that holds the images `times` times in a row."""
        if times == 1:
            return self
        found = copy(self)
        found.targets = {k: v.repeat(times, 1, 1, 1) for k, v in self.targets.items()}
        found.masks = {k: v.repeat(times, 1, 1, 1) for k, v in self.masks.items()}
        found.clean = None if self.clean is None else torch.cat([self.clean] * times)
        found._sized, found._scales = {}, None
        return found

    def _row(self, task: Task, terms: Sequence[Term], prediction: Tensor) -> Tensor:
        task.check_shapes(prediction.shape, self.targets[task.name].shape, self.masks[task.name].shape)
        first, *others = [term.weight * self._value(task, term, prediction) for term in terms]
        return sum(others, start=first)

    def _value(self, task: Task, term: Term, prediction: Tensor) -> Tensor:
        """The value of a term [B]; where it has a judge that one's value, with the term's gradient."""
        given, options = term.loss, self._options(term)
        if given in AS_REPORTED:
            prediction = at_size(prediction, self._size(task.name))
        target, mask = self._at(task.name, (prediction.shape[-2], prediction.shape[-1]))
        if given in SCALE_FREE:
            options = {"scale": self._scale(task, term)}
        weights = prediction.new_tensor(task.class_weights) if task.class_weights and not term.decision else None
        values = loss_of(given)(self._seen(task, term, prediction), target, mask, weights, **options)
        if values.shape != (len(prediction),):
            raise DataError(
                f"{task.name}: loss {named(given)} is {list(values.shape)}; expected one number an image, "
                f"[{len(prediction)}]"
            )
        if self.training or term.judge is None:
            return values
        return self._value(task, term.judge, prediction.detach()) + (values - values.detach())

    def _options(self, term: Term) -> Mapping[str, object]:
        """What a loss that changes during a run is at this step."""
        schedule = SCHEDULES.get(term.loss) if isinstance(term.loss, str) and not self.training else None
        return {} if schedule is None else schedule(self._gradients % self.steps / self.steps)

    def _seen(self, task: Task, term: Term, prediction: Tensor) -> Tensor:
        """The prediction, or logits in units of a third of their clean spread where the term sees them so."""
        free = term.loss in SCALE_FREE or self.training or scale_of(task, term) is None
        if free or not (term.decision or self.logits == NORMALISED):
            return prediction
        scale = self._scale(task, term)
        if scale is None:
            raise ValueError("normalised logits need the clean images")
        return prediction / (scale / SOFT)[:, None, None, None]

    def _scale(self, task: Task, term: Term) -> Tensor | None:
        """The scale [B] of the task's clean logits that the term takes; None without clean images."""
        kind = scale_of(task, term)
        if self.clean is None or kind is None:
            return None
        if self._scales is None:
            with torch.no_grad():
                predictions = self.forward(self.clean, self.names)
            self._scales = {
                (one.name, kind): self._measured(one, kind, predictions[one.name])
                for one, terms in zip(self.tasks, self.terms, strict=True)
                for kind in self._kinds(one, terms)
            }
        return self._scales[task.name, kind]

    @staticmethod
    def _kinds(task: Task, terms: Sequence[Term]) -> list[Scale]:
        """The scales of a task's logits that its terms, or their judges, may take."""
        every = [one for term in terms for one in (term, term.judge) if one is not None]
        return list(dict.fromkeys(kind for term in every if (kind := scale_of(task, term)) is not None))

    def _measured(self, task: Task, kind: Scale, prediction: Tensor) -> Tensor:
        _, mask = self._at(task.name, (prediction.shape[-2], prediction.shape[-1]))
        return of_images(kind, prediction, mask)

    def _size(self, name: str) -> tuple[int, int]:
        return self.targets[name].shape[-2], self.targets[name].shape[-1]

    def _at(self, name: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        if (name, size) not in self._sized:
            self._sized[name, size] = at_size(self.targets[name], size), at_size(self.masks[name], size)
        return self._sized[name, size]
