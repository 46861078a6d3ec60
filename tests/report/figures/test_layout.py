"""Which column gives colours, and which gives panels."""

from itertools import product

import pandas as pd

from mtlbench.report.figures.layout import Layout, arrange, side_by_side


def frame(**values: int) -> pd.DataFrame:
    """All combinations of so many values of each column."""
    return pd.DataFrame(list(product(*(range(count) for count in values.values()))), columns=list(values))


def test_few_series_are_colours() -> None:
    assert arrange(frame(attack=6, sharing=2, eps=1), "attack", ("sharing", "eps")) == Layout(
        ("attack",), ("sharing",)
    )


def test_many_series_are_panels_and_what_had_panels_is_colours() -> None:
    found = arrange(frame(attack=7, sharing=3, eps=2), "attack", ("sharing", "eps"))
    assert found == Layout(("sharing", "eps"), ("attack",))


def test_the_largest_column_that_fits_is_colours() -> None:
    found = arrange(frame(attack=7, sharing=5, eps=2), "attack", ("sharing", "eps"))
    assert found == Layout(("sharing",), ("attack", "eps"))


def test_without_anything_that_fits_there_is_one_colour() -> None:
    assert arrange(frame(attack=7, sharing=8), "attack", ("sharing",)) == Layout((), ("attack", "sharing"))


def test_other_models_get_panels_though_nobody_asked() -> None:
    assert arrange(frame(model=2, attack=2), "attack", ()).panels == ("model",)


def test_the_column_of_an_axis_gets_no_panel() -> None:
    assert arrange(frame(step=3, attack=2), "attack", (), "step").panels == ()


def test_panels_side_by_side() -> None:
    of_two = frame(sharing=3, eps=2)
    assert side_by_side(of_two, ("sharing", "eps"), 6, 3) == 2
    assert side_by_side(frame(sharing=3, eps=4), ("sharing", "eps"), 12, 3) == 2
    assert side_by_side(frame(eps=4), ("eps",), 4, 3) == 2
    assert side_by_side(frame(eps=5), ("eps",), 5, 3) == 3
    assert side_by_side(frame(eps=1), (), 1, 3) == 1
