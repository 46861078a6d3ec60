"""Attacks without gradients that are stronger than others: which are compared, and by how much."""

from typing import Any

import pandas as pd
import pytest

from mtlbench.scores.gradient_free import GAIN, GAIN_LOW, with_gradient_free
from tests.frames import CELL, damages, wide

HOW = ("gradients_per_image", "forwards_per_image", "transferred")
WHITE = {"step": "pgd", "gradients_per_image": 10, "forwards_per_image": 10}
SQUARE = {"step": "square", "gradients_per_image": 0, "forwards_per_image": 100}


def attack(name: str, how: dict[str, Any], percent: list[float], **more: object) -> tuple[Any, dict[str, Any]]:
    """Rows of its metrics with replicates, and its checks."""
    about = {"step": how["step"], "cell": name, **more}
    drop = pd.Series(percent, dtype=float).to_numpy()
    return damages({"depth": drop}, **about), {
        **CELL,
        **about,
        "norm": "linf",
        **{key: how.get(key, False) for key in HOW},
    }


def gains(*attacks: tuple[Any, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Cell -> gain and its lower end, where there is one."""
    clean = [row for row in attacks[0][0] if row["attack"] == "none"]
    clean = [row | {"values": row["values"].repeat(3)[:3]} for row in clean]
    parts = [[row for row in rows if row["attack"] != "none"] for rows, _ in attacks]
    numbers = pd.DataFrame([one for _, one in attacks])
    found = with_gradient_free(numbers, lambda keys: wide(clean, *parts))
    if GAIN not in found:
        return {}
    known = found[found[GAIN].notna()].set_index("cell")
    return {str(cell): (row[GAIN], row[GAIN_LOW]) for cell, row in known.iterrows()}


def test_the_gain_and_its_lower_end() -> None:
    """Replicates of the difference are 4 and 12: their 2.5 percentile is 4.2."""
    found = gains(attack("white", WHITE, [10, 10, 8]), attack("square", SQUARE, [18, 14, 20]))
    assert found == {"white": (pytest.approx(8), pytest.approx(4.2))}


def test_a_weaker_one_has_a_negative_gain() -> None:
    found = gains(attack("white", WHITE, [10, 10, 10]), attack("square", SQUARE, [3, 3, 3]))
    assert found == {"white": (pytest.approx(-7), pytest.approx(-7))}


def test_what_was_made_on_another_model_counts() -> None:
    found = gains(attack("white", WHITE, [10, 10, 10]), attack("other", {**WHITE, "transferred": True}, [13, 13, 13]))
    assert found == {"white": (pytest.approx(3), pytest.approx(3))}


def test_of_several_the_surest() -> None:
    white = attack("white", WHITE, [10, 10, 10])
    found = gains(white, attack("one", SQUARE, [30, 0, 60]), attack("two", SQUARE, [12, 11, 13]))
    assert found == {"white": (pytest.approx(2), pytest.approx(1.05))}


@pytest.mark.parametrize(
    "other", [{"eps": 4.0}, {"seed": 1}, {"target": "depth"}, {"model": "else"}, {"split": "val"}]
)
def test_only_the_same_is_compared(other: dict[str, object]) -> None:
    assert gains(attack("white", WHITE, [1, 1, 1]), attack("square", SQUARE, [9, 9, 9], **other)) == {}


@pytest.mark.parametrize("forwards", [None, 0])
def test_noise_and_older_cells_are_no_attack_without_gradients(forwards: int | None) -> None:
    other = {"step": "-", "gradients_per_image": 0, "forwards_per_image": forwards}
    assert gains(attack("white", WHITE, [1, 1, 1]), attack("noise", other, [9, 9, 9])) == {}


def test_nothing_gives_nothing() -> None:
    assert with_gradient_free(pd.DataFrame(), lambda keys: wide(damages({"depth": 1.0}))).empty


def test_what_a_check_of_some_images_found_counts_where_it_says_more() -> None:
    rows, about = attack("white", WHITE, [10, 10, 10])
    white = rows, {**about, "gradient_free_gain": 7.0, "gradient_free_low": 6.0, "gradient_free_high": 8.0}
    weaker = gains(white, attack("square", SQUARE, [12, 11, 13]))
    assert weaker["white"] == pytest.approx((7, 6))
    stronger = gains(white, attack("square", SQUARE, [18, 17, 20]))
    assert stronger["white"][0] == pytest.approx(8)
