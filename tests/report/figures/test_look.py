"""Colours that can be told apart from the page, and numbers that can be read on cells."""

import numpy as np
import pytest

from mtlbench.report.figures import look

WHITE, BLACK = "#ffffff", "#141414"
"""The backgrounds of a page."""


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2, 0 to 1."""
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def heat(value: float) -> str:
    """Colour of a matrix cell."""
    ends = [np.array([int(end[at : at + 2], 16) for at in (1, 3, 5)]) for end in look.HEAT]
    return "#" + "".join(f"{round(channel):02x}" for channel in ends[0] + value * (ends[1] - ends[0]))


@pytest.mark.parametrize("colour", [colour for colour in look.COLOURS if colour != look.INK])
@pytest.mark.parametrize("page", [WHITE, BLACK])
def test_marks_stand_out_from_the_page(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast(WHITE, "#000000") == pytest.approx(21)
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("value", np.linspace(0, 1, 201))
def test_numbers_can_be_read_on_their_cells(value: float) -> None:
    ink = look.LIGHT if value > look.DARK_ENOUGH else look.DARK
    assert contrast(ink, heat(value)) >= 4.5


def test_cells_keep_their_order_in_grey() -> None:
    greys = [luminance(heat(value)) for value in np.linspace(0, 1, 21)]
    assert greys == sorted(greys, reverse=True)


@pytest.mark.parametrize("looks", [look.COLOURS, look.SHAPES, look.DASHES])
def test_each_series_has_a_look_of_its_own(looks: tuple[object, ...]) -> None:
    assert len(set(looks)) == look.MOST_SERIES
