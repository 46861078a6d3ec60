"""Conditions of the user's: what they select, and that everything else is refused and never run."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.errors import UsageError
from mtlbench.report.where import Where

FRAME = pd.DataFrame(
    {
        "dataset": ["nyuv2", "rooms", "it's"],
        "eps": [4.0, 8.0, 16.0],
        "higher": [True, False, True],
        "x": [None, -1, 2.0],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("dataset == 'nyuv2'", [0]),
        ("dataset != 'nyuv2'", [1, 2]),
        ("dataset == 'nyuv2' and eps in (4, 8)", [0]),
        ("dataset in ['rooms', 'nyuv2']", [0, 1]),
        ("dataset not in {'rooms'}", [0, 2]),
        ("not dataset in ('rooms',)", [0, 2]),
        ('dataset == "it\'s"', [2]),
        ("4 < eps <= 16", [1, 2]),
        ("8 > eps", [0]),
        ("16 <= eps", [2]),
        ("eps == 4 or eps == 16 and dataset == 'rooms'", [0]),
        ("(eps == 4 or eps == 16) and dataset != 'rooms'", [0, 2]),
        ("x > -2", [1, 2]),
        ("x == -1", [1]),
        ("higher == True", [0, 2]),
        ("  eps == 4 ", [0]),
    ],
)
def test_it_selects(condition: str, rows: list[int]) -> None:
    assert list(FRAME.index[Where.parse(condition).rows(FRAME)]) == rows


@pytest.mark.parametrize(
    "condition",
    [
        *("", "eps", "eps ==", "eps = 4", "4 == 4", "eps == dataset", "eps in 4", "dataset in 'rooms'", "eps in (4)"),
        *("eps is 4", "eps == None", "eps == 4j", "eps == -dataset", "eps + 1 == 5", "(4, 8) in eps", "eps[0] == 4"),
        *("__import__('os').system('true')", "eps.__class__ == 4", "eps == f'{4}'", "[e for e in 'ab'] == eps"),
        *(
            "lambda: eps",
            "(eps := 4) == 4",
            "eps == 4 if eps else 8",
            "eps == 4; eps",
            "eps\x00 == 4",
            "eps == 4 #\n1",
        ),
        *("-" * 900 + "1", "(" * 400 + "eps == 4", "not " * 200 + "eps == 4", "eps == 4" + " " * 1000),
    ],
)
def test_nothing_else_is_read(condition: str) -> None:
    with pytest.raises(UsageError, match=r"report\.where="):
        Where.parse(condition)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_condition_or_refused(text: str) -> None:
    try:
        Where.parse(text).rows(FRAME)
    except UsageError:
        return
    assert any(name in text for name in FRAME)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("datset == 'rooms'", "no column is called datset; did you mean dataset?; there are dataset, eps, higher, x"),
        ("eps == '4'", "the column eps holds numbers, not '4'"),
        ("dataset < 4", "the column dataset holds text, not 4"),
        ("eps in (4, 'a')", "the column eps holds numbers, not 'a'"),
        ("eps == f(4)", "cannot read f(4); expected comparisons of columns"),
    ],
)
def test_the_message_names_what_is_wrong(condition: str, message: str) -> None:
    with pytest.raises(UsageError) as found:
        Where.parse(condition).rows(FRAME)
    assert message in str(found.value)
