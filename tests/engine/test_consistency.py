"""Consistency training: the drift of predictions by hand, and the step that descends it."""

import math
from dataclasses import replace

import pytest
import torch

from mtlbench.data.loader import in_order
from mtlbench.engine.consistency import Consistency, drift
from mtlbench.engine.losses import TaskLosses
from mtlbench.errors import UsageError
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.tasks import depth, multilabel, normals, segmentation
from tests.fakes import FakeDataset

TASKS = {task.holds: task for task in (segmentation(3), multilabel(["a", "b"], name="m"), normals(), depth())}
ONE_PIXEL = torch.ones(1, 1, 1, 1, dtype=torch.bool)


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, :, None, None]


@pytest.mark.parametrize(
    ("holds", "clean", "moved", "expected"),
    [
        # p = (1/2, 1/4, 1/4), q = (1/4, 1/2, 1/4): KL = 1/2 log 2 + 1/4 log 1/2 = 1/4 log 2
        ("classes", pixel(math.log(2), 0, 0), pixel(0, math.log(2), 0), math.log(2) / 4),
        # p = 1/2, q = 1/4: KL = 1/2 log 2 + 1/2 log 2/3; the other attribute has not moved
        ("attributes", pixel(0, 5), pixel(-math.log(3), 5), (math.log(2) + math.log(2 / 3)) / 4),
        ("directions", pixel(0, 0, 2), pixel(0, 3, 0), 1.0),
        ("directions", pixel(0, 0, 2), pixel(0, 0, 7), 0.0),
        ("values", pixel(1.5), pixel(-1), 2.5),
    ],
)
def test_by_hand(holds, clean, moved, expected) -> None:
    assert drift(TASKS[holds], clean, moved, ONE_PIXEL).tolist() == pytest.approx([expected], abs=1e-12)


@pytest.mark.parametrize("holds", TASKS)
def test_zero_where_nothing_moved_and_never_below(holds) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, moved = torch.randn(2, 4, TASKS[holds].channels, 3, 3, dtype=torch.float64, generator=generator)
    mask = torch.ones(4, 1, 3, 3, dtype=torch.bool)
    assert drift(TASKS[holds], clean, clean, mask).abs().max() < 1e-12
    assert drift(TASKS[holds], clean, moved, mask).min() > 0


@pytest.mark.parametrize("holds", TASKS)
def test_pixels_without_a_target_do_not_count(holds) -> None:
    generator = torch.Generator().manual_seed(1)
    clean, moved = torch.randn(2, 2, TASKS[holds].channels, 2, 2, dtype=torch.float64, generator=generator)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, :, :2, :2] = True  # of a target of twice the size: the first pixel of the prediction
    found = drift(TASKS[holds], clean, moved, mask)
    alone = drift(TASKS[holds], clean[:1, :, :1, :1], moved[:1, :, :1, :1], ONE_PIXEL)
    assert found.tolist() == pytest.approx([alone.item(), 0])


def test_rows_are_the_clean_losses_and_the_weighted_drift_with_both_gradients() -> None:
    dataset = FakeDataset(3)
    batch = next(iter(in_order(dataset, 3)))
    model = build(Tiny(0.25), level(3, 2), dataset.tasks, 0).eval()
    losses = TaskLosses(model, dataset.tasks, batch.targets, batch.masks, training=True)
    attacked = (batch.input + 0.05).clamp(0, 1)
    torch.testing.assert_close(Consistency(6.0)(model, losses, batch, batch.input), losses(batch.input))
    one, three = (Consistency(weight)(model, losses, batch, attacked) for weight in (1.0, 3.0))
    added = one - losses(batch.input)
    assert (added > 0).all()
    torch.testing.assert_close(three - losses(batch.input), 3 * added)
    clean, moved = batch.input.clone().requires_grad_(), attacked.clone().requires_grad_()
    rows = Consistency(1.0)(model, losses, replace(batch, input=clean), moved)
    drifts = torch.autograd.grad((rows - losses(clean)).sum(), (clean, moved))
    assert all(gradient.abs().max() > 1e-6 for gradient in drifts), "not of the losses alone"


@pytest.mark.parametrize("weight", [0, -1, "much", True, float("nan"), float("inf")])
def test_bad_weights(weight) -> None:
    with pytest.raises(UsageError, match=r"training.consistency=.*: expected .*6 in the paper"):
        Consistency(weight)
