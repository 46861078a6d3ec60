"""Metrics against independent formulas, and what must not change them: batches, order, masks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mtlbench.metrics import METRICS, statistics_of, values
from mtlbench.metrics.layout import (
    BINS_PER_DEGREE,
    COLUMNS,
    LABEL_BLOCKS,
    NAMES,
    SCORE_BLOCKS,
    VARIANCE_BLOCKS,
    bins,
)
from mtlbench.metrics.measure import Measured, measure
from mtlbench.metrics.normals import coarse_median, fine_median
from mtlbench.metrics.statistics import STATISTICS
from mtlbench.tasks import Task, classification, five_tasks, multilabel, regression, three_tasks
from tests.device import DEVICE, HERE, here

CLASSES = 6
N = 9
ROUNDING = 1e-8  # a float32 function may round differently by the position in memory
HIDDEN = 4  # the image without a valid pixel
THREE = three_tasks(CLASSES)
FIVE = five_tasks([0.5, 2.0, 1.0, 3.0, 0.7, 9.0])
IMAGES = (
    classification(CLASSES, name="class"),
    multilabel(3, name="labels", metrics=("label_accuracy", "label_f1", "mean_ap", "auroc")),
    regression("mm", name="wear", outputs=2),
)
SETS = {"three": THREE, "five": FIVE, "images": IMAGES}
PIXELS = {name: tasks for name, tasks in SETS.items() if name != "images"}

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


def scene(tasks, n=N, size=(12, 20), seed=0):
    """Random predictions at half the size, targets and masks; one image has no valid pixel."""
    if tasks is IMAGES:
        return vectors(n, seed)
    g = torch.Generator().manual_seed(seed)
    predictions, targets, masks = {}, {}, {}
    for task in tasks:
        predictions[task.name] = torch.randn(n, task.channels, size[0] // 2, size[1] // 2, generator=g)
        targets[task.name] = torch.randn(n, task.channels, *size, generator=g)
        # As many valid pixels as the image's number is high: batch means and pixel means differ.
        masks[task.name] = torch.rand(n, 1, *size, generator=g) < torch.linspace(0.2, 1, n)[:, None, None, None]
        masks[task.name][HIDDEN % n] = n == 1
    labels = torch.randint(0, CLASSES - 1, (n, 1, *size), generator=g)  # the last class never occurs
    targets["segmentation"] = torch.where(masks["segmentation"], labels, 255).to(torch.uint8)
    targets["depth"] = targets["depth"].abs() + 0.1
    predictions["depth"] = predictions["depth"] + 0.8  # some are negative
    return predictions, targets, masks


def vectors(n, seed):
    """Random predictions, targets and masks of tasks per image; image `HIDDEN` and some others do not count."""
    g = torch.Generator().manual_seed(seed)
    predictions = {task.name: torch.randn(n, task.channels, 1, 1, generator=g) for task in IMAGES}
    labels = torch.randint(-1, 2, (n, 3, 1, 1), generator=g)  # -1 is unknown
    targets = {"class": torch.randint(0, CLASSES - 1, (n, 1, 1, 1), generator=g), "labels": labels.float()}
    targets["wear"] = 3 + torch.randn(n, 2, 1, 1, generator=g)
    masks = {task.name: torch.rand(n, 1, 1, 1, generator=g) < 0.9 for task in IMAGES}
    for mask in masks.values():
        mask[HIDDEN % n] = n == 1
    return predictions, targets, masks


def take(parts, index):
    return [{name: value[index] for name, value in part.items()} for part in parts]


def moved(parts):
    return [{name: here(value) for name, value in part.items()} for part in parts]


def statistics(tasks, parts, batch=N):
    n = len(next(iter(parts[0].values())))
    measured = Measured.join([measure(tasks, *moved(take(parts, slice(i, i + batch)))) for i in range(0, n, batch)])
    return {key: value.cpu().numpy() for key, value in (measured.per_image | measured.pooled).items()}


def score(tasks, parts, scores="standard", weights=None, batch=N, group=16):
    found = statistics(tasks, parts, batch)
    n = len(next(iter(parts[0].values())))
    weights = np.ones((1, n)) if weights is None else np.atleast_2d(np.asarray(weights, float))
    return {key: v[0] for key, v in values(tasks, found, weights, scores, group).items()}


def pixels(task, parts):
    """Prediction and target of every valid pixel, float64, [P, channels]."""
    predictions, targets, masks = (part[task] for part in parts)
    rows = torch.arange(targets.shape[2]) * predictions.shape[2] // targets.shape[2]
    columns = torch.arange(targets.shape[3]) * predictions.shape[3] // targets.shape[3]
    resized = predictions[:, :, rows][:, :, :, columns]
    keep = masks[:, 0]
    return resized.movedim(1, -1)[keep].double(), targets.movedim(1, -1)[keep].double()


# Oracles


def test_miou_equals_torchmetrics_over_the_classes_in_the_truth():
    from torchmetrics import JaccardIndex  # seconds, which only who runs this test should wait for

    parts = scene(THREE)
    p, t = pixels("segmentation", parts)
    per_class = JaccardIndex("multiclass", num_classes=CLASSES, average="none")(p.argmax(1), t[:, 0].long())
    present = torch.tensor([bool((t == c).any()) for c in range(CLASSES)])
    assert present.sum() == CLASSES - 1  # an absent class is no part of the mean, though it is predicted
    assert score(THREE, parts)["segmentation", "miou"] == pytest.approx(per_class[present].mean().item())


def test_paper_miou_leaves_out_a_class_without_a_hit():
    truth = torch.tensor([0, 0, 1, 1, 2, 2]).view(1, 1, 1, 6)
    logits = F.one_hot(torch.tensor([0, 0, 1, 0, 0, 0]), CLASSES).float().T.view(1, CLASSES, 1, 6)
    parts = ({"segmentation": logits}, {"segmentation": truth}, {"segmentation": truth >= 0})
    # IoU: 2 of 5, 1 of 2, 0 of 2
    assert score(THREE[:1], parts)["segmentation", "miou"] == pytest.approx((0.4 + 0.5 + 0) / 3)
    assert score(THREE[:1], parts, "paper")["segmentation", "miou"] == pytest.approx((0.4 + 0.5) / 2)


def expected_three(parts):
    p, t = pixels("segmentation", parts)
    result = {("segmentation", "pixel_accuracy"): (p.argmax(1) == t[:, 0]).double().mean()}
    p, t = pixels("normals", parts)
    angle = torch.rad2deg(torch.arccos((F.normalize(p, dim=1) * F.normalize(t, dim=1)).sum(1).clamp(-1, 1)))
    result["normals", "angle_mean"] = angle.mean()
    result["normals", "angle_median"] = torch.tensor(np.median(angle.numpy()))
    for most in (11.25, 22.5, 30):
        result["normals", f"within_{most}"] = 100 * (angle <= most).double().mean()
    p, t = pixels("depth", parts)
    result["depth", "abs_err"] = (p - t).abs().mean()
    result["depth", "rel_err"] = ((p - t).abs() / t).mean()
    for power, name in enumerate(("delta_1.25", "delta_1.25^2", "delta_1.25^3"), 1):
        right = (p > 0) & (p <= t * 1.25**power) & (t <= p * 1.25**power)
        result["depth", name] = 100 * right.double().mean()
    return {key: value.item() for key, value in result.items()}


def test_three_tasks_equal_independent_formulas():
    parts = scene(THREE)
    expected = expected_three(parts)
    found = score(THREE, parts)
    del found["segmentation", "miou"]
    median = ("normals", "angle_median")
    assert found.pop(median) == pytest.approx(expected.pop(median), abs=1e-3)
    assert found == pytest.approx(expected, rel=1e-6)


def test_five_tasks_equal_independent_formulas():
    parts = scene(FIVE)
    p, t = pixels("segmentation", parts)
    weights = torch.tensor(FIVE[0].class_weights).double()
    p2, t2 = pixels("normals", parts)
    expected = {
        ("segmentation", "cross_entropy"): F.cross_entropy(p, t[:, 0].long(), weights).item(),
        ("normals", "cosine_similarity"): F.cosine_similarity(p2, t2).mean().item(),
    }
    for task, name in (
        ("depth", "log_depth_err"),
        ("keypoints2d", "keypoint_err"),
        ("edge_texture", "edge_err"),
    ):
        expected[task, name] = F.l1_loss(*pixels(task, parts)).item()
    assert score(FIVE, parts) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("tasks", PIXELS.values(), ids=PIXELS)
def test_paper_means_are_means_over_groups_weighted_by_images(tasks):
    parts = scene(tasks)
    found, weights, total = score(tasks, parts, "paper", group=2), [2, 2, 2, 2, 1], {}
    groups = [take(parts, slice(i, i + 2)) for i in range(0, N, 2)]
    for group, weight in zip(groups, weights, strict=True):
        for key, value in score(tasks, group).items():
            total[key] = total.get(key, 0) + weight * value / N
    grouped = {
        *(
            "pixel_accuracy",
            "abs_err",
            "rel_err",
            "cross_entropy",
            "log_depth_err",
            "keypoint_err",
            "edge_err",
        )
    }
    standard = score(tasks, parts)
    for key, value in found.items():
        if key[1] in grouped:
            assert value == pytest.approx(total[key])
            assert value != pytest.approx(standard[key], rel=1e-4)


def test_a_paper_group_without_a_valid_pixel_takes_no_part():
    parts = scene(FIVE)
    others = [i for i in range(N) if i != HIDDEN]
    alone = score(FIVE, parts, "paper", group=1)
    assert alone == pytest.approx(score(FIVE, take(parts, others), "paper", group=1), rel=ROUNDING)


def test_paper_delta_lets_a_negative_prediction_pass():
    target = torch.full((1, 1, 2, 2), 2.0)
    for prediction, paper, standard in ((-2.0, 100, 0), (0.0, 0, 0), (2.0, 100, 100), (2.6, 0, 0)):
        parts = ({"depth": torch.full_like(target, prediction)}, {"depth": target}, {"depth": target > 0})
        assert score(THREE[2:], parts, "paper")["depth", "delta_1.25"] == paper
        assert score(THREE[2:], parts, "standard")["depth", "delta_1.25"] == standard


# Invariants


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
@pytest.mark.parametrize("scores", ["paper", "standard"])
def test_the_running_batch_size_changes_nothing(tasks, scores):
    parts = scene(tasks)
    whole = score(tasks, parts, scores, group=4)
    for batch in (1, 2, 7):
        assert score(tasks, parts, scores, batch=batch, group=4) == pytest.approx(whole, rel=ROUNDING)


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
def test_the_order_of_images_changes_nothing(tasks):
    parts = scene(tasks)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    assert score(tasks, take(parts, order)) == pytest.approx(score(tasks, parts), rel=ROUNDING)


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
@pytest.mark.parametrize("scores", ["paper", "standard"])
def test_a_common_weight_changes_nothing(tasks, scores):
    parts = scene(tasks)
    assert score(tasks, parts, scores, np.full(N, 2)) == pytest.approx(score(tasks, parts, scores), rel=1e-12)


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
def test_weights_count_images(tasks):
    """Zero drops an image, two repeats it; the median only nearly, because it comes from coarse bins."""
    parts = scene(tasks, size=(40, 60))
    weights = np.array([1, 0, 2, 1, 1, 3, 0, 1, 1])
    found = score(tasks, parts, weights=weights)
    expected = score(tasks, take(parts, torch.arange(N).repeat_interleave(torch.tensor(weights))))
    for key, value in expected.items():
        loose = key[1] == "angle_median"
        assert found[key] == pytest.approx(value, rel=0 if loose else ROUNDING, abs=0.2 if loose else 0)


def test_every_row_of_weights_is_its_own_replicate():
    found = statistics(THREE, scene(THREE))
    weights = np.random.default_rng(0).multinomial(N, np.full(N, 1 / N), 30).astype(float)
    for scores in ("paper", "standard"):
        together = values(THREE, found, weights, scores, 4)
        for r in (0, 29):
            alone = values(THREE, found, weights[[r]], scores, 4)
            for key, value in together.items():
                assert value.shape == (30,)
                assert value[r] == pytest.approx(alone[key].item(), rel=1e-12)


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
def test_what_the_mask_hides_changes_nothing(tasks):
    parts = scene(tasks)
    before = score(tasks, parts)
    for task in tasks:
        hidden = ~parts[2][task.name].expand_as(parts[1][task.name])
        target = parts[1][task.name]
        parts[1][task.name] = torch.where(hidden, 255 if task.holds == "classes" else torch.nan, target)
        parts[0][task.name][HIDDEN] = torch.nan
    assert score(tasks, parts) == before


def test_normals_of_any_length_and_type_score_the_same():
    raw = torch.randint(0, 255, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    prediction = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    mask = {"normals": torch.ones(2, 1, 8, 8, dtype=torch.bool)}
    found = score(THREE[1:2], ({"normals": prediction}, {"normals": raw}, mask))
    scaled = score(THREE[1:2], ({"normals": 1000 * prediction}, {"normals": raw / 255}, mask))
    assert found == pytest.approx(scaled, rel=1e-5)


def test_small_angles_are_exact_and_a_zero_prediction_is_90_degrees_off():
    degrees = torch.tensor([0.0, 0.001, 1.0, 179.9], **HERE)
    radians = torch.deg2rad(degrees).view(1, 1, 1, 4)
    target = torch.cat([radians.cos(), radians.sin(), torch.zeros_like(radians)], 1)
    prediction = torch.tensor([3.0, 0.0, 0.0], **HERE).view(1, 3, 1, 1)
    mask = torch.ones(1, 1, 1, 4, dtype=torch.bool, device=DEVICE)
    angle = STATISTICS["angle_sums"].map
    assert angle(prediction, target, mask).flatten().tolist() == pytest.approx(degrees.tolist(), rel=1e-4)
    assert angle(0 * prediction, target, mask).flatten().tolist() == pytest.approx([90] * 4)


# Undefined


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
@pytest.mark.parametrize("scores", ["paper", "standard"])
def test_no_valid_pixel_is_undefined_not_zero(tasks, scores):
    found = score(tasks, take(scene(tasks), slice(HIDDEN, HIDDEN + 1)), scores)
    assert all(np.isnan(value) for value in found.values())


@pytest.mark.parametrize("tasks", SETS.values(), ids=SETS)
@pytest.mark.parametrize("scores", ["paper", "standard"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_broken_prediction_is_never_robust(tasks, scores, value):
    """One pixel that is no number makes every metric of its task undefined; no warning, no infinity."""
    parts = scene(tasks)
    for task in tasks:
        parts[0][task.name][N - 1, 0, 0, 0] = value
    found = score(tasks, parts, scores, np.arange(N))
    for task in tasks:
        if task.holds in ("classes", "attributes") and value == torch.inf:
            continue  # an infinite logit is the largest
        assert np.isnan([found[task.name, name] for name in task.metrics]).all(), task.name
    assert not np.isinf(list(found.values())).any()


# Registry


def test_every_metric_declares_what_exists():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.unit
        assert set(metric.statistics) <= set(STATISTICS)
    for tasks in SETS.values():
        for task in tasks:
            assert set(task.metrics) <= set(METRICS)
            assert len(set(statistics_of(task))) == len(statistics_of(task))


OF_IMAGES = {"label_counts": "labels", "label_scores": "labels", "error_sums": "wear", "variance_sums": "wear"}
WIDTHS = {
    "label_counts": len(LABEL_BLOCKS) * 3,
    "label_scores": len(SCORE_BLOCKS) * 3,
    "variance_sums": len(VARIANCE_BLOCKS) * 2,
}


def test_statistics_have_their_declared_shapes_and_are_additive():
    task = Task("everything", CLASSES, "", tuple(METRICS))
    for name, statistic in STATISTICS.items():
        tasks = IMAGES if name in OF_IMAGES else THREE
        source = {"depth_sums": "depth", "l1_sums": "depth"}.get(name, "normals" if "ang" in name else "segmentation")
        source = {"cosine_sums": "normals", **OF_IMAGES}.get(name, source)
        prediction, target, mask = (part[source] for part in moved(scene(tasks)))
        labels = tuple(f"B-{i}" for i in range(prediction.shape[1])) if statistic.labelled else ()
        found = statistic(prediction, target, mask, labels=labels)
        width = len(COLUMNS[name]) if name in COLUMNS else WIDTHS.get(name, 3 * CLASSES)
        if name in BINS_PER_DEGREE:
            width = bins(name) + 1
        assert found.shape == ((width,) if statistic.pooled else (N, width)), name
        assert found.dtype == (torch.int64 if name in BINS_PER_DEGREE else torch.float64), name
        if statistic.pooled:
            halves = [statistic(prediction[i], target[i], mask[i]) for i in (slice(4), slice(4, N))]
            assert (halves[0] + halves[1] == found).all()
    assert set(statistics_of(task)) == set(STATISTICS) == NAMES


def test_measure_has_one_entry_for_each_statistic_that_is_needed():
    measured = measure(THREE, *moved(scene(THREE)))
    wanted = {f"{task.name}/{name}" for task in THREE for name in statistics_of(task)}
    assert set(measured.per_image) | set(measured.pooled) == wanted
    assert set(measured.pooled) == {"normals/angle_histogram_fine"}


def test_metrics_of_different_maps_share_a_task():
    names = ("angle_mean", "cosine_similarity", "angle_median")
    parts = scene(THREE)
    together = score([Task("normals", 3, "", names)], parts)
    for name in names:
        alone = score([Task("normals", 3, "", (name,))], parts)
        assert together["normals", name] == alone["normals", name]


# Medians


def test_medians_of_histograms():
    angles = np.random.default_rng(0).gamma(2, 12, 5001).clip(0, 180)
    for count in (5001, 5000):
        fine = np.bincount((angles[:count] * 512).astype(int), minlength=180 * 512 + 1)
        assert fine_median(fine) == pytest.approx(np.median(angles[:count]), abs=1 / 1024 + 1e-9)
    coarse = np.bincount(angles.astype(int), minlength=181)
    assert coarse_median(coarse[None].astype(float)) == pytest.approx(np.median(angles), abs=0.2)


def test_medians_without_pixels_or_with_a_nan_are_undefined():
    for last in (0, 1):
        counts = np.zeros(181)
        counts[-1] = last
        assert np.isnan(coarse_median(counts[None]))
        assert np.isnan(fine_median(counts.astype(int)))
    counts[10] = 5
    assert np.isnan(fine_median(counts.astype(int)))
