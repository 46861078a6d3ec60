"""How much tasks share, as a table."""

from dataclasses import replace
from typing import Any

import pytest

from mtlbench.report.sharing import sharing_frame
from mtlbench.storage.store import Cell
from tests.report.stores import cell

MEASURED: dict[str, Any] = {
    "tasks": ["segmentation", "normals", "depth"],
    "shared_path": 0.75,
    "shared_params": 0.5,
    "jaccard": [[1.0, 0.6, 0.5], [0.6, 1.0, 0.4], [0.5, 0.4, 1.0]],
    "unused": 0.0,
    "blind": ["depth"],
}


def measured(**changes: Any) -> Cell:
    one = cell()
    return replace(one, provenance={**one.provenance, "sharing_measured": {**MEASURED, **changes}})


def test_a_row_for_each_task() -> None:
    found = sharing_frame([measured(), cell("total", eps=4.0)])
    assert found["task"].tolist() == MEASURED["tasks"]
    assert found["shared_path"].tolist() == [0.75] * 3
    assert found["blind"].tolist() == [False, False, True]
    assert found[["with segmentation", "with normals", "with depth"]].to_numpy().tolist() == MEASURED["jaccard"]


def test_one_network_has_its_rows_once() -> None:
    """It has a clean cell for each set of images."""
    other = measured()
    assert len(sharing_frame([other, replace(other, identity={**other.identity, "n_images": 5})])) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"jaccard": [[1.0]]},
        {"jaccard": "x"},
        {"jaccard": [[1.0, 0.6, 2.0], [0.6, 1.0, 0.4], [0.5, 0.4, 1.0]]},
        {"tasks": [1, 2, 3]},
        {"tasks": []},
        {"blind": None},
        {"shared_path": "nan"},
    ],
)
def test_what_we_did_not_record_is_left_out(changes: dict[str, Any]) -> None:
    assert sharing_frame([measured(**changes)]).empty


def test_nothing_was_measured() -> None:
    assert sharing_frame([cell()]).empty
