"""The vocabulary of tasks: their constructors, their shapes, other metrics for the same tasks."""

from collections.abc import Callable

import pytest

from mtlbench.engine.losses import LOSSES
from mtlbench.errors import DataError, UsageError
from mtlbench.metrics import METRICS, PixelMean
from mtlbench.tasks import (
    DEPTH,
    KINDS,
    NORMALS,
    SEGMENTATION,
    WITHOUT_UNIT,
    Task,
    classification,
    depth,
    five_tasks,
    multilabel,
    normals,
    regression,
    scored_by,
    scoring,
    segmentation,
    three_tasks,
)

FIVE = five_tasks([1.0, 2.0])


def test_other_metrics_and_nothing_else() -> None:
    scored = scored_by(FIVE, {SEGMENTATION: ["miou"]})
    assert scored[0].metrics == ("miou",)
    assert scored[1:] == FIVE[1:]
    assert scored_by(FIVE, {SEGMENTATION: ["pixel_accuracy", "miou", "miou"]})[0].metrics == ("miou", "pixel_accuracy")
    assert (scored[0].loss, scored[0].channels, scored[0].class_weights) == ("cross_entropy", 2, (1.0, 2.0))


def test_the_name_tells_what_differs() -> None:
    assert scoring(FIVE, scored_by(FIVE, {})) == ""
    assert scoring(FIVE, scored_by(FIVE, {SEGMENTATION: ["cross_entropy"]})) == ""
    both = scored_by(FIVE, {NORMALS: ["angle_mean"], SEGMENTATION: ["miou", "pixel_accuracy"]})
    assert scoring(FIVE, both) == "(segmentation=miou+pixel_accuracy,normals=angle_mean)"


def test_metrics_without_unit_are_those_of_both_sets() -> None:
    for task in (*three_tasks(), *FIVE):
        if task.holds != "values":
            assert set(task.metrics) <= set(WITHOUT_UNIT[task.holds, task.per_image])
    assert {metric for metrics in WITHOUT_UNIT.values() for metric in metrics} <= set(METRICS)


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        (
            [SEGMENTATION],
            "dataset.metrics=['segmentation']: expected metrics for a task, for example dataset.metrics={",
        ),
        ({"segmentatoin": ["miou"]}, "dataset.metrics.segmentatoin: no such task; expected one of segmentation, nor"),
        ({SEGMENTATION: "miou"}, "dataset.metrics.segmentation=miou: expected a list of one or more of cross_entropy"),
        ({SEGMENTATION: []}, "expected a list of one or more of cross_entropy, miou, pixel_accuracy"),
        ({SEGMENTATION: [["miou"]]}, "expected a list of one or more of"),
        ({SEGMENTATION: ["angle_mean"]}, "expected a list of one or more of"),
        ({DEPTH: ["rel_err"]}, "dataset.metrics.depth=['rel_err']: expected a list of one or more of log_depth_err"),
    ],
)
def test_wrong_metrics(metrics: object, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        scored_by(FIVE, metrics)  # type: ignore[arg-type]
    assert says in str(caught.value)


# Constructors

USUAL = [
    segmentation(["wall", "floor"]),
    depth(),
    normals(),
    regression("mm", outputs=2),
    classification(3),
    multilabel(["male", "young"]),
]


def test_the_published_sets_are_what_they_were() -> None:
    """Names, channels, losses and metrics are in the keys of stored results and in recipes."""
    angles = ("angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30")
    deltas = ("abs_err", "rel_err", "delta_1.25", "delta_1.25^2", "delta_1.25^3")
    assert three_tasks(13) == (
        Task("segmentation", 13, "cross_entropy", ("miou", "pixel_accuracy")),
        Task("normals", 3, "cosine", angles),
        Task("depth", 1, "l1", deltas),
    )
    assert FIVE[0] == Task("segmentation", 2, "cross_entropy", ("cross_entropy",), (1.0, 2.0))
    assert FIVE[1] == Task("normals", 3, "cosine", ("cosine_similarity",))


@pytest.mark.parametrize("task", USUAL, ids=lambda task: task.name)
def test_the_usual_tasks_are_made_of_what_exists(task: Task) -> None:
    assert {task.loss, task.climbed} <= set(LOSSES)
    assert set(task.metric_names) <= set(METRICS)
    assert task.kind is None, "its loss tells"
    assert KINDS.get(str(task.climbed), "values") == task.holds
    assert scored_by([task], {task.name: list(task.metric_names)}) == (task,)


def test_what_the_constructors_say() -> None:
    by_name = {task.name: task for task in USUAL}
    assert [task.channels for task in USUAL] == [2, 1, 3, 2, 3, 2]
    assert [task.target_channels for task in USUAL] == [1, 1, 3, 2, 1, 2]
    assert {name for name, task in by_name.items() if task.per_image} == {"regression", "classification", "attributes"}
    assert by_name["segmentation"].labels == ("wall", "floor")
    assert by_name["segmentation"].ignore == 255
    assert by_name["classification"].climbed == "class_margin"
    assert by_name["attributes"].climbed == "label_margin"
    assert by_name["depth"].climbed == "l1"
    assert depth("disparity", inverse=True).metrics == ("abs_err",)


def test_a_loss_of_ones_own_says_nothing_of_the_target() -> None:
    def mine(*_: object) -> None:
        raise NotImplementedError

    assert classification(3, loss=mine).holds == "classes"
    assert normals(loss="l1").holds == "directions"
    assert Task("x", 2, mine, ()).holds == "values"
    assert Task("x", 2, mine, (), kind="attributes").target_channels == 2


def test_a_description_names_what_decides_the_numbers() -> None:
    assert normals().described() == {"channels": 3, "loss": "cosine", "metrics": list(normals().metrics)}
    assert classification(["good", "hole"], ignore=-1).described() == {
        "channels": 2,
        "loss": "cross_entropy",
        "metrics": ["accuracy", "balanced_accuracy", "macro_f1"],
        "attack_loss": "class_margin",
        "per_image": True,
        "ignore": -1,
    }
    assert normals(loss="l1").described()["kind"] == "directions"
    mean = PixelMean("sum", "mm", False, statistic="sums", total=1, count=0, compute=max)
    described = regression("mm", loss=test_what_the_constructors_say, metrics=("mae", mean)).described()
    assert described["loss"] == "tests.test_tasks:test_what_the_constructors_say"
    assert described["metrics"][1]["computed_by"] == "builtins:max"
    assert described["unit"] == "mm"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: classification(1), "classification classification: classes=1: expected two or more"),
        (lambda: classification("defect"), "classes=defect: expected a whole number of at least 1"),
        (lambda: classification(["a", "a"]), "classes=['a', 'a']: expected one or more names, each once"),
        (lambda: multilabel([]), "attributes=[]: expected one or more names"),
        (lambda: segmentation(3, class_weights=[1, 2]), "2 class weights for 3 classes"),
        (lambda: classification(3, metrics=("cross_entropy",)), "cross_entropy is no metric of images"),
        (lambda: depth(inverse=True, metrics=("abs_err", "rel_err")), "rel_err are of depth, the targets are inverse"),
        (lambda: regression(outputs=0), "regression regression: outputs=0: expected a whole number"),
    ],
)
def test_wrong_tasks(make: Callable[[], Task], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "shapes",
    [
        ([4, 3], [4, 1], [4, 1]),  # vectors, not maps
        ([4, 3, 2, 2], [4, 1, 1, 1], [4, 1, 1, 1]),
        ([4, 3, 1, 1], [4, 1, 2, 2], [4, 1, 2, 2]),
        ([4, 2, 1, 1], [4, 1, 1, 1], [4, 1, 1, 1]),
        ([4, 3, 1, 1], [4, 3, 1, 1], [4, 1, 1, 1]),
        ([4, 3, 1, 1], [1, 1, 1, 1], [4, 1, 1, 1]),
        ([4, 3, 1, 1], [4, 1, 1, 1], [4]),
    ],
)
def test_wrong_shapes_of_a_task_per_image(shapes: tuple[list[int], ...]) -> None:
    task = classification(3, name="defect")
    task.check_shapes([4, 3, 1, 1], [4, 1, 1, 1], [4, 1, 1, 1])
    says = r"^defect: prediction .* expected \[4, 3, 1, 1\], \[4, 1, 1, 1\] and \[4, 1, 1, 1\]$"
    with pytest.raises(DataError, match=says):
        task.check_shapes(*shapes)
