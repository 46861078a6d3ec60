"""The vocabulary of dense prediction tasks. Imports nothing of the project and no torch.

A `Task` says how many channels a head has, which loss trains and attacks it, and which metrics score it.
The sets are those of arXiv 2305.12066: NYUv2 with three tasks and Tiny-Taxonomy with five.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mtlbench.errors import DataError, UsageError


@dataclass(frozen=True)
class Task:
    """One dense prediction task.

    Args:
        name: the task's name in configuration, tables and batches, for example ``depth``.
        channels: channels of its head; the number of classes for segmentation.
        loss: a key of `mtlbench.engine.losses.LOSSES`.
        metrics: keys of `mtlbench.metrics.METRICS`, in table order.
        class_weights: weight of each class in the cross-entropy, or empty for equal weights.
    """

    name: str
    channels: int
    loss: str
    metrics: tuple[str, ...]
    class_weights: tuple[float, ...] = ()

    @property
    def target_channels(self) -> int:
        """Channels of its target: class ids have one, whatever the number of classes."""
        return 1 if self.loss == "cross_entropy" else self.channels

    def check_shapes(self, prediction: Sequence[int], target: Sequence[int], mask: Sequence[int]) -> None:
        """Refuse shapes that broadcasting would take without a word.

        Args:
            prediction: [B, C, h, w].
            target: [B, c, H, W] with c = `target_channels`.
            mask: [B, 1, H, W].

        Raises:
            DataError: one of them has another shape.
        """
        images, size = prediction[0], target[2:]
        if (
            prediction[1] != self.channels
            or target[:2] != (images, self.target_channels)
            or mask[:2] != (images, 1)
            or mask[2:] != size
        ):
            raise DataError(
                f"{self.name}: prediction {list(prediction)}, target {list(target)}, mask {list(mask)}; expected "
                f"[{images}, {self.channels}, h, w], [{images}, {self.target_channels}, H, W] and [{images}, 1, H, W]"
            )


SEGMENTATION, NORMALS, DEPTH = "segmentation", "normals", "depth"
KEYPOINTS2D, EDGE_TEXTURE = "keypoints2d", "edge_texture"
EVERY_TASK = "all"
"""The target of an attack on all tasks at once."""

WITHOUT_UNIT = {
    SEGMENTATION: ("miou", "pixel_accuracy", "cross_entropy"),
    NORMALS: ("angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30", "cosine_similarity"),
}
"""Metrics that may score a task on any dataset. Those of the other tasks depend on the unit of their targets."""


def three_tasks(classes: int = 40) -> tuple[Task, ...]:
    """Segmentation, surface normals and depth in metres, with the metrics reported on NYUv2."""
    return (
        Task(SEGMENTATION, classes, "cross_entropy", ("miou", "pixel_accuracy")),
        Task(
            NORMALS,
            3,
            "cosine",
            ("angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30"),
        ),
        Task(DEPTH, 1, "l1", ("abs_err", "rel_err", "delta_1.25", "delta_1.25^2", "delta_1.25^3")),
    )


def five_tasks(class_weights: Sequence[float]) -> tuple[Task, ...]:
    """The Tiny-Taxonomy set; one segmentation class per entry of `class_weights`."""
    weights = tuple(float(w) for w in class_weights)
    return (
        Task(SEGMENTATION, len(weights), "cross_entropy", ("cross_entropy",), weights),
        Task(NORMALS, 3, "cosine", ("cosine_similarity",)),
        Task(DEPTH, 1, "l1", ("log_depth_err",)),
        Task(KEYPOINTS2D, 1, "l1", ("keypoint_err",)),
        Task(EDGE_TEXTURE, 1, "l1", ("edge_err",)),
    )


def scored_by(tasks: Sequence[Task], metrics: Mapping[str, Sequence[str]]) -> tuple[Task, ...]:
    """The tasks, some of them with other metrics than the published tables have.

    Raises:
        UsageError: an unknown task, or a metric that does not fit it.
    """
    option = "dataset.metrics"
    known = {task.name: task for task in tasks}
    example = f"expected metrics for a task, for example {option}={{{tasks[0].name}:[{tasks[0].metrics[0]}]}}"
    if not isinstance(metrics, Mapping):
        raise UsageError(f"{option}={metrics}: {example}")
    for name, chosen in metrics.items():
        if name not in known:
            raise UsageError(f"{option}.{name}: no such task; expected one of {', '.join(known)}")
        fitting = tuple(dict.fromkeys((*known[name].metrics, *WITHOUT_UNIT.get(name, ()))))
        plain = isinstance(chosen, Sequence) and not isinstance(chosen, str)
        if not plain or not chosen or any(metric not in fitting for metric in chosen):
            raise UsageError(f"{option}.{name}={chosen}: expected a list of one or more of {', '.join(fitting)}")
        known[name] = replace(known[name], metrics=tuple(metric for metric in fitting if metric in chosen))
    return tuple(known.values())


def scoring(own: Sequence[Task], scored: Sequence[Task]) -> str:
    """What stands behind a dataset's name in tables: ``(segmentation=miou)``; nothing if no task has other metrics."""
    other = [f"{b.name}={'+'.join(b.metrics)}" for a, b in zip(own, scored, strict=True) if a.metrics != b.metrics]
    return f"({','.join(other)})" if other else ""


def select(tasks: Sequence[Task], names: Sequence[str] | None, option: str) -> tuple[Task, ...]:
    """The tasks called `names`, in the order of `tasks`; all of them where `names` is None.

    Raises:
        UsageError: a name is unknown; the message names `option` and lists what exists.
    """
    if names is None:
        return tuple(tasks)
    known = [task.name for task in tasks]
    if not isinstance(names, Sequence) or not names or any(name not in known for name in names):
        raise UsageError(f"{option}={names}: expected one or more of {', '.join(known)}")
    return tuple(task for task in tasks if task.name in names)
