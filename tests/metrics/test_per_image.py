"""Metrics of tasks per image against values worked out by hand, and metrics of the user."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.errors import DataError, UsageError
from mtlbench.metrics import METRICS, Metric, PixelMean, metrics_of, values
from mtlbench.metrics.formulas import formulas_of, rebuilt
from mtlbench.metrics.measure import measure
from mtlbench.tasks import Task, classification, depth, multilabel, regression

pytestmark = pytest.mark.engine


def score(task: Task, prediction: Tensor, target: Tensor, weights: np.ndarray | None = None) -> dict[str, float]:
    """Metrics of vectors [N, C] and [N, c], all of which count."""
    parts = (prediction, target, torch.ones(len(target), 1).bool())
    predictions, targets, masks = ({task.name: part[:, :, None, None]} for part in parts)
    rows = {name: part.numpy() for name, part in measure([task], predictions, targets, masks).per_image.items()}
    drawn = np.ones((1, len(target))) if weights is None else weights
    found = [values([task], rows, drawn, scores) for scores in ("standard", "paper")]
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value)  # both score sets agree
    return {name: float(value[0]) for (_, name), value in found[0].items()}


def one_hot(classes: list[int]) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(classes)).float()


def test_classification_by_hand() -> None:
    """Recalls 2/3, 1, 0; F1 4/6, 4/5, 0."""
    truth = torch.tensor([[0], [0], [0], [1], [1], [2]])
    predicted = one_hot([0, 0, 1, 1, 1, 0, 2])[:6]
    task = classification(3, metrics=("accuracy", "error", "balanced_accuracy", "macro_f1"))
    found = score(task, predicted, truth)
    assert found == pytest.approx(
        {"accuracy": 4 / 6, "error": 2 / 6, "balanced_accuracy": 5 / 9, "macro_f1": (4 / 6 + 4 / 5) / 3}
    )
    assert not METRICS["error"].higher_is_better


def test_a_class_that_never_occurs_is_no_part_of_a_mean() -> None:
    found = score(classification(3), one_hot([0, 2, 1]), torch.tensor([[0], [1], [1]]))
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)


LABELS = multilabel(2, metrics=("label_accuracy", "label_f1", "mean_ap", "auroc"))


def test_labels_by_hand() -> None:
    """The first attribute is the example of scikit-learn's manual: average precision 5/6, area 3/4."""
    logits = torch.tensor([[0.1, 1.0], [0.4, -1.0], [0.35, 2.0], [0.8, -2.0]])
    labels = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    found = score(LABELS, logits, labels)
    assert found["label_accuracy"] == pytest.approx((2 / 4 + 1) / 2)
    assert found["label_f1"] == pytest.approx((4 / 6 + 1) / 2)
    assert found["mean_ap"] == pytest.approx((5 / 6 + 1) / 2)
    assert found["auroc"] == pytest.approx((3 / 4 + 1) / 2)


def test_equal_scores_stand_at_one_threshold_and_unknown_labels_count_for_nothing() -> None:
    logits = torch.tensor([[1.0], [1.0], [5.0], [1.0]])
    labels = torch.tensor([[1.0], [0.0], [torch.nan], [1.0]])
    found = score(replace(LABELS, channels=1), logits, labels)
    assert found == pytest.approx({"label_accuracy": 2 / 3, "label_f1": 4 / 5, "mean_ap": 2 / 3, "auroc": 1 / 2})


def test_an_attribute_without_a_label_of_1_is_no_part_of_the_mean() -> None:
    found = score(LABELS, torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert found == pytest.approx({"label_accuracy": 1 / 2, "label_f1": 1, "mean_ap": 1, "auroc": 1})


def test_rankings_weigh_images_like_copies_of_them() -> None:
    random = torch.Generator().manual_seed(0)
    logits, labels = (
        torch.randn(12, 2, generator=random).round(decimals=1),
        torch.rand(12, 2, generator=random).round(),
    )
    counts = torch.tensor([0, 3, 1, 1, 2, 0, 1, 1, 4, 1, 0, 1])
    copies = torch.arange(12).repeat_interleave(counts)
    assert score(LABELS, logits, labels, counts.double().numpy()[None]) == pytest.approx(
        score(LABELS, logits[copies], labels[copies])
    )


def test_regression_by_hand() -> None:
    """The examples of scikit-learn's manual."""
    one = score(regression(), torch.tensor([[2.5], [0.0], [2.0], [8.0]]), torch.tensor([[3.0], [-0.5], [2.0], [7.0]]))
    assert one == pytest.approx({"mae": 0.5, "rmse": 0.375**0.5, "r2": 0.9486081370449679})
    two = score(
        regression(outputs=2),
        torch.tensor([[0.0, 2.0], [-1.0, 2.0], [8.0, -5.0]]),
        torch.tensor([[0.5, 1.0], [-1.0, 1.0], [7.0, -6.0]]),
    )
    assert two["mae"] == pytest.approx(0.75)
    assert two["r2"] == pytest.approx(0.9368005266622779)


def test_targets_that_are_all_the_same_have_no_explained_variance() -> None:
    found = score(regression(), torch.tensor([[0.9], [1.3]]), torch.full((2, 1), 1.1))
    assert np.isnan(found["r2"])
    assert found["mae"] == pytest.approx(0.2)


def test_rankings_are_of_images() -> None:
    task = replace(LABELS, per_image=False)
    maps = {task.name: torch.zeros(1, 2, 2, 2)}
    with pytest.raises(DataError, match="mean_ap and auroc are of labels per image"):
        measure([task], maps, maps, {task.name: torch.ones(1, 1, 2, 2).bool()})


# Units


def test_errors_are_in_the_unit_of_the_targets() -> None:
    units = {m.name: m.unit for task in (regression("mm"), depth("disparity", inverse=True)) for m in metrics_of(task)}
    assert units == {"mae": "mm", "rmse": "mm", "r2": "1", "abs_err": "disparity"}
    assert {m.name: m.unit for m in metrics_of(regression())} == {"mae": "1", "rmse": "1", "r2": "1"}
    assert metrics_of(depth())[0] is METRICS["abs_err"]


# Metrics of the user


def fourth_powers(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Columns: sum, count."""
    error = torch.where(mask, prediction - target, 0).double().pow(4)
    return torch.stack([error.sum((1, 2, 3)), mask.sum((1, 2, 3))], 1)


FOURTH = PixelMean("fourth", "mm^4", False, statistic="powers", total=0, count=1, compute=fourth_powers)


@dataclass(frozen=True)
class Worst(Metric):
    """The largest error of any image."""

    statistics = ("largest",)
    above: float = 0.0

    @property
    def computed(self):
        return {"largest": lambda prediction, target, mask: (prediction - target).abs().amax((2, 3))}

    def value(self, statistics, weights, scores, batch=16):
        return np.where(weights > 0, statistics["largest"][:, 0], self.above).max(1)


OWN = Task("wear", 1, "l1", (FOURTH, "mae", Worst("worst", "mm", False)), per_image=True, unit="mm")


def test_own_metrics_are_measured_like_ours() -> None:
    found = score(OWN, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]]))
    assert found == pytest.approx({"fourth": (1 + 16) / 2, "mae": 1.5, "worst": 2})


def test_own_statistics_of_maps_are_of_the_targets_size() -> None:
    task = replace(OWN, metrics=(FOURTH,), per_image=False)
    maps = ({"wear": torch.full((2, 1, s, s), v)} for s, v in ((1, 1.0), (4, 3.0)))
    prediction, target = maps
    found = measure([task], prediction, target, {"wear": torch.ones(2, 1, 4, 4).bool()})
    assert found.per_image["wear/powers"].tolist() == [[16 * 16, 16]] * 2


def test_what_is_stored_of_a_quotient_needs_no_plugin() -> None:
    stored = formulas_of([OWN, depth(), depth("mm", name="height")])
    assert stored.keys() == {"wear", "height"}  # the metres of depth are known by name
    assert stored["height"].keys() == {"abs_err"}
    again = rebuilt("wear", "fourth", stored["wear"]["fourth"])
    assert isinstance(again, PixelMean)
    assert again == FOURTH
    assert again.compute is None
    assert rebuilt("wear", "rel_err", None) == "rel_err"
    mean = rebuilt("height", "abs_err", stored["height"]["abs_err"])
    assert mean == replace(METRICS["abs_err"], unit="mm")


def test_any_other_metric_is_told_with_its_plugin() -> None:
    described = formulas_of([OWN])["wear"]["worst"]
    assert rebuilt("wear", "worst", described) == OWN.metrics[2]  # its module is loaded
    with pytest.raises(DataError, match=r"worst of task wear is computed by mine.curves:Worst.*plugins=\[mine\]"):
        rebuilt("wear", "worst", {**described, "formula": "mine.curves:Worst"})
    for loaded in ("os:system", "builtins:dict", "mtlbench.metrics:values"):
        with pytest.raises(DataError, match="not loaded"):
            rebuilt("wear", "worst", {**described, "formula": loaded})


@pytest.mark.parametrize(
    "wrong", [{"scale": "2"}, {"unit": 1}, {"root": 0}, {"name": "other"}, {"total": -1}, {"scale": float("nan")}]
)
def test_a_damaged_description_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fourth"):
        rebuilt("wear", "fourth", {**FOURTH.described(), **wrong})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"total": "sum"}, "column 'sum' of powers: expected a number from 0"),
        ({"statistic": "depth_sums"}, "statistic depth_sums is mtlbench's; expected another name"),
        ({"statistic": "class_counts"}, "statistic class_counts is mtlbench's"),
        ({"statistic": "a/b"}, "statistic 'a/b': expected a plain name"),
        ({"statistic": "l1_sums", "compute": None, "total": 1}, "column 1 of l1_sums: expected one of count, abs"),
    ],
)
def test_wrong_quotients(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(FOURTH, **options)


def test_a_statistic_of_another_shape_names_the_task() -> None:
    broken = replace(FOURTH, compute=lambda *_: torch.zeros(3))
    with pytest.raises(DataError, match=r"wear: statistic powers is \[3\]; expected a tensor \[2, k\]"):
        score(replace(OWN, metrics=(broken,)), torch.zeros(2, 1), torch.zeros(2, 1))


def test_an_unknown_metric_names_the_task() -> None:
    with pytest.raises(UsageError, match=r"metric mse of task wear: expected a Metric, or one of miou"):
        metrics_of(replace(OWN, metrics=("mse",)))
