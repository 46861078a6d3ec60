"""Which images are saved."""

import numpy as np
import pytest

from mtlbench.experiment.chosen import by_damage, choose


def losses(*rises: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Of one attack: clean losses of 1, and the losses that rise by so much; a row a task."""
    rise = np.array(rises).T
    return np.ones_like(rise), 1 + rise


def test_the_order_is_that_of_the_mean_rank() -> None:
    # Ranks of image 0, 1, 2: task one 3 1 2, task two 2 1 3, task three 1 2 3; the means 2, 4/3, 8/3.
    assert list(by_damage([losses([9, 0, 1], [1, 0, 2], [0, 1, 2])])) == [2, 0, 1]


def test_several_attacks_count_equally() -> None:
    # Means over the two attacks: image 0 (3 + 2) / 2, image 1 (2 + 3) / 2, image 2 1; the first of equals comes first.
    assert list(by_damage([losses([9, 5, 0]), losses([5, 9, 0])])) == [0, 1, 2]


def test_a_huge_rise_from_almost_nothing_is_one_rank() -> None:
    clean, attacked = losses([1, 2, 3], [1, 2, 3])
    clean[0, 0], attacked[0, 0] = 1e-9, 1.0
    assert list(by_damage([(clean, attacked)])) == [2, 0, 1]


def test_negative_losses_rise_too() -> None:
    clean, attacked = np.array([[-2.0], [-2.0]]), np.array([[-1.9], [1.0]])
    assert list(by_damage([(clean, attacked)])) == [1, 0]


def test_an_image_without_targets_comes_last() -> None:
    clean, attacked = losses([0, 1, 2])
    clean[2] = attacked[2] = 0  # the loss of an empty mask
    assert list(by_damage([(clean, attacked)])) == [1, 0, 2]


@pytest.mark.parametrize(
    ("number", "roles"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (8, [3, 2, 3])]
)
def test_roles(number: int, roles: list[int]) -> None:
    chosen = choose([losses(list(range(100)))], number)
    assert [[place.role for place in chosen].count(role) for role in ("worst", "median", "best")] == roles


def test_eight_of_a_hundred() -> None:
    chosen = choose([losses(list(range(100)))], 8)
    assert [place.rank for place in chosen] == [1, 2, 3, 50, 51, 98, 99, 100]
    assert [place.index for place in chosen] == [99, 98, 97, 50, 49, 2, 1, 0]


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("images", range(1, 12))
def test_no_image_is_chosen_twice(number: int, images: int) -> None:
    chosen = [place.index for place in choose([losses(list(range(images)))], number)]
    assert len(set(chosen)) == len(chosen) == min(number, images)
