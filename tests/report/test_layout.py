"""The options of the printed tables."""

from typing import Any

import pytest

from mtlbench.errors import UsageError
from mtlbench.report.layout import TABLES, Layout
from mtlbench.report.pivots import KINDS

DEFAULTS = {"rows": None, "columns": None, "where": None, "tables": None, "interval": "half", "caption": True}


def layout(**options: object) -> Layout:
    return Layout.of({"report": DEFAULTS | options})


def test_every_table_may_be_named() -> None:
    assert tuple(KINDS) == TABLES


def test_one_name_is_a_list() -> None:
    assert layout(rows="attack", columns=["task", "eps"]).names == ["attack", "eps", "task"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 3}, "report.rows=3: expected different names"),
        ({"rows": ["eps", "eps"]}, "report.rows=['eps', 'eps']: expected different names"),
        ({"rows": ["eps"], "columns": ["eps"]}, "report.columns=['eps']: eps is one of report.rows already"),
        ({"tables": ["arps"]}, "report.tables=arps: expected arp, arp_capped, damage"),
        ({"interval": "sd"}, "report.interval=sd: expected half or bounds"),
        ({"caption": "no"}, "report.caption=no: expected true or false"),
        ({"where": 4}, "report.where=4: expected a condition"),
        ({"where": "eps"}, "report.where=eps: cannot read eps"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as found:
        layout(**options)
    assert str(found.value).startswith(message)


def test_the_group_is_no_option() -> None:
    with pytest.raises(UsageError, match="report=3: expected options"):
        Layout.of({"report": 3})
