"""Derived rows: whoever changes what they say must say so, or reports would show old numbers.

`python -m tests.scores.test_derived` writes the golden rows anew.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores import derived
from mtlbench.scores.derived import Deriving, derive, frame_of, keeps
from mtlbench.storage.store import Cell, Store
from tests.report.stores import cell

GOLDEN = Path(__file__).parents[1] / "golden" / "derived.json"
CLEAN, ATTACKED = cell(), cell("single", "depth", 4.0, 0.3)


def rows() -> dict[str, Any]:
    """Version and rows of a clean and an attacked cell, as JSON values."""
    deriving = Deriving(Store(Path("nowhere")), [])
    found = [deriving(CLEAN), deriving(ATTACKED)]
    assert all(found)
    said = {one.identity["attack"]: made.rows for one, made in zip((CLEAN, ATTACKED), found, strict=True) if made}
    text = json.dumps({"version": derived.VERSION, "cells": said})
    # Keys depend on the result version.
    return json.loads(text.replace(CLEAN.key, "clean key").replace(ATTACKED.key, "attacked key"))


def close(some: Any, others: Any) -> bool:
    """Equal but for the last digits of numbers; JSON texts are compared as values."""
    if isinstance(some, float) and isinstance(others, float):
        return bool(np.isclose(some, others, rtol=1e-9))
    if isinstance(some, str) and isinstance(others, str) and some[:1] in ("{", "["):
        return some == others or close(json.loads(some), json.loads(others))
    if isinstance(some, dict) and isinstance(others, dict):
        return some.keys() == others.keys() and all(close(value, others[name]) for name, value in some.items())
    if isinstance(some, list) and isinstance(others, list):
        return len(some) == len(others) and all(map(close, some, others))
    return bool(some == others)


def test_other_rows_have_another_version() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert close(rows(), golden), "increment VERSION in scores/derived.py, then python -m tests.scores.test_derived"


def test_a_digit_is_noticed() -> None:
    found = rows()
    found["cells"]["single"]["arp"][0][1] *= 1 + 1e-6
    assert not close(rows(), found)


def test_replicates_are_kept_of_attacks_on_one_task_only() -> None:
    deriving = Deriving(Store(Path("nowhere")), [])
    deriving(CLEAN)
    single, total = deriving(ATTACKED), deriving(cell("total", eps=4.0))
    assert single is not None
    assert total is not None
    assert single.replicates is not None
    assert len(single.replicates) == len(single.rows["damages"]) == 6, "3 tasks, 2 score sets"
    assert total.replicates is None


def test_nothing_is_derived_without_the_clean_cell() -> None:
    assert Deriving(Store(Path("nowhere")), [CLEAN.key])(ATTACKED) is None


@pytest.mark.parametrize("name", ["weights", "seed", "n_images", "precision"])
def test_a_clean_cell_of_another_model_is_never_compared_with(name: str) -> None:
    """Derived rows carry no level that would keep the two apart."""
    other = replace(CLEAN, identity=CLEAN.identity | {name: "another"})
    frame = pd.concat([frame_of(one, {}) for one in (CLEAN, ATTACKED)])
    assert derive(ATTACKED, [CLEAN], frame).rows["arp"]
    with pytest.raises(ValueError, match=f"{ATTACKED.key} is compared with a cell of another model"):
        derive(ATTACKED, [other], frame)


def test_the_clean_cell_is_found_in_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(CLEAN)
    found = Deriving(store, [CLEAN.key])(ATTACKED)
    assert found is not None
    assert found.rows["arp"] == rows()["cells"]["single"]["arp"]


def test_a_cell_that_cannot_be_scored_is_stored_all_the_same() -> None:
    broken = replace(CLEAN, arrays={**CLEAN.arrays, "losses": np.zeros((2, 3))})
    assert Deriving(Store(Path("nowhere")), [])(broken) is None


@pytest.mark.parametrize(("formula", "kept"), [("ratio", True), ("mine:Fourth", False)])
def test_metrics_that_are_code_of_a_plugin_are_always_computed(formula: str, kept: bool) -> None:
    """The plugin may have changed since."""
    found: Cell = replace(CLEAN, formulas={"depth": {"fourth": {"formula": formula}}})
    assert keeps(found) is kept


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(rows(), indent=1) + "\n")
