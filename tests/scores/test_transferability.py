"""The two transfer ratios and the gain: what each divides by, and when none of them may be trusted."""

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores import damage, relative_drops, transferability
from mtlbench.scores.transferability import pairs, ratios
from tests.frames import NONE, damages, rows, wide

TASKS = ("segmentation", "normals", "depth")


def singles(hurt: dict[str, dict[str, float]], **identity: object) -> list:
    """Cells of the attack on each task: attacked task -> damage of every task."""
    return [damages(values, attack="single", target=target, **identity) for target, values in hurt.items()]


def of(*parts: list) -> pd.DataFrame:
    frame = wide(*parts)
    return damage(relative_drops(frame[~frame.index.duplicated()]))


def found(*parts):
    return transferability(of(*parts)).set_index(["sharing", "source", "destination"])


HURT = {
    "segmentation": {"segmentation": 50.0, "normals": 20.0, "depth": 40.0},
    "normals": {"segmentation": 15.0, "normals": 40.0, "depth": 20.0},
    "depth": {"segmentation": 30.0, "normals": 20.0, "depth": 160.0},
}


def test_the_normalised_ratio_by_hand() -> None:
    """The attack on segmentation does half of what that on normals does to normals, and a quarter for depth."""
    table = found(*singles(HURT)).loc["all_shared"]
    shown = table["normalised_ratio"]
    assert shown["segmentation"].to_dict() == pytest.approx({"normals": 0.5, "depth": 0.25, "mean": 0.375})
    assert shown["normals"].to_dict() == pytest.approx({"segmentation": 0.3, "depth": 0.125, "mean": 0.2125})
    assert table["normalised_status"].eq("ok").all()
    paper = table["ratio"].xs("mean", level="destination")
    assert paper.to_dict() == pytest.approx({"segmentation": 0.6, "normals": 0.4375, "depth": 0.15625})


@pytest.mark.parametrize("seed", range(4))
def test_properties_of_the_normalised_ratio(seed: int) -> None:
    """1 for a task and itself; a unit changes nothing, and neither does a task whose damage counts half as much."""
    rng = np.random.default_rng(seed)
    hurt = {source: dict(zip(TASKS, rng.uniform(3, 99, 3), strict=True)) for source in TASKS}
    frame = pairs(of(*singles(hurt)), normalised=True)
    itself = frame.index.get_level_values("source") == frame.index.get_level_values("destination")
    assert frame[itself][0].tolist() == pytest.approx([1, 1, 1])
    unit = rng.uniform(0.01, 100)
    scaled: list[dict] = [row | {"values": row["values"] * unit} for part in singles(hurt) for row in part]
    assert pairs(of(scaled), normalised=True)[0].tolist() == pytest.approx(frame[0].tolist())
    half = {s: {t: v * (0.5 if t == "depth" else 1) for t, v in hurt[s].items()} for s in TASKS}
    assert pairs(of(*singles(half)), normalised=True)[0].tolist() == pytest.approx(frame[0].tolist())


def test_the_ratio_of_the_paper_moves_with_the_metric() -> None:
    """Where depth's damage counts a quarter, sources trade places; their normalised ratios stay (see above)."""
    quarter = {s: {t: v * (0.25 if t == "depth" else 1) for t, v in HURT[s].items()} for s in HURT}
    before, after = (
        {source: found(*singles(hurt)).loc[("all_shared", source, "mean"), "ratio"] for source in TASKS}
        for hurt in (HURT, quarter)
    )
    assert before["depth"] < before["normals"]
    assert after["depth"] > after["normals"]


def test_without_the_attack_on_the_destination_it_says_so() -> None:
    table = found(*singles({"segmentation": HURT["segmentation"], "depth": HURT["depth"]})).loc["all_shared"]
    assert table.loc[("segmentation", "depth"), "normalised_ratio"] == pytest.approx(0.25)
    for destination in ("normals", "mean"):
        row = table.loc[("segmentation", destination)]
        assert np.isnan(row["normalised_ratio"])
        assert row["normalised_status"] == "undefined: no result of single:normals"
        assert row["ratio"] > 0


def test_only_the_same_model_and_attack_are_compared() -> None:
    other = {"normals": HURT["normals"], "depth": HURT["depth"]}
    for change in ({"eps": 4.0}, {"seed": 1}, {"steps": 20}, {"sharing": "share1"}, {"step_size": 0.2}):
        parts = singles({"segmentation": HURT["segmentation"]}) + singles(other, **change)
        row = found(*parts).loc[("all_shared", "segmentation", "mean")]
        assert row["normalised_status"].startswith("undefined: no result of single:")


def test_an_attack_that_does_not_hurt_the_destination_is_no_denominator() -> None:
    hurt = HURT | {"depth": HURT["depth"] | {"depth": 0.4}}
    row = found(*singles(hurt)).loc[("all_shared", "segmentation", "depth")]
    assert np.isnan(row["normalised_ratio"])
    assert row["normalised_status"] == "undefined: single:depth hurts depth by 0.4 %"


def noisy(own: float, other: float, sharing: str, noise: float) -> list:
    """The attack on depth: damage of depth and normals in percent; the latter moves by `noise` with the images."""
    moved = np.concatenate([[0], np.random.default_rng(0).normal(0, noise, 400)])
    depth, normals = ("depth", "delta_1.25"), ("normals", "cosine_similarity")
    attacked = {depth: np.full(401, 1 - own / 100), normals: 1 - (other + moved) / 100}
    same = {"sharing": sharing, "target": "depth"}
    clean = rows({depth: np.ones(401), normals: np.ones(401)}, **same | NONE | {"target": "all"})
    return clean + rows(attacked, attack="single", **same)


def test_a_gain_has_an_interval_and_is_not_ok_where_its_denominator_is_nothing() -> None:
    def gain(independent, noise):
        parts = noisy(50, 25, "all_shared", 1), noisy(50, independent, "independent", noise)
        return found(*parts).loc[("all_shared", "depth", "mean")]

    sure, small, none = gain(5, 0.5), gain(0.6, 0.1), gain(0.6, 0.5)
    assert sure["gain_vs_independent"] == pytest.approx(5)
    assert sure["gain_low"] < 5 < sure["gain_high"] < 7
    assert sure["status"] == "ok"
    assert small["gain_vs_independent"] == pytest.approx(41.7, abs=0.1)
    assert small["gain_low"] < small["gain_vs_independent"] < small["gain_high"]
    assert small["status"] == "gain uncertain: the independent ratio may be below 0.01"
    assert np.isnan([none["gain_low"], none["gain_high"]]).all()
    assert none["status"] == small["status"]


def test_ratios_have_intervals_over_the_images() -> None:
    row = found(noisy(50, 25, "all_shared", 2)).loc[("all_shared", "depth", "normals")]
    half = 1.96 * 2 / 50
    assert [row["ratio_low"], row["ratio_high"]] == pytest.approx([0.5 - half, 0.5 + half], abs=0.015)


def test_a_nested_status_is_never_cut() -> None:
    """Two destinations, each undefined for two reasons that are joined by a semicolon themselves."""
    names = [("normals", "cosine_similarity"), ("normals", "within_30"), ("depth", "delta_1.25"), ("depth", "abs_err")]
    own = ("segmentation", "miou")
    clean, attacked = dict.fromkeys(names, 0.0) | {own: 0.5}, dict.fromkeys(names, 0.5) | {own: 0.1}
    every = ratios(of(rows(clean, **NONE), rows(attacked, attack="single", target="segmentation")))
    mean = every[every.index.get_level_values("destination") == "mean"]
    assert mean.index.get_level_values("status").tolist() == [
        "undefined: depth (abs_err: clean value is 0; delta_1.25: clean value is 0); "
        "undefined: normals (cosine_similarity: clean value is 0; within_30: clean value is 0)"
    ]
