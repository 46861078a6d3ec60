"""Which columns are the interval of which value."""

import pandas as pd
import pytest

from mtlbench.report.bounds import bounds
from mtlbench.report.page.grid import grid
from mtlbench.report.studies import study_pivot
from mtlbench.studies import Table


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("arp ci_low ci_high status", {"arp": ("ci_low", "ci_high")}),
        ("a a_low a_high b b_low b_high", {"a": ("a_low", "a_high"), "b": ("b_low", "b_high")}),
        ("a a_low", {}),
        ("a a_high", {}),
        ("a a_low b_high", {}),
        ("a a_low b a_high", {}),
        ("a a_high a_low", {}),
        ("a_low a_high", {}),
        ("a a_low a_high b_low b_high", {"a": ("a_low", "a_high")}),
        ("a_low b_low b_high", {"a_low": ("b_low", "b_high")}),
        ("", {}),
    ],
)
def test_an_interval_is_two_columns_right_behind_a_value(names: str, expected: dict[str, tuple[str, str]]) -> None:
    assert bounds(names.split()) == expected


def test_a_lone_bound_is_a_column_on_the_terminal_and_on_the_page() -> None:
    frame = pd.DataFrame({"attack": ["dgba", "total"], "arp": [1.0, 2.0], "eps_low": [0.5, 0.25]})
    made = study_pivot(Table("t", "T", frame), "standard")
    assert made.columns == (("arp",), ("eps_low",))
    assert [entry.plain for row in made.entries for entry in row if entry] == ["1", "0.5", "2", "0.25"]
    assert [name for name, _ in grid(frame, "t", "T").columns] == ["attack", "arp", "eps low"]
