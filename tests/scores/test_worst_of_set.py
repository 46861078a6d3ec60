"""SEA's worst case for mIoU: by hand, and never above the choice by pixel accuracy."""

from itertools import product

import numpy as np
import pytest

from mtlbench.scores.worst_of_set import lowest_accuracy, lowest_miou, miou, worst_of_set
from mtlbench.storage.store import Cell

# Two images of two classes, ten pixels each: correct, truth, predicted. Image 0 is all of class 0, image 1 of class 1.
BY_HAND = np.array([[[6, 0, 10, 0, 6, 4], [0, 5, 0, 10, 5, 5]], [[5, 0, 10, 0, 5, 5], [0, 6, 0, 10, 4, 6]]], float)


def test_by_hand() -> None:
    """Attack 1 leaves image 0 fewer right pixels (5 of 10), attack 0 image 1 (5 of 10): IoU 5 / 15 of either class."""
    assert lowest_accuracy(BY_HAND).tolist() == [1, 0]
    assert miou(BY_HAND[[1, 0], [0, 1]].sum(0)) == pytest.approx(5 / 15)
    assert lowest_miou(BY_HAND).tolist() == [1, 0], "every other choice is higher"


def test_a_class_that_is_not_there_does_not_count() -> None:
    assert miou(np.array([3, 0, 6, 0, 3, 3], float)) == 0.5
    assert np.isnan(miou(np.zeros(6)))


def random_counts(seed: int, attacks: int = 3, images: int = 5, classes: int = 3) -> np.ndarray:
    draw = np.random.default_rng(seed)
    truth = draw.multinomial(30, np.full(classes, 1 / classes), size=images)
    correct = draw.integers(0, truth + 1, (attacks, *truth.shape))
    wrong = 30 - correct.sum(2)
    added = np.stack([[draw.multinomial(n, np.full(classes, 1 / classes)) for n in row] for row in wrong])
    return np.concatenate([correct, np.broadcast_to(truth, correct.shape), correct + added], axis=2).astype(float)


def of(counts: np.ndarray, choice: object) -> float:
    return miou(counts[np.asarray(choice), np.arange(counts.shape[1])].sum(0))


@pytest.mark.parametrize("seed", range(8))
def test_it_is_never_above_the_choice_by_accuracy_and_no_single_change_lowers_it(seed: int) -> None:
    counts = random_counts(seed)
    found = lowest_miou(counts)
    assert of(counts, found) <= of(counts, lowest_accuracy(counts))
    for image, attack in product(range(5), range(3)):
        other = found.copy()
        other[image] = attack
        assert of(counts, other) >= of(counts, found) - 1e-12


def test_a_rare_class_is_worth_more_than_many_pixels() -> None:
    """Attack 0 takes 20 of 90 common pixels, attack 1 all of 10 rare ones: IoU 70/90 and 10/30, or 90/100 and 0."""
    counts = np.array([[[70, 10, 90, 10, 70, 30]], [[90, 0, 90, 10, 100, 0]]], float)
    assert lowest_accuracy(counts).tolist() == [0]
    assert lowest_miou(counts).tolist() == [1]
    assert of(counts, [0]) == pytest.approx((70 / 90 + 10 / 30) / 2)
    assert of(counts, [1]) == pytest.approx(0.45)


def member(loss: str, counts: np.ndarray, **identity: object) -> Cell:
    about = {"attack": "one_of_sea", "objective": {"name": "one_of_sea", "part": loss}, "target": "segmentation"}
    return Cell({**about, "eps": 8.0, **identity}, {}, {}, {"segmentation/class_counts": counts})


def test_members_of_one_attack_belong_together() -> None:
    cells = [member(loss, counts) for loss, counts in zip(("masked_ce", "js"), BY_HAND, strict=True)]
    others = [member("js", BY_HAND[0], eps=4.0), Cell({"attack": "dgba"}, {}, {}, {})]
    table = worst_of_set([*cells, *others]).set_index("eps")
    assert table.loc[8.0, ["pixel_accuracy", "miou", "worst_miou"]].tolist() == pytest.approx([0.5, 1 / 3, 1 / 3])
    assert table.loc[4.0, "pixel_accuracy"] == pytest.approx(11 / 20)
    assert len(worst_of_set([])) == 0
