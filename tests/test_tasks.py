"""The vocabulary of tasks: other metrics for the same tasks."""

import pytest

from mtlbench.errors import UsageError
from mtlbench.metrics import METRICS
from mtlbench.tasks import DEPTH, NORMALS, SEGMENTATION, WITHOUT_UNIT, five_tasks, scored_by, scoring, three_tasks

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
