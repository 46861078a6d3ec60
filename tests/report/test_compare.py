"""`report compare=`: results meet by name, pairs where the images are the same, only what differs is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mtlbench.errors import DataError, UsageError
from mtlbench.report.compare import check, labels
from mtlbench.storage.store import Cell
from mtlbench.studies.compare import Changes, compare, side
from tests.report.page import cells

RECIPE = {"training": {"name": "clean", "iterations": 100}, "dataset": {"settings": {}}}
LONGER = {"training": {"name": "clean", "iterations": 200}, "dataset": {"settings": {}}}


def changes(folder: Path, *stores: list[Cell]) -> Changes:
    """What differs between stores of these cells."""
    made = [cells.outputs(folder / str(number), *found).store for number, found in enumerate(stores)]
    return compare(
        [side(str(number), store, lambda error: pytest.fail(str(error)), 16) for number, store in enumerate(made)]
    )


def standard(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["scores"] == "standard"].reset_index(drop=True)


def trained(cell: Cell, recipe: dict[str, Any]) -> Cell:
    return replace(cell, provenance={**cell.provenance, "recipe": recipe})


BEFORE = [cells.clean(), cells.cell(0.4)]
OTHER_WEIGHTS = [cells.clean(weights="1" * 24), cells.cell(0.5, weights="1" * 24)]


def test_equal_results_are_counted_and_not_told(tmp_path: Path) -> None:
    found = changes(tmp_path, BEFORE, BEFORE)
    assert (len(found.arp), len(found.clean), len(found.only), found.equal) == (0, 0, 0, 8)


def test_the_difference_is_that_of_the_other_less_the_first(tmp_path: Path) -> None:
    row = standard(changes(tmp_path, BEFORE, OTHER_WEIGHTS).arp).iloc[0]
    assert row["difference"] == pytest.approx(row["other"] - row["value"])
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_it_says_what_differs(tmp_path: Path) -> None:
    other = [trained(cell, LONGER) for cell in OTHER_WEIGHTS]
    found = changes(tmp_path, [trained(cell, RECIPE) for cell in BEFORE], other)
    assert standard(found.arp)["differs"].tolist() == ["weights, training_iterations 100 -> 200"]
    assert found.settings.to_numpy().tolist() == [["training_iterations", "100", "200"]]


def test_the_same_images_are_paired(tmp_path: Path) -> None:
    """The images' errors have the same noise, so that their difference has next to none."""
    row = standard(changes(tmp_path, BEFORE, OTHER_WEIGHTS).arp).iloc[0]
    assert row["images"] == "the same, paired"
    assert row["difference_high"] - row["difference_low"] < (row["value_high"] - row["value_low"]) / 2


def test_other_images_are_not_paired(tmp_path: Path) -> None:
    """The variances of two independent samples add up."""
    images: dict[str, Any] = {"fingerprint": "0" * 24}
    row = standard(changes(tmp_path, BEFORE, [cells.clean(**images), cells.cell(0.5, **images)]).arp).iloc[0]
    assert row["images"] == "others, not paired"
    assert row["difference_high"] - row["difference_low"] > row["value_high"] - row["value_low"]


def test_the_same_cell_with_other_numbers_is_told(tmp_path: Path) -> None:
    other = cells.cell(0.5)
    assert other.key == BEFORE[1].key
    found = changes(tmp_path, BEFORE, [BEFORE[0], other])
    assert standard(found.arp)["differs"].tolist() == ["only the numbers: another machine or other versions"]


def test_results_of_one_folder_are_named(tmp_path: Path) -> None:
    found = changes(tmp_path, BEFORE, [*BEFORE, cells.cell(0.2, eps=4.0)])
    assert standard(found.only)[["folder", "eps"]].to_numpy().tolist() == [["1", 4.0]]


def test_several_folders_stand_against_the_first(tmp_path: Path) -> None:
    third = [cells.clean(weights="2" * 24), cells.cell(0.3, weights="2" * 24)]
    found = standard(changes(tmp_path, BEFORE, OTHER_WEIGHTS, third).arp)
    assert found["folder"].tolist() == ["1", "2"]
    assert found["difference"].gt(0).tolist() == [True, False]


def test_results_that_could_be_any_of_several_are_not_compared(tmp_path: Path) -> None:
    """Two models of the same name on one side: neither is chosen."""
    two = [*OTHER_WEIGHTS, cells.clean(weights="2" * 24), cells.cell(0.3, weights="2" * 24)]
    found = changes(tmp_path, BEFORE, two)
    assert (len(found.arp), len(standard(found.only))) == (0, 6)


def test_a_folder_has_no_path_in_its_name() -> None:
    assert labels(["/home/somebody/outputs", "other/outputs", "b"]) == ["outputs (1)", "outputs (2)", "b"]


@pytest.mark.parametrize("folders", ["a", ["a"], ["a", 3], ["a", "./a"], ["a", ""]])
def test_two_folders_are_needed(folders: object) -> None:
    with pytest.raises(UsageError, match="compare="):
        check(folders)


def test_the_command(call: Callable[..., Any], tmp_path: Path) -> None:
    cells.outputs(tmp_path / "a", *BEFORE)
    cells.outputs(tmp_path / "b", *OTHER_WEIGHTS)
    found = call("report", "compare=[a,b]")
    assert (found.status, found.err) == (0, "")
    assert "1 ARPs of b differ from those of a: 1 are higher" in found.out
    assert (tmp_path / "outputs" / "compare.html").is_file()
    assert "difference_low" in (tmp_path / "outputs" / "tables" / "compare.csv").read_text()


def test_an_empty_folder_is_an_error(call: Callable[..., Any], tmp_path: Path) -> None:
    cells.outputs(tmp_path / "a", *BEFORE)
    found = call("report", "compare=[a,b]")
    assert found.status == DataError.status
    assert "compare=b: no results there" in found.err


def test_a_damaged_cell_is_named(call: Callable[..., Any], tmp_path: Path) -> None:
    made = cells.outputs(tmp_path / "a", *BEFORE)
    cells.outputs(tmp_path / "b", *OTHER_WEIGHTS)
    path = made.store.path(BEFORE[1].key)
    path.write_bytes(path.read_bytes()[:-10])
    found = call("report", "compare=[a,b]")
    assert (found.status, found.err.count(path.name)) == (DataError.status, 1)
