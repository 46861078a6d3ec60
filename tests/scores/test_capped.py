"""Capped damage and ARP: at most 100 %, ARP itself where nothing is capped, and no score that one task decides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.metrics import METRICS
from mtlbench.scores import arp, damage, relative_drops, tables
from mtlbench.scores.capped import capped_damage
from mtlbench.scores.wide import block
from tests.frames import CLEAN, NONE, by, rows, wide

WORSE = {
    ("segmentation", "miou"): [0.25, 0.3],  # half lost
    ("segmentation", "pixel_accuracy"): [0.6, 0.6],  # a quarter lost
    ("depth", "abs_err"): [1.0, 0.6],  # 150 % more, 50 % more in the replicate
    ("normals", "cosine_similarity"): [0.99, 0.9],  # 10 % better
}
CLEAN_TWICE = {key: [value, value] for key, value in CLEAN.items()}


def drops(clean: Mapping[tuple[str, str], Any], attacked: Mapping[tuple[str, str], Any]) -> pd.DataFrame:
    return relative_drops(wide(rows(clean, **NONE), rows(attacked)))


def test_by_hand() -> None:
    found = drops(CLEAN_TWICE, WORSE)
    assert by(capped_damage(found), "task") == pytest.approx({"segmentation": 37.5, "depth": 100, "normals": -10})
    assert block(arp(capped_damage(found)))[0] == pytest.approx([(37.5 + 100 - 10) / 3, (32.5 + 50 + 0) / 3])


def test_in_the_tables_beside_what_it_caps() -> None:
    found = tables(wide(rows(CLEAN_TWICE, **NONE), rows(WORSE)))
    (arps,) = found["arp"].to_dict("records")
    assert (arps["arp_percent"], arps["arp_capped"]) == pytest.approx((177.5 / 3, 127.5 / 3))
    assert arps["capped_low"] == arps["capped_high"] == pytest.approx(82.5 / 3), "of the one replicate"
    assert arps["capped_status"] == "ok"
    tasks = found["damage"].set_index("task")
    assert tasks["damage_capped"].to_dict() == pytest.approx({"segmentation": 37.5, "normals": -10, "depth": 100})
    assert tasks["capped_metrics"].to_dict() == {"segmentation": "", "normals": "", "depth": "abs_err"}


def test_an_undefined_damage_leaves_it_undefined_with_the_reason() -> None:
    (row,) = tables(wide(rows(CLEAN, **NONE), rows(CLEAN | {("depth", "abs_err"): np.nan})))["arp"].to_dict("records")
    assert np.isnan(row["arp_capped"])
    assert row["capped_status"] == row["status"] == "undefined: depth (abs_err: no attacked value)"


NAMED = st.dictionaries(st.sampled_from(list(METRICS)), st.floats(0.01, 1e3), min_size=1)
CHANGES = st.lists(st.floats(-0.9, 30), min_size=len(METRICS), max_size=len(METRICS))


def changed(clean: dict[tuple[str, str], float], changes: list[float]) -> dict[tuple[str, str], float]:
    """Every metric worse by a share of its clean value, or better where the share is negative."""
    signs = (-1 if METRICS[metric].higher_is_better else 1 for _, metric in clean)
    return {key: v * (1 + sign * c) for (key, v), sign, c in zip(clean.items(), signs, changes, strict=False)}


@settings(max_examples=15, deadline=None)
@given(NAMED, CHANGES, st.floats(0.1, 10), st.integers(0))
def test_never_above_100_nor_above_arp_and_no_unit_changes_it(
    named: dict[str, float], changes: list[float], unit: float, chosen: int
) -> None:
    clean = {("t" + name[0], name): value for name, value in named.items()}
    attacked = changed(clean, changes)
    found = drops(clean, attacked)
    score = block(arp(capped_damage(found))).item()
    assert score <= min(100, block(arp(damage(found))).item())
    key = list(clean)[chosen % len(clean)]  # one metric in another unit
    other = drops(clean | {key: clean[key] * unit}, attacked | {key: attacked[key] * unit})
    assert block(arp(capped_damage(other))).item() == pytest.approx(score, rel=1e-9, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(NAMED, st.lists(st.floats(-0.9, 0.99), min_size=len(METRICS), max_size=len(METRICS)))
def test_equals_arp_where_nothing_is_capped(named: dict[str, float], changes: list[float]) -> None:
    clean = {("t" + name[0], name): value for name, value in named.items()}
    found = drops(clean, changed(clean, changes))
    pd.testing.assert_frame_equal(arp(capped_damage(found)), arp(damage(found)))


def test_crushing_one_task_does_not_win() -> None:
    """A cross-entropy times ten outranks an attack that takes half of everything in ARP, and not when capped."""
    clean = {("segmentation", "cross_entropy"): 0.3, ("normals", "cosine_similarity"): 0.9, ("depth", "abs_err"): 0.2}
    crushed = clean | {("segmentation", "cross_entropy"): 3.0}
    everything = {key: v * (0.5 if key[0] == "normals" else 1.5) for key, v in clean.items()}
    one, every = drops(clean, crushed), drops(clean, everything)
    assert (block(arp(damage(one))).item(), block(arp(damage(every))).item()) == pytest.approx((300, 50))
    assert (block(arp(capped_damage(one))).item(), block(arp(capped_damage(every))).item()) == pytest.approx(
        (100 / 3, 50)
    )
