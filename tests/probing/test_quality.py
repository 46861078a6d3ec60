"""Quality and the best constant: free of the logits' size, and not beaten by another constant."""

from math import isnan

import pytest
import torch
from torch import Tensor

from mtlbench.probing.quality import best_constant, quality
from mtlbench.tasks import Task, classification, depth, multilabel, normals, regression, segmentation

RANDOM = torch.Generator().manual_seed(0)


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=RANDOM)


ONES = torch.ones(6, 1, 8, 8, dtype=torch.bool)
ONE = torch.ones(6, 1, 1, 1, dtype=torch.bool)
EXAMPLES: list[tuple[Task, Tensor, Tensor]] = [
    (segmentation(3), (rand(6, 1, 8, 8) * 3).long(), rand(6, 1, 8, 8) > 0.3),
    (normals(), rand(6, 3, 8, 8) - 0.3, rand(6, 1, 8, 8) > 0.3),
    (depth(), rand(6, 1, 8, 8).square() + 0.5, rand(6, 1, 8, 8) > 0.3),
    (classification(3), (rand(6, 1, 1, 1) * 3).long(), ONE),
    (multilabel(4), (rand(6, 4, 1, 1) > 0.7).float(), ONE),
    (regression(), rand(6, 1, 1, 1), ONE),
]


@pytest.mark.parametrize(("task", "target", "mask"), EXAMPLES, ids=lambda one: getattr(one, "name", ""))
def test_no_other_constant_is_better(task: Task, target: Tensor, mask: Tensor) -> None:
    prediction = rand(6, task.channels, *target.shape[2:])
    best = best_constant(task, prediction, target, mask)
    for _ in range(50):
        other = (4 * rand(1, task.channels, 1, 1) - 2).expand_as(prediction)
        # The mean over images of a mean over pixels is not quite what a constant of all pixels minimises, and
        # frequencies are smoothed.
        assert quality(task, other, target, mask) > 0.9 * best


@pytest.mark.parametrize("task", [segmentation(3), multilabel(3)], ids=lambda task: str(task.name))
def test_logits_times_four_are_as_good(task: Task) -> None:
    """Logits that know something, so that the best temperature is not the largest of all."""
    target = (rand(6, task.target_channels, 8, 8) * (3 if task.holds == "classes" else 2)).long()
    known = torch.cat([target == 0, target == 1, target == 2], 1) if task.holds == "classes" else target
    prediction = known.float() + 2 * rand(6, 3, 8, 8) - 1
    mask = torch.ones(6, 1, 8, 8, dtype=torch.bool)
    once = quality(task, prediction, target, mask)
    assert quality(task, 4 * prediction, target, mask) == pytest.approx(once, rel=1e-5)


def test_large_maps_are_thinned_out() -> None:
    """Every n-th row and column of a map that repeats itself."""
    target = (rand(2, 1, 64, 64) * 3).long()
    prediction = rand(2, 3, 64, 64)
    mask = torch.ones_like(target, dtype=torch.bool)
    large = [one.repeat_interleave(4, 2).repeat_interleave(4, 3) for one in (prediction, target, mask)]
    assert quality(segmentation(3), *large) == pytest.approx(quality(segmentation(3), prediction, target, mask))


def test_targets_that_count_nowhere_on_a_coarse_map_have_no_constant() -> None:
    """A single pixel that a map of a quarter of the size does not sample."""
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    mask[:, :, 1, 1] = True
    target = rand(2, 1, 16, 16)
    assert isnan(best_constant(depth(), rand(2, 1, 4, 4), target, mask))
    assert not isnan(best_constant(depth(), rand(2, 1, 16, 16), target, mask))


def test_unknown_attributes_do_not_count() -> None:
    task = multilabel(2)
    target = torch.tensor([[1.0, float("nan")], [0.0, 1.0]])[:, :, None, None]
    prediction = torch.tensor([[5.0, -100.0], [-5.0, 5.0]])[:, :, None, None]
    mask = torch.ones(2, 1, 1, 1, dtype=torch.bool)
    assert quality(task, prediction, target, mask) < 1e-3
    assert best_constant(task, prediction, target, mask) == pytest.approx(0.52, abs=0.01)  # 2 of 3 at ln 2 and 1 at 0
