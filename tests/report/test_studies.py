"""Tables of studies as pivots."""

from math import nan

import pandas as pd
import pytest

from mtlbench.report import studies
from mtlbench.report.pivot import Pivot
from mtlbench.report.studies import study_pivot
from mtlbench.studies import Table

FRAME = pd.DataFrame(
    {
        "dataset": "rooms",
        "attack": ["dgba", "dgba", "total", "total"],
        "eps": [4.0, 8.0, 4.0, 8.0],
        "scores": ["standard", "standard", "standard", "paper"],
        "arp_percent": [64.72, nan, 0.1234, 5.0],
        "ci_low": [60.0, nan, 0.1, 4.0],
        "ci_high": [70.1, nan, 0.2, 6.0],
        "status": ["ok", "undefined: depth", "ok", "ok"],
    }
)


def texts(pivot: Pivot) -> list[list[str]]:
    return [["" if entry is None else entry.plain for entry in row] for row in pivot.entries]


def test_one_value_stands_below_each_eps() -> None:
    made = study_pivot(Table("t", "T", FRAME), "standard")
    assert (made.row_names, made.rows, made.columns) == (
        ("attack",),
        (("dgba",), ("total",)),
        (("eps 4",), ("eps 8",)),
    )
    assert texts(made) == [["64.7 [60, 70.1]", "-"], ["0.123 [0.1, 0.2]", ""]]
    assert (made.shared, made.remarks) == ("dataset rooms", ("undefined: depth",))


def test_several_values_have_columns_of_their_own() -> None:
    made = study_pivot(Table("t", "T", FRAME.assign(p_value=0.002, over=["a", "b", "c", "d"])), "standard")
    assert made.row_names == ("attack", "eps")
    assert made.columns == (("arp_percent",), ("p_value",), ("over",))
    assert texts(made)[0] == ["64.7 [60, 70.1]", "0.002", "a"]


def test_one_row_keeps_its_names() -> None:
    made = study_pivot(Table("t", "T", FRAME[:1].assign(p_value=1.0)), "standard")
    assert (made.row_names, made.constants) == (("dataset", "attack", "eps"), ())


def test_nothing_has_no_rows() -> None:
    assert study_pivot(Table("t", "T", FRAME[:0]), "standard").rows == ()


def test_of_many_results_the_first_ones_with_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "MOST_ROWS", 1)
    made = study_pivot(Table("t", "T", FRAME), "standard")
    assert len(made.rows) == 1
    assert made.remarks[0] == "the first 1 of 3 results; t.csv has all of them"


def test_an_infinite_value_is_shown() -> None:
    """The PSNR of an image that an attack left alone."""
    made = study_pivot(Table("t", "T", FRAME.assign(psnr=[float("inf"), 9.0, 9.5, 9.0])), "standard")
    assert any("inf" in row for row in texts(made))
