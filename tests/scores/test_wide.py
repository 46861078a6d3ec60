"""Wide frames keep the levels of their index; groups and texts are those that pandas finds from the rows."""

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores.wide import groups, levels, with_status

NAMES = ["cell", "task", "eps"]


def frames() -> list[pd.DataFrame]:
    """Random rows, some missing, some of which are alike, whole and in parts: parts keep levels that they lack."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "cell": random.choice(["b", "a", "c"], 40),
            "task": random.choice(["depth", "normals"], 40),
            "eps": random.choice([2.0, 0.0, np.nan], 40),
        }
    )
    whole = pd.DataFrame({0: np.arange(40.0)}, pd.MultiIndex.from_frame(rows))
    return [whole, whole.iloc[::-3], pd.concat([whole.iloc[30:], whole.iloc[:7]]), whole.iloc[:0]]


@pytest.mark.parametrize("frame", frames(), ids=len)
@pytest.mark.parametrize("names", [None, ["cell"], ["eps", "task"]], ids=str)
def test_groups_are_those_of_the_rows(frame: pd.DataFrame, names: list[str] | None) -> None:
    expected = levels(frame).groupby(names or NAMES, dropna=False, sort=False).ngroup()
    assert groups(frame.index, names).tolist() == expected.tolist()


@pytest.mark.parametrize("frame", frames(), ids=len)
def test_a_status_is_the_last_level_and_replaces_another(frame: pd.DataFrame) -> None:
    texts = ["ok" if number % 3 else f"undefined: {number % 5}" for number in range(len(frame))]
    first = with_status(frame, texts)
    assert first.index.names == [*NAMES, "status"]
    assert first.index.get_level_values("status").tolist() == texts
    pd.testing.assert_frame_equal(levels(first)[NAMES], levels(frame))
    second = with_status(first, texts[::-1])
    assert second.index.names == first.index.names
    assert second.index.get_level_values("status").tolist() == texts[::-1]
