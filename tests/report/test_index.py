"""The index says what the cells say: exactly, whatever is there of it, and it reads only what has changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from mtlbench import report
from mtlbench.metrics import PAPER_BATCH
from mtlbench.report.gather import gather
from mtlbench.scores import tables
from mtlbench.scores.alarms import alarms, arp_of_cells, checks_frame, numbers_of
from mtlbench.scores.frame import details, metrics_frame
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, Store
from tests.report.stores import age, networks, save

CELLS = networks()


def as_before(cells: list[Cell]) -> dict[str, pd.DataFrame]:
    """The tables as they were made before there was an index: of all arrays at once."""
    metrics = metrics_frame(cells)
    checks = checks_frame([numbers_of(one) for one in cells])
    raised = alarms(checks, arp_of_cells(metrics))
    return tables(metrics, raised, {one.key: details(one) for one in cells}) | {"checks": checks}


def found(outputs: Outputs) -> dict[str, pd.DataFrame]:
    one = report.collect(outputs, PAPER_BATCH)
    return dict(one.tables) | {"checks": one.checks}


def same(some: dict[str, pd.DataFrame], others: dict[str, pd.DataFrame]) -> None:
    assert some.keys() == others.keys()
    for name, frame in some.items():
        pd.testing.assert_frame_equal(frame, others[name], check_exact=True, obj=name)


@pytest.fixture(scope="module")
def expected() -> dict[str, pd.DataFrame]:
    return as_before(sorted(CELLS, key=lambda one: one.key))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    outputs = Outputs(tmp_path_factory.mktemp("made"))
    save(outputs.store, CELLS)
    age(outputs.store.folder)
    return outputs


@pytest.mark.parametrize("plain", [False, True], ids=["derived when stored", "derived by the report"])
def test_the_tables_are_those_of_the_arrays_bit_for_bit(tmp_path: Path, expected, plain: bool) -> None:
    outputs = Outputs(tmp_path)
    save(outputs.store, CELLS, plain)
    same(found(outputs), expected)
    same(found(outputs), expected)
