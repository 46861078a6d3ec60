"""The unit of eps, of tables of images and of others."""

import pandas as pd
import pytest

from mtlbench.scores.tables import eps_units


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"eps": [4.0]}, ["grey levels of 255"]),
        ({"eps": [1.0, 2.0], "eps_unit": ["words", "words"]}, ["words"]),
        ({"eps": [1.0, 8.0, 8.0], "eps_unit": ["words", "", None]}, ["grey levels of 255", "words"]),
    ],
)
def test_units(table: dict[str, list[object]], expected: list[str]) -> None:
    assert eps_units(pd.DataFrame(table)) == expected
