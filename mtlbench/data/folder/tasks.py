"""Converts a described target to a `Task`."""

from mtlbench.data.folder.description import ATTRIBUTES, CLASSES, DEPTH, NORMALS, NOT_OF_INVERSE, Target
from mtlbench.errors import UsageError
from mtlbench.tasks import (
    DEPTH_METRICS,
    REGRESSION_METRICS,
    Task,
    classification,
    depth,
    multilabel,
    normals,
    regression,
    segmentation,
)


def task_of(target: Target, source: str) -> Task:
    """The task of a target.

    Raises:
        UsageError: metrics that do not fit the target.
    """
    if target.kind == ATTRIBUTES:
        return multilabel(target.classes, name=target.name)
    if target.kind == CLASSES and target.per_image:
        return classification(target.classes, name=target.name)
    if target.kind == CLASSES:
        return segmentation(target.classes, name=target.name)
    if target.kind == NORMALS:
        return normals(name=target.name)
    if target.kind == DEPTH:
        return _depth(target, source)
    return regression(
        target.unit or "1",
        name=target.name,
        outputs=target.channels,
        per_image=target.per_image,
        metrics=_metrics(target, source, REGRESSION_METRICS),
    )


def _depth(target: Target, source: str) -> Task:
    unit = target.unit or ("1/m" if target.inverse else "m")
    metrics = _metrics(target, source, DEPTH_METRICS[:1] if target.inverse else DEPTH_METRICS)
    return depth(unit, name=target.name, inverse=target.inverse, metrics=metrics)


def _metrics(target: Target, source: str, fitting: tuple[str, ...]) -> tuple[str, ...]:
    """Those that the description names, or all that fit."""
    if set(target.metrics) - set(fitting):
        why = f"; {NOT_OF_INVERSE}" if target.inverse else ""
        raise UsageError(
            f"{source}: tasks.{target.name}.metrics={list(target.metrics)}: expected {', '.join(fitting)}{why}"
        )
    return target.metrics or fitting
