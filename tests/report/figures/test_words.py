"""Names and numbers as a reader sees them."""

import math

import pytest

from mtlbench.report.figures.words import named, number, plain, quantity, title, two_decimals
from mtlbench.studies import ARP, Axis

ROUNDED = {
    8.0: "8", 123.4: "123", 45.64: "45.6", 4.5678: "4.57", 0.123: "0.12", 0.0123: "0.012", -51.26: "-51.3",
    12345678.0: "1.23e+07", 0.0: "0",
}  # fmt: skip


@pytest.mark.parametrize(("value", "text"), ROUNDED.items())
def test_numbers_are_rounded(value: float, text: str) -> None:
    assert number(value) == text


def test_a_quantity_tells_value_unit_and_interval() -> None:
    row = {"arp_percent": 51.31, "ci_low": 48.08, "ci_high": 54.52}
    assert quantity(ARP, row) == "ARP 51.3 % (48.1 to 54.5)"
    assert quantity(ARP, {**row, "ci_low": math.nan}) == "ARP 51.3 %"
    assert quantity(Axis("task", "task"), {"task": "depth"}) == "depth"


def test_names_of_columns_stand_before_numbers_only() -> None:
    assert [named("eps", 8.0), named("n_images", 60), named("sharing", "share2")] == ["eps 8", "60 images", "share2"]


def test_axes_have_units() -> None:
    assert [title(ARP), title(Axis("alpha", "alpha"))] == ["ARP, %", "alpha"]


def test_text_holds_nothing_that_xml_may_not() -> None:
    assert plain("a\x00b\x1b[31m\ud800\n\u202ec") == "a b [31m?  c"


def test_numbers_in_cells_have_two_decimals() -> None:
    assert [two_decimals(value) for value in (0.004, 0.5, 35.2)] == ["0.00", "0.50", "35.2"]
