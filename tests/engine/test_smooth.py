"""Smooth levels of metrics: the metric as the temperature goes to 0, bounded where it is, and differentiable."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, SmoothARP, SmoothLog, Total, WorstTask
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD
from mtlbench.engine import smooth
from mtlbench.engine.losses import LOSSES, TaskLosses
from mtlbench.engine.smooth import LEVELS
from mtlbench.engine.terms import terms_of
from mtlbench.metrics import METRICS, Metric, PixelMean, metrics_of, values
from mtlbench.metrics.measure import measure
from mtlbench.tasks import (
    Loss,
    Task,
    classification,
    depth,
    five_tasks,
    multilabel,
    normals,
    regression,
    segmentation,
)
from tests.device import HERE, here
from tests.fakes import RGBGolden, rows

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

N, C, SIZE = 6, 4, (5, 7)
TASKS = {
    task.name: task
    for task in (
        segmentation(C, metrics=("miou", "pixel_accuracy", "cross_entropy")),
        normals(
            metrics=("angle_mean", "angle_median", "within_11.25", "within_22.5", "within_30", "cosine_similarity")
        ),
        depth(),
        Task("keypoints", 2, "l1", ("keypoint_err",)),
        Task("log_depth", 1, "l1", ("log_depth_err",)),
        Task("edges", 1, "l1", ("edge_err",)),
        classification(C, metrics=("accuracy", "error", "balanced_accuracy", "macro_f1")),
        regression(outputs=3),
        multilabel(3),
    )
}
WITHOUT = {"label_f1", "mean_ap", "auroc", "r2", "span_f1"}
"""Metrics that say that they have no level: of a set of images, not of one."""
CASES = [(task.name, metric.name) for task in TASKS.values() for metric in metrics_of(task) if metric.smooth]


def drawn(task: Task, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random prediction, target and mask of N images, in double precision."""
    random = torch.Generator().manual_seed(seed)
    size = (1, 1) if task.per_image else SIZE
    prediction = torch.randn(N, task.channels, *size, generator=random)
    if task.holds == "classes":
        target = torch.randint(0, task.channels, (N, 1, *size), generator=random)
    elif task.holds == "attributes":
        target = torch.randint(0, 2, (N, task.channels, *size), generator=random)
    else:
        target = torch.randn(N, task.channels, *size, generator=random)
    if task.name == "depth":  # ratios near the thresholds, and some below 0
        target = target.abs() + 0.5
        prediction = target * (1 + 0.5 * prediction)
    mask = torch.rand(N, 1, *size, generator=random) > (-1 if task.per_image else 0.3)
    return here(prediction).double(), here(target.double() if target.is_floating_point() else target), here(mask)


def level(metric: Metric, prediction: Tensor, *rest: Any) -> Tensor:
    loss: Loss = LOSSES[str(metric.smooth)]
    return loss(prediction, *rest, None)


def of_each_image(task: Task, metric: Metric, prediction: Tensor, target: Tensor, mask: Tensor) -> np.ndarray:
    """The metric of every image alone, by the code that scores."""
    found = []
    for i in range(N):
        parts = [{task.name: part[i : i + 1]} for part in (prediction, target, mask)]
        measured = measure([task], *parts)
        arrays = {k: v.cpu().numpy() for k, v in (measured.per_image | measured.pooled).items()}
        found.append(values([task], arrays, np.ones((1, 1)), "standard")[task.name, metric.name][0])
    return np.array(found)


def missing(metric: Metric, value: np.ndarray) -> np.ndarray:
    """What is missing to the best value; the value where lower is better."""
    return (100 if metric.unit == "%" else 1) - value if metric.higher_is_better else value


@pytest.mark.parametrize(("name", "metric"), [case for case in CASES if case[1] != "angle_median"])
def test_a_level_is_the_metric_as_the_temperature_goes_to_0(
    name: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of random predictions, none of them on a border; colder logits are larger ones."""
    task = TASKS[name]
    (one,) = (m for m in metrics_of(task) if m.name == metric)
    prediction, target, mask = drawn(task)
    expected = missing(one, of_each_image(task, one, prediction, target, mask))
    monkeypatch.setattr(smooth, "ANGLE", 1e-6)
    monkeypatch.setattr(smooth, "LOG_RATIO", 1e-6)
    cold = 1e6 if one.smooth in LEVELS and task.holds in ("classes", "attributes") else 1.0
    found = level(one, cold * prediction, target, mask)
    np.testing.assert_allclose(found.cpu(), expected, rtol=1e-4, atol=1e-6)


def test_the_median_angle_is_stood_for_by_the_mean() -> None:
    assert METRICS["angle_median"].smooth == METRICS["angle_mean"].smooth == "angle"


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_a_level_is_bounded_where_its_metric_is(name: str, metric: str) -> None:
    task = TASKS[name]
    (one,) = (m for m in metrics_of(task) if m.name == metric)
    prediction, target, mask = drawn(task)
    for factor in (1e-3, 1.0, 1e3):
        found = level(one, factor * prediction, target, mask)
        assert (found >= 0).all()
        if one.higher_is_better:
            most = {"%": 100, "1": 2 if metric == "cosine_similarity" else 1}[one.unit]
            assert (found <= most).all()


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_gradients_agree_with_finite_differences(name: str, metric: str) -> None:
    task = TASKS[name]
    (one,) = (m for m in metrics_of(task) if m.name == metric)
    prediction, target, mask = drawn(task, seed=1)
    part = prediction[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: level(one, z, target[:2], mask[:2]), part, atol=1e-5)


def test_every_metric_says_whether_it_has_a_level() -> None:
    assert {name for name, metric in METRICS.items() if metric.smooth is None} == WITHOUT
    assert {str(metric.smooth) for metric in METRICS.values() if metric.smooth} <= LOSSES.keys()
    assert LEVELS.keys() <= {str(metric.smooth) for metric in METRICS.values()}, "each is used"


def test_a_term_is_the_mean_of_level_over_clean_value() -> None:
    clean = {("normals", "angle_mean"): 20.0, ("normals", "within_30"): 80.0, ("normals", "angle_median"): 10.0}
    task = replace(TASKS["normals"], metrics=("angle_mean", "angle_median", "within_30"))
    drawn_here = drawn(task)
    (term,) = terms_of(task, clean)  # angles are computed once
    angle, beyond = (LOSSES[name](*drawn_here, None) for name in ("angle", "beyond_30_degrees"))
    assert callable(term.loss)
    assert torch.allclose(term.weight * term.loss(*drawn_here, None), (angle / 20 + angle / 10 + beyond / 80) / 3)


def test_a_metric_without_a_level_is_stood_for_by_the_loss() -> None:
    task = TASKS["regression"]
    clean = {("regression", name): 0.5 for name in ("mae", "rmse", "r2")}
    losses = {term.loss: term.weight for term in terms_of(task, clean)}
    assert losses == pytest.approx({"mean_error": 2 / 3, "root_mean_square": 2 / 3, "l1": 2 / 3})


STAND_INS = {"span_f1": "one_minus_p", "label_f1": "wrong_labels", "mean_ap": "wrong_labels", "auroc": "wrong_labels"}


def test_the_stand_ins_are_levels_of_bounded_metrics() -> None:
    """Without one a metric must have no limit itself: r2."""
    assert {name: metric.stand_in for name, metric in METRICS.items() if metric.stand_in} == STAND_INS
    assert {name for name, metric in METRICS.items() if not (metric.smooth or metric.stand_in)} == {"r2"}


def test_a_metric_of_a_set_is_stood_for_by_a_bounded_level_over_its_own_clean_value() -> None:
    task = Task("slots", C, "cross_entropy", ("span_f1", "token_accuracy"))
    (term,) = terms_of(task, {("slots", "span_f1"): 0.8, ("slots", "token_accuracy"): 0.5})
    assert (term.loss, term.decision) == ("one_minus_p", True)
    assert term.weight == pytest.approx((1 / 0.8 + 1 / 0.5) / 2)


@pytest.mark.parametrize("nothing", [0.0, 1e-7, float("nan")])
def test_a_metric_without_a_relative_drop_is_left_out(nothing: float) -> None:
    task = TASKS["segmentation"]
    clean = {("segmentation", name): nothing for name in task.metric_names}
    assert [term.weight for term in terms_of(task, clean)] == [0]
    one = terms_of(task, clean | {("segmentation", "miou"): 0.5})
    assert {term.loss: term.weight for term in one} == pytest.approx({"soft_iou": 2 / 3})


def double_error(prediction: Tensor, target: Tensor, mask: Tensor, class_weights: Tensor | None) -> Tensor:
    return 2 * (prediction - target).abs().flatten(1).mean(1)


def test_a_metric_of_the_user_may_declare_one() -> None:
    own = PixelMean("own", "1", False, statistic="error_sums", total="abs", smooth=double_error)
    task = regression(metrics=("mae", own))
    assert {term.loss for term in terms_of(task, {("regression", "mae"): 1, ("regression", "own"): 1})} == {
        "mean_error",
        double_error,
    }
    assert own.described() == {**PixelMean("own", "1", False, statistic="error_sums", total="abs").described()}


# In attacks


def climb(golden: RGBGolden, objective: Objective, tasks: tuple[Task, ...] | None = None, **options: Any) -> Tensor:
    batch = golden.batches[0]
    attack = Attack(objective, PGD(3, 0.5), golden.tasks if tasks is None else tasks, **options)
    eps = torch.full((len(batch),), 8 / 255, **HERE)
    return attack(golden.seen_by(attack, batch), batch.input, eps, PerImage(0, batch.names))


@pytest.fixture(scope="module")
def nyuv2() -> RGBGolden:
    return RGBGolden("nyuv2")


def test_smooth_log_is_dgba_where_the_metrics_are_losses() -> None:
    """Tiny-Taxonomy is scored by what it is trained by but for segmentation's class weights, which count in both."""
    golden = RGBGolden("tiny_taxonomy")
    assert torch.equal(climb(golden, SmoothLog()), climb(golden, DGBA()))
    assert not torch.equal(climb(golden, SmoothLog()), climb(golden, Total()))
    five = five_tasks([1.0, 2.0])
    for task in five:
        (term,) = terms_of(task, {(task.name, task.metric_names[0]): 1.0})
        assert term.loss == task.climbed


@pytest.mark.parametrize("objective", [SmoothARP(), SmoothLog(), WorstTask()], ids=lambda o: o.name)
def test_the_order_of_the_tasks_does_not_matter(nyuv2: RGBGolden, objective: Objective) -> None:
    forth = climb(nyuv2, objective)
    back = climb(nyuv2, objective, tuple(nyuv2.tasks[::-1]))
    assert ((forth - back).abs() < 1e-6).float().mean() > 0.999


@pytest.mark.parametrize("objective", [SmoothARP(), SmoothLog(), WorstTask()], ids=lambda o: o.name)
@pytest.mark.parametrize("factor", [8.0, 128.0, 100.0])
def test_the_scale_of_the_logits_changes_nothing(nyuv2: RGBGolden, objective: Objective, factor: float) -> None:
    """A power of two no bit; of another factor only what rounding makes of gradients near 0."""
    plain, forward = climb(nyuv2, objective), nyuv2.forward

    def confident(image: Tensor, names: Any = None) -> dict[str, Tensor]:
        found = forward(image, names)
        return {name: factor * part if name == "segmentation" else part for name, part in found.items()}

    scaled = RGBGolden("nyuv2")
    scaled.forward = confident  # type: ignore[method-assign]
    found = climb(scaled, objective)
    if factor == 100:
        assert ((found - plain).abs() < 1e-6).float().mean() > 0.99
    else:
        assert torch.equal(found, plain)


def test_the_metrics_that_an_attack_climbs_need_not_be_those_that_score(nyuv2: RGBGolden) -> None:
    plain = climb(nyuv2, SmoothARP())
    other = climb(nyuv2, SmoothARP(), metrics={"normals": ("cosine_similarity",)})
    assert not torch.equal(plain, other)


def test_without_clean_values_there_is_nothing_to_divide_by(nyuv2: RGBGolden) -> None:
    attack = Attack(SmoothARP(), PGD(1), nyuv2.tasks)
    with pytest.raises(ValueError, match="smooth_arp climbs metrics, which need their clean values"):
        TaskLosses.seen_by(attack, nyuv2.forward, nyuv2.batches[0])


def test_worst_task_weighs_the_least_hurt_task_most() -> None:
    clean = torch.tensor([[1.0], [2.0]], **HERE)
    bound = WorstTask(0.1).bind(lambda _: clean, torch.zeros(1, 3, 1, 1, **HERE))
    hurt = torch.tensor([[1.5], [2.1]], **HERE, requires_grad=True)
    score = bound.score(hurt)
    soft = -0.1 * (torch.exp(torch.tensor(-5.0)) + torch.exp(torch.tensor(-1.0))).log()
    assert score.item() == pytest.approx(soft.item(), abs=1e-5)
    score.sum().backward()
    assert hurt.grad is not None
    assert hurt.grad.flatten().tolist() == pytest.approx([0.018, 0.982], abs=1e-3)


def test_a_task_that_an_image_has_no_label_for_is_not_the_worst() -> None:
    nothing = torch.tensor([[1.0], [0.0]], **HERE)
    bound = WorstTask().bind(lambda _: nothing, torch.zeros(1, 3, 1, 1, **HERE))
    assert bound.score(torch.tensor([[1.4], [0.0]], **HERE)).item() == pytest.approx(0.4, abs=1e-5)


def test_images_do_not_influence_each_other(nyuv2: RGBGolden) -> None:
    batch = nyuv2.batches[0]
    attack = Attack(SmoothARP(), PGD(1), nyuv2.tasks)
    together = nyuv2.seen_by(attack, batch)(batch.input)
    for i in range(len(batch)):
        one = rows(batch, [i])
        alone = nyuv2.seen_by(attack, one)(one.input)
        torch.testing.assert_close(alone[:, 0], together[:, i], rtol=1e-5, atol=1e-7)
