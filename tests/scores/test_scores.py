"""Relative drops, damage, ARP, transferability and tables, on examples to check by hand."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.errors import DataError
from mtlbench.metrics import METRICS
from mtlbench.scores import (
    arp,
    bootstrap_weights,
    damage,
    interval,
    paired_difference,
    relative_drops,
    tables,
    transferability,
)
from mtlbench.scores.wide import IDENTITY, OK, mean_over, with_status
from tests.frames import CLEAN, NONE, by, damages, rows, wide


def ratios(*parts):
    """(sharing, destination) -> row of the transferability of these damages."""
    frame = wide(*parts)
    frame = frame[~frame.index.duplicated()]
    result = transferability(damage(relative_drops(frame)))
    return {(row["sharing"], row["source"], row["destination"]): row for _, row in result.iterrows()}


def test_damage_and_arp_by_hand():
    attacked = {
        ("segmentation", "miou"): 0.25,  # half lost: 0.5
        ("segmentation", "pixel_accuracy"): 0.6,  # 0.25
        ("depth", "abs_err"): 1.0,  # 0.6 more on 0.4: 1.5
        ("normals", "cosine_similarity"): 0.99,  # better: -0.1
    }
    drops = relative_drops(wide(rows(CLEAN, **NONE), rows(attacked)))
    assert by(drops, "metric") == pytest.approx(
        {"miou": 0.5, "pixel_accuracy": 0.25, "abs_err": 1.5, "cosine_similarity": -0.1}
    )
    assert by(damage(drops), "task") == pytest.approx({"segmentation": 37.5, "depth": 150, "normals": -10})
    result = arp(damage(drops))
    assert result[0].tolist() == pytest.approx([(37.5 + 150 - 10) / 3])
    assert result.index.get_level_values("status").tolist() == ["ok"]


def test_every_attacked_row_meets_the_clean_row_of_its_own_model():
    def cell(sharing, scores, seed, factor):
        identity = {"sharing": sharing, "scores": scores, "seed": seed}
        own = {key: value * factor for key, value in CLEAN.items()}
        return rows(own, **identity, **NONE) + rows(own, **identity)

    frame = wide(*(cell(*key) for key in [("all_shared", "paper", 0, 1), ("share1", "paper", 0, 2)]))
    more = wide(cell("share1", "standard", 0, 3), cell("share1", "paper", 1, 4))
    drops = relative_drops(pd.concat([frame, more]))
    assert len(drops) == 4 * len(CLEAN)
    assert (drops[0] == 0).all()


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(METRICS)), st.floats(0.01, 1e3), min_size=1),
    st.floats(1e-3, 0.9),
    st.floats(0.1, 10),
)
def test_sign_and_scale(clean, change, scale):
    """Identical metrics give 0; worse is positive in both directions; a unit changes nothing."""
    clean = {("t" + name[0], name): value for name, value in clean.items()}
    worse = {key: v * (1 - change if METRICS[key[1]].higher_is_better else 1 + change) for key, v in clean.items()}

    def score(attacked, unit=1.0):
        parts = [{key: v * unit for key, v in part.items()} for part in (clean, attacked)]
        return arp(damage(relative_drops(wide(rows(parts[0], **NONE), rows(parts[1])))))[0].item()

    assert score(clean) == 0
    assert score(worse) == pytest.approx(100 * change)
    assert score(worse, scale) == pytest.approx(100 * change)


@pytest.mark.parametrize(
    ("clean", "attacked", "reason"),
    [
        (0.0, 0.5, "clean value is 0"),
        (np.nan, 0.5, "no clean value"),
        (0.5, np.nan, "no attacked value"),
        (0.5, np.inf, "no attacked value"),
        (np.inf, 0.5, "no clean value"),
    ],
)
def test_undefined_values_are_named_and_never_count_as_robust(clean, attacked, reason):
    key = ("segmentation", "miou")
    frame = wide(rows(CLEAN | {key: clean}, **NONE), rows(CLEAN | {key: attacked}))
    hurt = damage(relative_drops(frame))
    assert {task for task, value in by(hurt, "task").items() if np.isnan(value)} == {"segmentation"}
    result = arp(hurt)
    assert np.isnan(result[0].item())
    assert result.index.get_level_values("status").tolist() == [f"undefined: segmentation (miou: {reason})"]


def test_drops_are_relative_to_the_size_of_a_negative_clean_value():
    key = ("normals", "cosine_similarity")
    drops = relative_drops(wide(rows({key: -0.2}, **NONE), rows({key: -0.3})))
    assert drops[0].tolist() == pytest.approx([0.5])


def test_clean_results_that_are_missing_or_ambiguous_are_no_baseline():
    no_baseline = rows(CLEAN, **(NONE | {"eps": 4.0}))
    missing = arp(damage(relative_drops(wide(rows(CLEAN), no_baseline))))
    assert np.isnan(missing[0].item())
    assert "depth (abs_err: no clean result)" in missing.index.get_level_values("status")[0]
    twice = wide(rows(CLEAN, **NONE, cell="a"), rows(CLEAN, **NONE, cell="b"), rows(CLEAN))
    double = arp(damage(relative_drops(twice)))
    assert np.isnan(double[0].item())
    assert "several clean results" in double.index.get_level_values("status")[0]


def test_an_unknown_metric_is_an_error():
    with pytest.raises(DataError, match="'speed'"):
        relative_drops(wide(rows({("depth", "speed"): 1.0})))


def test_transferability_and_gain_by_hand():
    values = {"segmentation": 50.0, "depth": 20.0, "normals": 10.0}
    shared = damages(values, attack="single", target="segmentation")
    alone = damages(
        {"segmentation": 80.0, "depth": 4.0, "normals": 12.0},
        attack="single",
        target="segmentation",
        sharing="independent",
        shared_blocks=0,
    )
    found = ratios(shared, alone)
    expected = {"depth": 0.4, "normals": 0.2, "mean": 0.3}
    base = {"depth": 0.05, "normals": 0.15, "mean": 0.1}
    for destination, ratio in expected.items():
        row = found["all_shared", "segmentation", destination]
        assert row["ratio"] == pytest.approx(ratio)
        assert row["gain_vs_independent"] == pytest.approx(ratio / base[destination])
        assert found["independent", "segmentation", destination]["gain_vs_independent"] == pytest.approx(1)
        assert row["status"] == "ok"
    assert len(found) == 6


def test_transferability_is_undefined_where_the_attack_does_not_hurt_its_own_task():
    for own in (0.3, -4.0):
        found = ratios(damages({"depth": own, "normals": 30.0}, attack="single", target="depth"))
        for destination in ("normals", "mean"):
            row = found["all_shared", "depth", destination]
            assert np.isnan(row["ratio"])
            assert np.isnan(row["gain_vs_independent"])
            assert row["status"] == f"undefined: single:depth hurts depth by {own} %"


def test_transferability_names_what_else_is_undefined():
    alone = {"attack": "single", "sharing": "independent", "target": "depth"}
    found = ratios(
        damages({"depth": 50.0, "normals": 5.0}, attack="single", target="depth"),
        damages({"depth": 50.0, "normals": 0.1}, **alone),
    )
    row = found["all_shared", "depth", "normals"]
    assert row["ratio"] == pytest.approx(0.1)
    assert np.isnan(row["gain_vs_independent"])
    assert row["status"] == "gain undefined: independent ratio below 0.01"

    found = ratios(damages({"depth": 50.0, "normals": np.nan}, attack="single", target="depth"))
    for destination in ("normals", "mean"):
        row = found["all_shared", "depth", destination]
        assert np.isnan(row["ratio"])
        assert row["status"] == "undefined: normals (cosine_similarity: no attacked value)"

    values = {"depth": 50.0, "normals": np.nan, "segmentation": 5.0}
    found = ratios(damages(values, attack="single", target="depth"))
    assert found["all_shared", "depth", "segmentation"]["ratio"] == pytest.approx(0.1)
    assert np.isnan(found["all_shared", "depth", "mean"]["ratio"])

    found = ratios(damages({"depth": 50.0, "normals": 5.0}, attack="single", target="segmentation"))
    assert found["all_shared", "segmentation", "mean"]["status"] == ("undefined: no damage of segmentation itself")
    found = ratios(damages({"depth": 50.0, "normals": 5.0}, attack="single", target="depth"))
    assert found["all_shared", "depth", "mean"]["status"] == "gain undefined: no independent result"


def test_gain_compares_equal_settings_only():
    """Another step size, seed or eps is not the independent counterpart."""
    values = {"depth": 50.0, "normals": 5.0}
    single = {"attack": "single", "target": "depth"}
    for change in ({"step_size": 0.2}, {"seed": 1}, {"eps": 4.0}, {"steps": 20}, {"training": "adversarial"}):
        found = ratios(damages(values, **single), damages(values, **single, **change, sharing="independent"))
        assert found["all_shared", "depth", "mean"]["status"] == "gain undefined: no independent result"


def test_replicates_are_scored_like_the_value_itself():
    rng = np.random.default_rng(0)
    clean = {key: value * rng.uniform(0.8, 1.2, 50) for key, value in CLEAN.items()}
    attacked = {key: value * rng.uniform(0.2, 2, 50) for key, value in CLEAN.items()}
    result = arp(damage(relative_drops(wide(rows(clean, **NONE), rows(attacked)))))
    for r in (0, 7, 49):
        one = [{key: value[r] for key, value in part.items()} for part in (clean, attacked)]
        alone = arp(damage(relative_drops(wide(rows(one[0], **NONE), rows(one[1])))))
        assert result[r].item() == pytest.approx(alone[0].item())
    low, high = interval(result).iloc[0]
    assert (low, high) == pytest.approx(tuple(np.percentile(result.to_numpy()[0, 1:], [2.5, 97.5])))


def test_no_interval_without_replicates_or_with_an_undefined_one():
    frame = pd.DataFrame([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0], [1.0, np.inf, 3.0], [np.nan, 2.0, 3.0]])
    assert interval(frame)["ci_low"].notna().tolist() == [True, False, False, False]
    assert interval(frame[[0]]).isna().all(axis=None)


def test_bootstrap_weights_draw_n_images_each_and_repeat():
    weights = bootstrap_weights(7, 200, seed=3)
    assert weights.shape == (201, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(1) == 7).all()
    assert (weights == bootstrap_weights(7, 200, seed=3)).all()
    assert (weights[1:] != bootstrap_weights(7, 200, seed=4)[1:]).any()
    assert weights[1:].mean(0) == pytest.approx(np.ones(7), abs=0.25)


def test_paired_difference():
    rng = np.random.default_rng(1)
    common = rng.normal(0, 50, 1001)  # the same images: cancels
    a, b = pd.DataFrame([common + 3 + rng.normal(0, 0.7, 1001)]), pd.DataFrame([common])
    result = paired_difference(a, b)
    assert result["ci_low"].item() < 3 < result["ci_high"].item() < 5
    z = result["diff"].item() / (a - b).to_numpy()[0, 1:].std()
    assert result["p_value"].item() == pytest.approx(math.erfc(z / 2**0.5)), "no replicate is beyond 0"
    assert paired_difference(b, a)["diff"].item() == -result["diff"].item()
    itself = paired_difference(a, a)
    assert (itself[["diff", "ci_low", "ci_high"]] == 0).all(axis=None)
    assert itself["p_value"].isna().all(), "a row and itself are no test"
    near = pd.DataFrame([np.linspace(-1, 3, 1001)])
    share = paired_difference(near, 0 * near)["p_value"].item()
    assert share == pytest.approx(2 * (1 + 250) / 1001), "twice the share on the other side"
    assert paired_difference(a[[0]], b[[0]])["p_value"].isna().all()
    two = paired_difference(pd.concat([a, b]), pd.concat([b, b]))
    pd.testing.assert_frame_equal(two.iloc[[0]], result)
    with pytest.raises(ValueError, match="equal shape"):
        paired_difference(a, b[[0]])


COLUMNS = {
    "metrics": ["task", "metric", "unit", "higher_is_better", "clean", "attacked", "relative_drop"],
    "damage": [
        *("task", "damage_percent", "ci_low", "ci_high"),
        *("damage_capped", "capped_low", "capped_high", "capped_metrics"),
    ],
    "arp": [
        *("arp_percent", "ci_low", "ci_high", "status"),
        *("arp_capped", "capped_low", "capped_high", "capped_status"),
    ],
    "transferability": [
        *("source", "destination", "ratio", "gain_vs_independent", "status", "ratio_low", "ratio_high"),
        *("gain_low", "gain_high", "normalised_ratio", "normalised_low", "normalised_high", "normalised_status"),
    ],
}


def study():
    """Two sharings, two step sizes, dgba and single, with 20 replicates."""
    rng = np.random.default_rng(0)
    parts = []
    for sharing, blocks in (("independent", 0), ("all_shared", 5)):
        same = {"sharing": sharing, "shared_blocks": blocks}
        parts.append(rows({k: v * rng.uniform(0.99, 1.01, 21) for k, v in CLEAN.items()}, **same, **NONE))
        for attack, target in (("dgba", "all"), ("single", "depth"), ("single", "segmentation")):
            for size in (0.1, 0.25):
                better = {k: METRICS[k[1]].higher_is_better for k in CLEAN}
                worse = {k: v * rng.uniform(*((0.5, 0.9) if better[k] else (1.2, 2.0)), 21) for k, v in CLEAN.items()}
                parts.append(rows(worse, **same, attack=attack, target=target, step_size=size))
    return wide(*parts)


def test_tables_have_the_columns_of_the_contract_and_keep_cells_apart():
    result = tables(study())
    assert list(result) == list(COLUMNS)
    for name, columns in COLUMNS.items():
        assert result[name].columns.tolist() == [*IDENTITY, *columns, "cell"]
    assert len(result["metrics"]) == 2 * (1 + 6) * 4
    assert len(result["damage"]) == 2 * 6 * 3
    assert len(result["arp"]) == 2 * 6
    assert len(result["transferability"]) == 2 * 4 * 3
    assert "none" not in set(result["damage"]["attack"]) | set(result["arp"]["attack"])
    clean = result["metrics"].query("attack == 'none'")
    assert (clean["relative_drop"] == 0).all()
    assert (clean["clean"] == clean["attacked"]).all()
    assert clean["task"].tolist()[:4] == ["segmentation", "segmentation", "normals", "depth"]
    assert result["transferability"]["destination"].tolist()[:3] == ["segmentation", "normals", "mean"]
    ordered = result["arp"]
    assert (ordered["ci_low"] <= ordered["ci_high"]).all()
    assert result["transferability"]["gain_vs_independent"].notna().all()


def test_tables_do_not_depend_on_the_order_of_rows():
    frame = study()
    for name, table in tables(frame).items():
        shuffled = tables(frame.sample(frac=1, random_state=5))[name]
        pd.testing.assert_frame_equal(table, shuffled, check_exact=False, rtol=1e-12)


def test_tables_of_no_cell_and_of_the_clean_cell_alone_are_empty_but_complete():
    for frame in (study().iloc[:0], wide(rows(CLEAN, **NONE))):
        for name, table in tables(frame).items():
            assert table.columns.tolist() == [*IDENTITY, *COLUMNS[name], "cell"]
            assert len(table) == (len(frame) if name == "metrics" else 0)


def test_rows_of_one_name_are_told_apart_by_what_differs():
    """And by no more: a detail in which cells of the same name agree says nothing."""
    cells = {name: rows(CLEAN, cell=name, **(NONE if name == "clean" else {})) for name in ("clean", "a", "b", "c")}
    cells["c"] = rows(CLEAN, cell="c", eps=4.0)
    known = {"alpha": "1", "step_size": "2", "weights": "01"}
    details = {"a": known | {"weights": "02"}, "b": known | {"alpha": "3"}, "c": known | {"step_size": "9"}}
    found = tables(wide(*cells.values()), None, details)["arp"]
    columns = found.columns.tolist()
    assert columns[len(IDENTITY) :] == ["alpha", *COLUMNS["arp"], "cell"]
    assert dict(zip(found["cell"], found["alpha"], strict=True)) == {"a": "1", "b": "3", "c": "1"}


def test_what_always_tells_is_shown_where_nothing_else_does():
    cells = [rows(CLEAN, cell=name, **(NONE if name == "clean" else {})) for name in ("clean", "a", "b")]
    details = {"a": {"alpha": "1", "weights": "01"}, "b": {"alpha": "1", "weights": "02"}}
    found = tables(wide(*cells), None, details)["damage"]
    assert found.columns.tolist()[len(IDENTITY) : len(IDENTITY) + 2] == ["weights", "task"]
    assert not found.duplicated([*IDENTITY, "weights", "task"]).any()


def test_a_status_with_a_semicolon_is_said_whole_and_once():
    """The mean over destinations joins what is said of each; it never cuts what one of them says."""
    why = "undefined: depth (delta_1.25: clean value is 0; delta_1.25^2: clean value is 0)"
    frame = wide(rows({("x", "miou"): 1.0, ("y", "miou"): 2.0, ("z", "miou"): 3.0}, cell="c"))
    status = [why, why, OK]
    joined = mean_over("task", with_status(frame.droplevel("metric"), status), lambda _, text: text, "; ")
    assert joined.index.get_level_values("status").tolist() == [why]


def test_scores_know_no_torch():
    code = "import sys, mtlbench.scores, mtlbench.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def python_calls(cells: int) -> int:
    """Function calls that the tables of a study with so many cells take."""
    names = [(f"task{i % 3}", name) for i, name in enumerate(list(METRICS)[:14])]
    parts = [rows(dict.fromkeys(names, 1.0), **NONE)]
    for i in range(cells):
        parts.append(rows(dict.fromkeys(names, 1.0), eps=float(i), attack="single", target=f"task{i % 3}"))
    frame, counted = wide(*parts), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        tables(frame)
    finally:
        sys.setprofile(None)
    return counted


def test_the_work_for_a_study_grows_no_faster_than_its_cells():
    python_calls(1)  # what happens once
    assert python_calls(100) < 2.2 * python_calls(50)
