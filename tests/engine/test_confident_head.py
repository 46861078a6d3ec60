"""Confidence is no robustness: the same decisions, attacked with the cross-entropy and with scale-free losses.

The head per image of a tree model here, on generated parts; docs/results/parts.md has the table of a trained one.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import mtlbench
from mtlbench.data.parts import render
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import Task, classification
from scripts.confident_head import FACTORS, LOSSES, TASK, more_confident

IMAGES, SIDE = 16, 32
DEFECT = classification(5, name=TASK)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def images() -> Tensor:
    pictures = [render(0, "test", index, SIDE, SIDE).rgb for index in range(IMAGES)]
    return torch.stack([torch.from_numpy(rgb).permute(2, 0, 1) for rgb in pictures]).float() / 255


@pytest.fixture(scope="module")
def model(images: Tensor) -> TreeModel:
    """Without training: its decisions are the truth, the median gap between its two highest logits is 6."""
    random = build(Tiny(0.5), level(1, 0), [DEFECT], 0).eval()
    with torch.no_grad():
        highest = random(images)[TASK].flatten(1).topk(2).values
    return more_confident(random, TASK, 6 / float((highest[:, 0] - highest[:, 1]).median()))


def accuracy_left(model: TreeModel, images: Tensor, truth: Tensor, task: Task) -> float:
    attacked = mtlbench.perturb(model, images, {TASK: truth}, [task], 8, "single", "pgd", steps=10)
    with torch.no_grad():
        return float((model(attacked)[TASK].argmax(1).flatten() == truth).float().mean())


def test_cross_entropy_takes_confidence_for_robustness_and_margins_do_not(model: TreeModel, images: Tensor) -> None:
    with torch.no_grad():
        truth = model(images)[TASK].argmax(1).flatten()
    left: dict[str, list[float]] = {}
    for loss in LOSSES:
        task = replace(DEFECT, attack_loss=loss)
        left[loss] = [accuracy_left(more_confident(model, TASK, f), images, truth, task) for f in FACTORS]
    assert left["cross_entropy"][0] == 0
    assert left["cross_entropy"][-1] > 0.5
    assert left["dlr"] == left["class_margin"] == [0, 0, 0]


def test_by_default_it_is_a_scale_free_one() -> None:
    assert DEFECT.climbed == "class_margin"
