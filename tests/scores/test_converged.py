"""What twice the steps gain: by hand, on the tasks that are attacked, and joined to the cell that is checked."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores import tables
from mtlbench.scores.alarms import MAX_GAIN, alarms
from mtlbench.scores.converged import GAIN, of_all_images, with_gains
from mtlbench.scores.gradient_free import FREE_GAIN
from mtlbench.scores.wide import levels
from tests.frames import NONE, rows, wide

CLEAN = {("segmentation", "miou"): [1.0, 1.0], ("depth", "delta_1.25"): [1.0, 1.0]}
CHECKED = {"cell": "checked", "n_images": 100, "sample_of": ""}
SAMPLE = {"n_images": 32, "sample_of": "checked"}


def lost(segmentation: list[float], depth: list[float]) -> dict[tuple[str, str], np.ndarray]:
    """Metrics from percents of damage, of the value itself and a replicate."""
    return {key: 1 - np.array(v) / 100 for key, v in zip(CLEAN, (segmentation, depth), strict=True)}


def checked(once: dict[Any, Any], twice: dict[Any, Any] | None, **attack: Any) -> pd.DataFrame:
    """The wide frame of a cell of 100 images and its check, on 32."""
    parts = [
        rows(CLEAN, **NONE, cell="clean", n_images=100, sample_of=""),
        rows(CLEAN, **NONE, cell="clean of sample", n_images=32, sample_of="clean"),
        rows(lost([70, 70], [80, 80]), **CHECKED, **attack),
        rows(once, cell="once", **SAMPLE, **attack),
        *([] if twice is None else [rows(twice, cell="twice", steps=20, **SAMPLE, **attack)]),
    ]
    return wide(*parts)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The diagnostics of all cells of the frame, as far as they matter here."""
    return levels(frame).drop_duplicates("cell")[["cell", "attack", "eps"]]


def test_by_hand_and_beside_the_cell_that_is_checked() -> None:
    frame = checked(lost([40, 40], [60, 60]), lost([40, 44], [70, 62]))
    found = with_gains(numbers(frame), frame).set_index("cell")
    assert found.index.tolist() == ["clean", "checked"], "no row of the check itself"
    gained = found.loc["checked", list(GAIN)].tolist()
    assert gained == pytest.approx([10, 6, 6, 32]), "(55 - 50) / 50; its replicate (53 - 50) / 50; of 32 images"
    assert found.loc["clean", list(GAIN)].isna().all()


def test_an_attack_on_one_task_is_judged_by_that_task() -> None:
    frame = checked(lost([5, 5], [40, 40]), lost([10, 10], [40, 40]), attack="single", target="depth")
    assert with_gains(numbers(frame), frame).set_index("cell").loc["checked", GAIN[0]] == 0


def test_what_is_gained_on_almost_nothing_is_no_factor() -> None:
    frame = checked(lost([0.01, 0.01], [0, 0]), lost([0.04, 0.04], [0, 0]))
    assert with_gains(numbers(frame), frame)[GAIN[0]].max() == pytest.approx(1.5), "of 1 %, not three times as much"


def test_without_a_check_the_columns_are_there_and_empty() -> None:
    for frame in (checked(lost([40, 40], [60, 60]), None), of_all_images(checked(lost([40, 40], [60, 60]), None))):
        found = with_gains(numbers(frame), frame)
        assert found[list(GAIN)].isna().all(axis=None)


def test_the_check_is_in_no_other_table() -> None:
    frame = checked(lost([40, 40], [60, 60]), lost([40, 44], [70, 62]))
    for table in tables(of_all_images(frame)).values():
        assert set(table["n_images"]) <= {100}
    assert of_all_images(of_all_images(frame)).equals(of_all_images(frame))


@pytest.mark.parametrize("gain", [MAX_GAIN, -8.0, np.nan])
def test_the_alarm_is_silent_up_to_the_limit(gain: float) -> None:
    assert raised(gain) == {}


def test_the_alarm_is_raised_above_it() -> None:
    text = "alarm: not converged: twice the steps do 5.1% more damage to what it attacks"
    assert raised(MAX_GAIN + 0.1) == {"checked": text}


def raised(gain: float) -> dict[str, str]:
    frame = wide(rows(CLEAN, **NONE, cell="clean"), rows(lost([40, 40], [60, 60]), cell="checked"))
    diagnostics = levels(frame).drop_duplicates("cell").assign(options="", **{GAIN[0]: gain})
    return alarms(diagnostics, pd.DataFrame({"cell": ["checked"], "arp_percent": [50.0]}))


# Random search beside it


def searched(once: dict[Any, Any], search: dict[Any, Any], **attack: Any) -> pd.DataFrame:
    """`checked` with a cell of random search on the same sample, whose queries are no steps to compare."""
    frame = checked(once, lost([40, 44], [70, 62]), **attack)
    more = wide(rows(search, cell="search", steps=1000, step="square", **SAMPLE, **attack))
    return pd.concat([frame, more])


def test_what_random_search_does_more_by_hand() -> None:
    frame = searched(lost([40, 40], [60, 60]), lost([10, 12], [20, 22]))
    found = with_gains(numbers(frame), frame).set_index("cell").loc["checked"]
    assert found[list(FREE_GAIN)].tolist() == pytest.approx([-35, -33, -33]), "15 - 50; its replicate 17 - 50"
    assert found[GAIN[0]] == pytest.approx(10), "still of 20 steps against 10"


def test_random_search_that_does_more_is_an_alarm() -> None:
    frame = searched(lost([4, 4], [6, 6]), lost([30, 31], [40, 41]))
    table = with_gains(numbers(frame), frame)
    about = levels(frame).drop_duplicates("cell").assign(options="").merge(table[["cell", *FREE_GAIN]], on="cell")
    text = alarms(about, table[["cell"]].assign(arp_percent=5.0))["checked"]
    assert "an attack without gradients does 30.0 points more (at least 31.0): are gradients hidden?" in text


def test_without_random_search_there_is_no_such_column() -> None:
    frame = checked(lost([40, 40], [60, 60]), lost([40, 44], [70, 62]))
    assert not set(FREE_GAIN) & set(with_gains(numbers(frame), frame))
