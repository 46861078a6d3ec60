"""Losses and metrics by name in yaml: built in, or a function or object of a plugin, ``my_tasks:wear_loss``."""

from collections.abc import Sequence
from dataclasses import replace

from mtlbench.config.build import attribute
from mtlbench.engine.losses import LOSSES, check_levels
from mtlbench.errors import UsageError
from mtlbench.metrics import METRICS, Metric
from mtlbench.options import near
from mtlbench.tasks import Loss, Scored, Task


def with_plugins(task: Task, plugins: Sequence[str]) -> Task:
    """The task with the named losses and metrics resolved.

    Raises:
        UsageError: a name is neither built in nor a function or `Metric` of a plugin; or a metric's level is no loss.
    """
    attack_loss = (
        None if task.attack_loss is None else loss_named(task.attack_loss, f"{task.name}.attack_loss", plugins)
    )
    found = replace(
        task,
        loss=loss_named(task.loss, f"{task.name}.loss", plugins),
        attack_loss=attack_loss,
        metrics=tuple(_metric(metric, f"{task.name}.metrics", plugins) for metric in task.metrics),
    )
    check_levels([found])
    return found


def loss_named(given: str | Loss, option: str, plugins: Sequence[str]) -> str | Loss:
    """A loss by its name; one of a plugin as the function.

    Raises:
        UsageError: there is none of that name.
    """
    if not isinstance(given, str) or given in LOSSES:
        return given
    try:
        found: Loss = attribute(given, option, f"{', '.join(LOSSES)}, or a function", plugins)
    except UsageError as error:
        raise UsageError(f"{error}{near(given, list(LOSSES))}") from error
    if not callable(found):
        raise UsageError(f"{option}={given}: expected a function of prediction, target, mask and class weights")
    return found


def _metric(given: str | Scored, option: str, plugins: Sequence[str]) -> str | Scored:
    if not isinstance(given, str) or given in METRICS:
        return given
    found = attribute(given, option, f"{', '.join(METRICS)}, or a Metric", plugins)
    if not isinstance(found, Metric):
        raise UsageError(f"{option}={given}: expected a mtlbench.metrics.Metric, not {type(found).__name__}")
    return found
