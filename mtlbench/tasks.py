"""The vocabulary of tasks: what a head predicts, what trains it, what attacks it, what scores it. No torch.

A `Task` is data: names of built-in losses and metrics, or objects of your own. The constructors write down the usual
ones (`segmentation`, `depth`, `normals`, `regression`, `classification`, `multilabel`); the two sets of
arXiv 2305.12066, NYUv2 with three tasks and Tiny-Taxonomy with five, are made of them.

    tasks = [segmentation(13, ignore=255), depth(unit="m"), classification(["good", "hole"], name="defect")]

A task *per image* is treated as a map of one pixel: its prediction is [B, C, 1, 1], so that all code works for both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

from mtlbench.errors import DataError, UsageError
from mtlbench.identity import dotted
from mtlbench.options import whole

Loss = Callable[..., Any]
"""(prediction [B, C, h, w], target [B, c, h, w], mask [B, 1, h, w], class weights [C] or None) -> losses [B], see
`mtlbench.engine.losses`."""

Kind = Literal["classes", "attributes", "directions", "values"]
"""What a target holds: one class id, a 0 or 1 for each attribute, a vector of any length, or numbers."""


class Scored(Protocol):
    """What a metric declares, see `mtlbench.metrics.Metric`."""

    @property
    def name(self) -> str:
        """In tables."""

    def described(self) -> dict[str, Any]:
        """Its definition, as JSON values."""


class HasName(Protocol):
    """A task, or what describes one."""

    @property
    def name(self) -> str:
        """Of the task."""


Named = TypeVar("Named", bound=HasName)


@dataclass(frozen=True)
class Task:
    """One task: a head, its target, its losses and its metrics.

    Args:
        name: the task's name in configuration, tables and batches, for example ``depth``.
        channels: channels of its head; the number of classes for segmentation and classification.
        loss: a key of `mtlbench.engine.losses.LOSSES`, or a function of that signature (`Loss`).
        metrics: keys of `mtlbench.metrics.METRICS`, or `Metric` objects, in table order.
        class_weights: weight of each class in the cross-entropy, or empty for equal weights.
        attack_loss: the loss that an attack climbs, given like `loss`; None = the training loss.
        per_image: one prediction an image, not one a pixel; maps are then 1x1.
        kind: what the target holds; derived from `loss` where that is built in.
        unit: of target and prediction, for example ``m``; empty where metrics have their own.
        labels: names of the classes or attributes, or empty.
        ignore: the value that marks ignored targets, used to make the masks.
    """

    name: str
    channels: int
    loss: str | Loss
    metrics: tuple[str | Scored, ...]
    class_weights: tuple[float, ...] = ()
    attack_loss: str | Loss | None = None
    per_image: bool = False
    kind: Kind | None = None
    unit: str = ""
    labels: tuple[str, ...] = ()
    ignore: float | None = None

    @property
    def holds(self) -> Kind:
        """What the target holds: `kind`, or derived from the built-in loss."""
        return self.kind or (KINDS.get(self.loss, "values") if isinstance(self.loss, str) else "values")

    @property
    def climbed(self) -> str | Loss:
        """The loss that an attack climbs."""
        return self.loss if self.attack_loss is None else self.attack_loss

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics, in table order."""
        return tuple(metric if isinstance(metric, str) else metric.name for metric in self.metrics)

    @property
    def target_channels(self) -> int:
        """Channels of its target: class ids have one, whatever the number of classes."""
        return 1 if self.holds == "classes" else self.channels

    def described(self) -> dict[str, Any]:
        """Everything except the name that affects its numbers, as JSON values; without unset fields and class names.

        A dataset with user-defined tasks includes it in its settings, so that it is part of every result's key.
        """
        found: dict[str, Any] = {"channels": self.channels, "loss": named(self.loss)}
        found["metrics"] = [metric if isinstance(metric, str) else metric.described() for metric in self.metrics]
        if self.attack_loss is not None:
            found["attack_loss"] = named(self.attack_loss)
        if self.kind is not None:
            found["kind"] = self.kind
        plain = {"class_weights": list(self.class_weights), "unit": self.unit}
        found |= {name: value for name, value in plain.items() if value}
        found |= {"per_image": True} if self.per_image else {}
        return found | ({} if self.ignore is None else {"ignore": self.ignore})

    def check_shapes(self, prediction: Sequence[int], target: Sequence[int], mask: Sequence[int]) -> None:
        """Refuse shapes that broadcasting would silently accept.

        Args:
            prediction: [B, C, h, w]; [B, C, 1, 1] of a task per image.
            target: [B, c, H, W] with c = `target_channels`; [B, c, 1, 1] of a task per image.
            mask: [B, 1, H, W].

        Raises:
            DataError: one of them has another shape; the message names the task.
        """
        images, size = tuple(prediction[:1]), tuple(target[2:])
        one = (1, 1)
        if (
            tuple(map(len, (prediction, target, mask))) != (4, 4, 4)
            or prediction[1] != self.channels
            or tuple(target[:2]) != (*images, self.target_channels)
            or tuple(mask[:2]) != (*images, 1)
            or tuple(mask[2:]) != size
            or (self.per_image and (tuple(prediction[2:]), size) != (one, one))
        ):
            b = images[0] if images else "B"
            h, w, tall, wide = (*one, *one) if self.per_image else ("h", "w", "H", "W")
            raise DataError(
                f"{self.name}: prediction {list(prediction)}, target {list(target)}, mask {list(mask)}; expected "
                f"[{b}, {self.channels}, {h}, {w}], [{b}, {self.target_channels}, {tall}, {wide}] and "
                f"[{b}, 1, {tall}, {wide}]"
            )


SEGMENTATION, NORMALS, DEPTH = "segmentation", "normals", "depth"
KEYPOINTS2D, EDGE_TEXTURE = "keypoints2d", "edge_texture"
EVERY_TASK = "all"
"""The target of an attack on all tasks at once."""

KINDS: Mapping[str, Kind] = {
    "cross_entropy": "classes",
    "class_margin": "classes",
    "dlr": "classes",
    "bce": "attributes",
    **dict.fromkeys(("one_minus_p", "tsallis", "masked_ce", "balanced_ce", "balanced_masked_ce", "js"), "classes"),
    **dict.fromkeys(("segpgd", "cospgd", "wrong_pixels"), "classes"),
    **dict.fromkeys(("soft_iou", "soft_f1", "soft_recall"), "classes"),
    **dict.fromkeys(("label_margin", "wrong_labels"), "attributes"),
    **dict.fromkeys(("cosine", "angle"), "directions"),
    **dict.fromkeys(("beyond_11.25_degrees", "beyond_22.5_degrees", "beyond_30_degrees"), "directions"),
}
"""Built-in loss -> what its target holds; all other losses take values."""

ANGLES = ("angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30")
DEPTH_METRICS = ("abs_err", "rel_err", "delta_1.25", "delta_1.25^2", "delta_1.25^3")
REGRESSION_METRICS = ("mae", "rmse", "r2")

WITHOUT_UNIT: Mapping[tuple[Kind, bool], tuple[str, ...]] = {
    ("classes", False): ("miou", "pixel_accuracy", "cross_entropy"),
    ("classes", True): ("accuracy", "error", "balanced_accuracy", "macro_f1"),
    ("attributes", False): ("label_accuracy", "label_f1"),
    ("attributes", True): ("label_accuracy", "label_f1", "mean_ap", "auroc"),
    ("directions", False): (*ANGLES, "cosine_similarity"),
    ("directions", True): (*ANGLES, "cosine_similarity"),
}
"""(kind, per image) -> metrics that fit it on any dataset. Metrics of values depend on the targets' unit."""


def segmentation(
    classes: int | Sequence[str],
    *,
    name: str = SEGMENTATION,
    ignore: float | None = 255,
    class_weights: Sequence[float] = (),
    loss: str | Loss = "cross_entropy",
    attack_loss: str | Loss | None = None,
    metrics: Sequence[str | Scored] = ("miou", "pixel_accuracy"),
) -> Task:
    """One class a pixel.

    Args:
        classes: how many, or their names; targets are ids from 0.
        name: of the task.
        ignore: the id of pixels that do not count.
        class_weights: of the cross-entropy, one a class.
        loss: see `Task`.
        attack_loss: see `Task`.
        metrics: see `Task`.
    """
    number, labels = _labels(classes, f"segmentation {name}: classes")
    weights = tuple(float(weight) for weight in class_weights)
    if weights and len(weights) != number:
        raise UsageError(f"segmentation {name}: {len(weights)} class weights for {number} classes")
    return Task(
        name,
        number,
        loss,
        _listed(metrics),
        weights,
        attack_loss,
        kind=_kind(loss, "classes"),
        labels=labels,
        ignore=ignore,
    )


def normals(
    *,
    name: str = NORMALS,
    loss: str | Loss = "cosine",
    attack_loss: str | Loss | None = None,
    metrics: Sequence[str | Scored] = ANGLES,
) -> Task:
    """Surface normals: three channels, of any length. Arguments as in `segmentation`."""
    return Task(name, 3, loss, _listed(metrics), attack_loss=attack_loss, kind=_kind(loss, "directions"))


def depth(
    unit: str = "m",
    *,
    name: str = DEPTH,
    inverse: bool = False,
    loss: str | Loss = "l1",
    attack_loss: str | Loss | None = None,
    metrics: Sequence[str | Scored] | None = None,
) -> Task:
    """Depth of each pixel.

    Args:
        unit: of the targets; with metres the metrics are those of the published tables, other units are shown in the
            tables.
        name: of the task.
        inverse: targets are 1 / depth, or a disparity, for which the relative error and the delta thresholds are not
            defined and are left out.
        loss: see `Task`.
        attack_loss: see `Task`.
        metrics: see `Task`; None takes those that fit.
    """
    if metrics is None:
        metrics = DEPTH_METRICS[:1] if inverse else DEPTH_METRICS
    elif inverse and (wrong := sorted({m for m in metrics if isinstance(m, str)} & set(DEPTH_METRICS[1:]))):
        raise UsageError(f"depth {name}: {', '.join(wrong)} are of depth, the targets are inverse; expected abs_err")
    return Task(name, 1, loss, _listed(metrics), attack_loss=attack_loss, unit="" if unit == "m" else unit)


def regression(
    unit: str = "1",
    *,
    name: str = "regression",
    outputs: int = 1,
    per_image: bool = True,
    loss: str | Loss = "l1",
    attack_loss: str | Loss | None = None,
    metrics: Sequence[str | Scored] = REGRESSION_METRICS,
) -> Task:
    """Numbers of each image, or of each pixel.

    Args:
        unit: of the targets; ``1`` for a pure number.
        name: of the task.
        outputs: how many numbers.
        per_image: false = of each pixel.
        loss: see `Task`; ``l1`` or ``l2``.
        attack_loss: see `Task`.
        metrics: see `Task`.
    """
    outputs = whole(outputs, f"regression {name}: outputs")
    unit = "" if unit == "1" else unit
    return Task(name, outputs, loss, _listed(metrics), attack_loss=attack_loss, per_image=per_image, unit=unit)


def classification(
    classes: int | Sequence[str],
    *,
    name: str = "classification",
    ignore: float | None = None,
    class_weights: Sequence[float] = (),
    loss: str | Loss = "cross_entropy",
    attack_loss: str | Loss | None = "class_margin",
    metrics: Sequence[str | Scored] = ("accuracy", "balanced_accuracy", "macro_f1"),
) -> Task:
    """One class per image. The cross-entropy of a confident head has no gradient, so the attack's loss is scale-free.

    Args:
        classes: two or more, or their names; targets are ids from 0.
        name: of the task.
        ignore: the id of images that do not count.
        class_weights: of the cross-entropy, one a class.
        loss: see `Task`.
        attack_loss: see `Task`.
        metrics: see `Task`; ``error`` is another one. Bounded metrics only: the relative drop of a cross-entropy near
            0 is meaningless.
    """
    number, labels = _labels(classes, f"classification {name}: classes")
    if number < 2:
        raise UsageError(f"classification {name}: classes={classes}: expected two or more")
    if "cross_entropy" in metrics:
        raise UsageError(f"classification {name}: cross_entropy is no metric of images; expected bounded ones")
    task = segmentation(
        number, name=name, ignore=ignore, class_weights=class_weights, loss=loss, attack_loss=attack_loss
    )
    return replace(task, metrics=_listed(metrics), per_image=True, labels=labels)


def multilabel(
    attributes: int | Sequence[str],
    *,
    name: str = "attributes",
    loss: str | Loss = "bce",
    attack_loss: str | Loss | None = "label_margin",
    metrics: Sequence[str | Scored] = ("label_accuracy", "label_f1"),
) -> Task:
    """Several binary attributes per image, one logit each; targets are 0 or 1, anything else (NaN, -1) is unknown.

    Args:
        attributes: how many, or their names.
        name: of the task.
        loss: see `Task`.
        attack_loss: see `Task`.
        metrics: see `Task`; ``mean_ap`` and ``auroc`` are the others.
    """
    number, labels = _labels(attributes, f"multilabel {name}: attributes")
    kind = _kind(loss, "attributes")
    return Task(name, number, loss, _listed(metrics), (), attack_loss, per_image=True, kind=kind, labels=labels)


def _listed(metrics: Sequence[str | Scored]) -> tuple[str | Scored, ...]:
    if isinstance(metrics, str):
        raise UsageError(f"metrics={metrics!r}: expected a list of metrics, such as [{metrics!r}]")
    return tuple(metrics)


def _labels(given: int | Sequence[str], option: str) -> tuple[int, tuple[str, ...]]:
    """Their number, and their names if they have any."""
    if isinstance(given, (list, tuple)):
        names = tuple(str(name) for name in given)
        if not names or len(set(names)) < len(names):
            raise UsageError(f"{option}={list(given)}: expected one or more names, each once")
        return len(names), names
    return whole(given, option), ()


def _kind(loss: str | Loss, kind: Kind) -> Kind | None:
    """`kind`, or None if the built-in loss implies it."""
    return None if isinstance(loss, str) and KINDS.get(loss, "values") == kind else kind


def named(loss: str | Loss) -> str:
    """The name of a built-in loss; ``module:function`` for any other."""
    return loss if isinstance(loss, str) else dotted(loss)


def three_tasks(classes: int = 40) -> tuple[Task, ...]:
    """Segmentation, surface normals and depth in metres, with the metrics reported on NYUv2."""
    return segmentation(classes, ignore=None), normals(), depth()


def five_tasks(class_weights: Sequence[float]) -> tuple[Task, ...]:
    """The Tiny-Taxonomy set; one segmentation class per entry of `class_weights`."""
    return (
        segmentation(len(class_weights), ignore=None, class_weights=class_weights, metrics=("cross_entropy",)),
        normals(metrics=("cosine_similarity",)),
        Task(DEPTH, 1, "l1", ("log_depth_err",)),
        Task(KEYPOINTS2D, 1, "l1", ("keypoint_err",)),
        Task(EDGE_TEXTURE, 1, "l1", ("edge_err",)),
    )


def scored_by(
    tasks: Sequence[Task], metrics: Mapping[str, Sequence[str]], option: str = "dataset.metrics"
) -> tuple[Task, ...]:
    """The tasks, with the metrics of some replaced by the chosen ones.

    Raises:
        UsageError: an unknown task, or a metric that does not fit it; the message names `option`.
    """
    known = {task.name: task for task in tasks}
    example = f"expected metrics for a task, for example {option}={{{tasks[0].name}:[{tasks[0].metric_names[0]}]}}"
    if not isinstance(metrics, Mapping):
        raise UsageError(f"{option}={metrics}: {example}")
    for name, chosen in metrics.items():
        if name not in known:
            raise UsageError(f"{option}.{name}: no such task; expected one of {', '.join(known)}")
        task = known[name]
        own = dict(zip(task.metric_names, task.metrics, strict=True))
        fitting = own | {m: m for m in WITHOUT_UNIT.get((task.holds, task.per_image), ()) if m not in own}
        plain = isinstance(chosen, Sequence) and not isinstance(chosen, str)
        if not plain or not chosen or any(not isinstance(m, str) or m not in fitting for m in chosen):
            raise UsageError(f"{option}.{name}={chosen}: expected a list of one or more of {', '.join(fitting)}")
        known[name] = replace(task, metrics=tuple(value for metric, value in fitting.items() if metric in chosen))
    return tuple(known.values())


def scoring(own: Sequence[Task], scored: Sequence[Task]) -> str:
    """The suffix of a dataset's name in tables: ``(segmentation=miou)``; empty if no task has other metrics."""
    other = [
        f"{b.name}={'+'.join(b.metric_names)}" for a, b in zip(own, scored, strict=True) if a.metrics != b.metrics
    ]
    return f"({','.join(other)})" if other else ""


def select(tasks: Sequence[Named], names: Sequence[str] | None, option: str) -> tuple[Named, ...]:
    """The tasks, or what describes them, called `names`, in the order of `tasks`; all of them where `names` is None.

    Raises:
        UsageError: a name is unknown; the message names `option` and lists what exists.
    """
    if names is None:
        return tuple(tasks)
    known = [task.name for task in tasks]
    if not isinstance(names, Sequence) or not names or any(name not in known for name in names):
        raise UsageError(f"{option}={names}: expected one or more of {', '.join(known)}")
    return tuple(task for task in tasks if task.name in names)
