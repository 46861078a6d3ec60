"""What is in a pivot: rows, columns, caption, places, and no number that is averaged or lost."""

from math import nan

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.report import pivoting
from mtlbench.report.pivot import BEST, SECOND, Pivot
from mtlbench.report.pivoting import Value, pivot

VALUE = Value("value")
NAMES = ("model", "attack", "eps")


def frame(*rows: tuple[str, str, float, float], **columns: str) -> pd.DataFrame:
    """Rows of model, attack, eps and value."""
    return pd.DataFrame(rows, columns=[*NAMES, "value"]).assign(cell="k", **columns)


def texts(made: Pivot) -> list[list[str]]:
    return [["" if entry is None else entry.plain for entry in row] for row in made.entries]


def places(made: Pivot) -> list[list[int]]:
    return [[0 if entry is None else entry.place for entry in row] for row in made.entries]


def ranked(*values: float, model: str = "a") -> list[list[int]]:
    found = frame(*((model, str(number), 8.0, value) for number, value in enumerate(values)))
    return places(pivot(found, VALUE, further=NAMES, compared=["attack"]))


def test_what_varies_is_a_row_and_the_rest_is_in_the_caption() -> None:
    made = pivot(frame(("a", "x", 4, 1), ("a", "y", 4, 2), ("a", "x", 8, 3)), VALUE, further=NAMES, title="T")
    assert made.row_names == ("attack",)
    assert made.rows == (("x",), ("y",))
    assert made.columns == (("eps 4",), ("eps 8",))
    assert texts(made) == [["1.0", "3.0"], ["2.0", ""]]
    assert made.caption == "T; model a"


def test_rows_of_the_users_come_first_and_stay() -> None:
    made = pivot(frame(("a", "x", 4, 1), ("a", "y", 4, 2)), VALUE, rows=["eps"], columns=["attack"], further=NAMES)
    assert (made.row_names, made.rows, made.columns) == (("eps",), (("4",),), (("x",), ("y",)))


def test_one_result_has_a_row() -> None:
    made = pivot(frame(("a", "x", 4, 1)), VALUE, further=NAMES)
    assert (made.row_names, made.rows, texts(made)) == (("attack",), (("x",),), [["1.0"]])


def test_no_result_has_none() -> None:
    made = pivot(frame(), VALUE, further=NAMES)
    assert (made.rows, made.columns, made.entries, made.constants) == ((), (), (), ())


def test_results_that_differ_in_nothing_told_are_told_apart_by_their_cell() -> None:
    made = pivot(frame(("a", "x", 4, 1), ("a", "x", 4, 2)).assign(cell=["k", "l"]), VALUE, further=NAMES)
    assert made.rows == (("x", "k"), ("x", "l"))


def test_numbers_are_sorted_and_names_are_as_they_come() -> None:
    made = pivot(frame(("a", "y", 16, 1), ("a", "x", 4, 2), ("a", "y", 8, 3)), VALUE, further=NAMES)
    assert made.rows == (("y",), ("x",))
    assert made.columns == (("eps 4",), ("eps 8",), ("eps 16",))


def test_names_with_a_place_are_sorted_by_it() -> None:
    order = {"attack": {"z": 2.0, "y": 1.0}}
    made = pivot(frame(*(("a", name, 4, 1) for name in "xzy")), VALUE, further=NAMES, order=order)
    assert made.rows == (("y",), ("z",), ("x",))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from([4.0, 8.0])), unique=True))
def test_every_result_is_in_its_place(keys: list[tuple[str, str, float]]) -> None:
    numbers = {key: float(number) for number, key in enumerate(keys)}
    found = frame(*((*key, value) for key, value in numbers.items()))
    made = pivot(found, VALUE, rows=["model", "attack"], further=NAMES)
    shown = {
        (*row, float(column[0].removeprefix("eps "))): entry.value
        for row, entries in zip(made.rows, made.entries, strict=True)
        for column, entry in zip(made.columns, entries, strict=True)
        if entry is not None
    }
    assert shown == numbers


def test_the_largest_is_best_and_the_next_second() -> None:
    assert ranked(1.0, 3.0, 2.0) == [[0], [BEST], [SECOND]]


def test_what_is_printed_alike_has_one_place() -> None:
    assert ranked(3.04, 2.96, 2.0, 1.0) == [[BEST], [BEST], [SECOND], [0]]


def test_of_one_there_is_no_best_and_of_two_no_second() -> None:
    assert ranked(1.0) == [[0]]
    assert ranked(1.0, 2.0) == [[0], [BEST]]


def test_undefined_values_have_no_place() -> None:
    assert ranked(nan, 1.0, 2.0) == [[0], [0], [BEST]]


@settings(max_examples=30)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_places_follow_the_printed_numbers(values: list[float]) -> None:
    printed = [float(f"{value:.1f}") for value in values]
    for (place,), number in zip(ranked(*values), printed, strict=True):
        assert (place == BEST) == (number == max(printed) and len(values) > 1)


def test_only_results_that_are_comparable_are_compared() -> None:
    rows = [(m, a, e, v) for m in "ab" for e in (4, 8) for a, v in (("x", 1), ("y", 2 if m == "a" else 0))]
    made = pivot(frame(*rows), VALUE, further=NAMES, compared=["attack"])
    assert made.rows == (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"))
    assert places(made) == [[0, 0], [BEST, BEST], [BEST, BEST], [0, 0]]


def test_intervals_are_half_or_bounds() -> None:
    found = frame(("a", "x", 4, 10.0)).assign(ci_low=8.0, ci_high=13.0)
    assert texts(pivot(found, VALUE, further=NAMES)) == [["10.0 ±2.5"]]
    assert texts(pivot(found, VALUE, further=NAMES, interval="bounds")) == [["10.0 [8.0, 13.0]"]]


def test_undefined_and_doubtful_values_say_so() -> None:
    found = frame(("a", "x", 4, nan), ("a", "x", 8, 1.0)).assign(status=["undefined: depth", "alarm: l2"])
    made = pivot(found, VALUE, further=NAMES)
    assert texts(made) == [["undefined", "1.0 !"]]
    assert made.remarks == ("alarm: l2", "undefined: depth")


def test_no_control_character_is_left() -> None:
    found = frame(("a", "x\x1b[31m\n", 4, 1.0)).assign(status="alarm: \x07")
    made = pivot(found, VALUE, further=NAMES)
    assert made.rows == ((r"x\x1b[31m\n",),)
    assert made.remarks == (r"alarm: \x07",)


def test_of_many_rows_the_first_ones_with_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pivoting, "MOST_ROWS", 2)
    found = frame(*(("a", name, 4, number) for number, name in enumerate("uvwx")))
    made = pivot(found, VALUE, further=NAMES, compared=["attack"], source="arp.csv")
    assert texts(made) == [["0.0"], ["1.0"]]
    assert places(made) == [[0], [0]]
    assert made.remarks == ("the first 2 of 4 rows; arp.csv has all of them",)


def test_many_columns_with_many_values_still_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product of their counts is beyond 64 bits."""
    numbers = np.arange(1000)
    names = [f"n{number}" for number in range(8)]
    found = pd.DataFrame(dict.fromkeys(names, numbers)).assign(eps=4.0, value=numbers.astype(float), cell="k")
    made = pivot(found[::-1], VALUE, further=names)
    assert [int(row[0]) for row in made.rows] == list(numbers)
