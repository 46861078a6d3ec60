"""The vocabulary of dense prediction tasks. Imports nothing of the project and no torch.

A `Task` says how many channels a head has, which loss trains and attacks it, and which metrics score it.
The sets are those of arXiv 2305.12066: NYUv2 with three tasks and Tiny-Taxonomy with five.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mtlbench.errors import UsageError


@dataclass(frozen=True)
class Task:
    """One dense prediction task.

    Args:
        name: the task's name in configuration, tables and batches, for example ``depth``.
        channels: channels of its head; the number of classes for segmentation.
        loss: a key of `mtlbench.losses.LOSSES`.
        metrics: keys of `mtlbench.metrics.METRICS`, in table order.
        class_weights: weight of each class in the cross-entropy, or empty for equal weights.
    """

    name: str
    channels: int
    loss: str
    metrics: tuple[str, ...]
    class_weights: tuple[float, ...] = ()


SEGMENTATION, NORMALS, DEPTH = "segmentation", "normals", "depth"
KEYPOINTS2D, EDGE_TEXTURE = "keypoints2d", "edge_texture"


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
