"""Studies on results written down by hand: the right rows meet, and the numbers are those of a pocket calculator."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench.report.figures import study_figures
from mtlbench.report.studies import study_pivot
from mtlbench.report.terminal import console
from mtlbench.report.text import show
from mtlbench.storage.store import Cell
from mtlbench.studies import STUDIES, Axis, Evidence, Plot, Study
from mtlbench.studies.base import arranged
from mtlbench.studies.findings import findings
from tests.frames import damages, wide

TASKS = ("segmentation", "normals", "depth")
REPLICATES = 40


def cell(damage: dict[str, float] | float, **identity: Any) -> list[dict[str, Any]]:
    """Rows of a cell, and of its clean cell, whose tasks take `damage` percent, with noise in the replicates."""
    objective = identity.pop("objective", {})
    steps = identity.get("steps", 10)
    values = damage if isinstance(damage, dict) else dict.fromkeys(TASKS, damage)
    identity |= {"options": json.dumps({"objective": objective, "step_options": {"steps": steps}}, sort_keys=True)}
    identity |= {
        "fingerprint": "f",
        "tree": identity.get("tree", identity.get("sharing", "all_shared")),
        "precision": "fp32",
        "norm": identity.get("norm", "linf"),
        "recipe": "{}",
    }
    identity |= {"weights": f"{identity.get('training')}{identity.get('seed')}{identity['tree']}"}
    made = damages(values, **identity)
    for row in made:
        noise = np.random.default_rng(0).normal(0, 0.01, REPLICATES) * (row["attack"] != "none")
        row["values"] = np.concatenate([row["values"], row["values"] + noise])
        if row["attack"] == "none":
            row["options"] = "{}"
            row["cell"] = f"clean {row['training']} {row['tree']} {row['seed']}"
    return made


def run(name: str, *parts: list[dict[str, Any]], cells: list[Cell] | None = None) -> Study:
    return STUDIES[name](evidence(*parts, cells=cells))


def evidence(*parts: list[dict[str, Any]], cells: list[Cell] | None = None) -> Evidence:
    frame = wide(*parts)
    return Evidence(frame[~frame.index.duplicated()], cells or [])


def table(study: Study, name: str) -> pd.DataFrame:
    return next(t.frame for t in study.tables if t.name == name)


def test_the_best_baseline_is_found_among_targets_and_weightings() -> None:
    study = run(
        "clean_models",
        cell(50, attack="dgba"),
        cell(30, attack="total"),
        cell(20, attack="single", target="depth"),
        cell(40, attack="weighted", target="w1/0/2"),
        cell(38, attack="weighted", target="w2/0/1"),
        cell(33, attack="weighted_total"),
        cell(45, attack="sign_sum", step="apgd"),  # another step rule: not compared
        cell(49, attack="noise"),  # no baseline
    )
    gain = table(study, "clean_models_gain").iloc[0]
    assert gain["best_baseline"] == "weighted_total:w1/0/2"
    assert gain["difference"] == pytest.approx(10)
    assert gain["gain_percent"] == pytest.approx(25)
    assert gain["p_value"] == 1e-9, "no replicate differs"
    assert (gain["over"], gain["seeds_needed"]) == ("images only", "unknown")
    assert gain["ci_low"] == pytest.approx(10), "the same images: what is common cancels"
    shown = set(table(study, "clean_models")["attack"])
    assert "weighted_total:w1/0/2" in shown
    assert "weighted_total:w2/0/1" not in shown


def test_attacks_of_other_step_sizes_are_not_compared() -> None:
    study = run("clean_models", cell(50, attack="dgba", steps=10), cell(30, attack="total", steps=20))
    assert table(study, "clean_models_gain").empty


def test_the_best_baseline_is_unknown_while_one_is_there_with_other_seeds_only() -> None:
    """Half a sweep: of total a training more is done than of dgba. The weaker baseline is not called the best one."""
    half = [
        cell(value, attack=attack, seed=seed)
        for attack, value, seeds in (("dgba", 50, (0, 1)), ("sign_sum", 20, (0, 1)), ("total", 60, (0, 1, 2)))
        for seed in seeds
    ]
    gain = table(run("clean_models", *half), "clean_models_gain").iloc[0]
    assert gain["status"] == "not compared: with other seeds only: total"
    assert gain["best_baseline"] == ""
    assert gain[["baseline", "difference", "ci_low", "ci_high", "p_value", "gain_percent"]].isna().all()
    assert gain["dgba"] == pytest.approx(50)
    whole = [*half, cell(50, attack="dgba", seed=2), cell(20, attack="sign_sum", seed=2)]
    gain = table(run("clean_models", *whole), "clean_models_gain").iloc[0]
    assert gain["best_baseline"] == "total"
    assert gain["difference"] == pytest.approx(-10, abs=0.05)
    assert findings(evidence(*half)).baselines.empty
    assert set(findings(evidence(*whole)).baselines["baseline"]) == {"total", "sign_sum"}


def test_no_rule_is_the_strongest_while_one_is_there_with_other_seeds_only() -> None:
    parts = [cell(value, attack="dgba", step=step, seed=s) for step, value, seeds in
             (("apgd", 40, (0,)), ("mim_linear", 50, (0, 1))) for s in seeds]  # fmt: skip
    found = table(run("steps", *parts), "steps")
    assert found["short_percent"].isna().all()
    assert found["status"].str.startswith("not compared: with other seeds only: ").all()
    parts.append(cell(40, attack="dgba", step="apgd", seed=1))
    found = table(run("steps", *parts), "steps").set_index("step")
    assert found["short_percent"].to_dict() == pytest.approx({"apgd": 20, "mim_linear": 0}, abs=0.05)


def test_transfer_by_hand_over_two_seeds() -> None:
    def single(sharing: str, seed: int, other: float) -> list[dict[str, Any]]:
        damage = {"segmentation": 50.0, "depth": other, "normals": other}
        blocks = 0 if sharing == "independent" else 5
        return cell(damage, attack="single", target="segmentation", sharing=sharing, shared_blocks=blocks, seed=seed)

    pairs = [("independent", 0, 5.0), ("independent", 1, 10.0), ("all_shared", 0, 20.0), ("all_shared", 1, 40.0)]
    found = table(run("transfer", *(single(*pair) for pair in pairs)), "transfer").set_index("sharing")
    assert found["ratio"].to_dict() == pytest.approx({"independent": 0.15, "all_shared": 0.6})
    assert found.loc["all_shared", "increase"] == pytest.approx(0.45)
    assert found.loc["all_shared", "gain"] == pytest.approx(4)
    assert found.loc["independent", "gain"] == pytest.approx(1)
    assert (found["seeds"] == "0,1").all()


def test_transfer_without_an_independent_model_says_so() -> None:
    damage = {"segmentation": 50.0, "depth": 5.0, "normals": 5.0}
    found = table(run("transfer", cell(damage, attack="single", target="segmentation", sharing="share2")), "transfer")
    assert found["gain"].isna().all()
    assert found["status"].tolist() == ["gain undefined: no independent result"]


def test_normalised_transfer_by_hand_over_three_seeds() -> None:
    """Attacks on depth and on normals; half of what an attack on normals does, plus or minus a tenth, t = 8.66."""
    parts = []
    for sharing, shares in (("independent", (0.1, 0.1, 0.1)), ("all_shared", (0.5, 0.6, 0.7))):
        for seed, share in enumerate(shares):
            same = {
                "attack": "single",
                "sharing": sharing,
                "seed": seed,
                "shared_blocks": 5 * (sharing != "independent"),
            }
            parts.append(cell({"depth": 90.0, "normals": 40 * share}, target="depth", **same))
            parts.append(cell({"depth": 30.0, "normals": 40.0}, target="normals", **same))
    study = run("transfer", *parts)
    found: Any = table(study, "transfer_normalised").set_index(["sharing", "source"])
    assert found["normalised_ratio"].to_dict() == pytest.approx(
        {("independent", "depth"): 0.1, ("independent", "normals"): 1 / 3}
        | {("all_shared", "depth"): 0.6, ("all_shared", "normals"): 1 / 3},
        abs=1e-3,
    )
    row = found.loc[("all_shared", "depth")]
    assert row["increase"] == pytest.approx(0.5, abs=1e-3)
    half = 4.303 * 0.1 / 3**0.5
    assert [row["increase_low"], row["increase_high"]] == pytest.approx([0.5 - half, 0.5 + half], abs=2e-3)
    assert row["p_value"] == pytest.approx(0.0131, rel=0.02)
    assert row["over"] == "images and 3 seeds"
    assert row["seeds_needed"] == "3"
    assert found.loc[("independent", "depth"), "seeds_needed"] == "", "itself"
    assert np.isnan(found.loc[("independent", "depth"), "p_value"])
    assert {"transfer_normalised_matrix", "transfer", "transfer_matrix"} < {t.name for t in study.tables}


def test_the_p_values_of_a_table_are_adjusted_within_its_scores() -> None:
    parts = []
    for scores in ("standard", "paper"):
        for seed, (one, two) in enumerate(((9, 3), (10, 4), (11, 8))):
            for training, more in (("clean", 0.0), ("a", one), ("b", two)):
                parts.append(cell(50.0 - more, attack="dgba", training=training, seed=seed, scores=scores))
    found: Any = table(run("robust_models", *parts), "robust_models").set_index(["scores", "training"])
    raw, holm = found["p_value"].to_dict(), found["p_holm"].to_dict()
    assert raw["standard", "a"] == pytest.approx(raw["paper", "a"])
    assert holm["standard", "a"] == pytest.approx(holm["paper", "a"])
    assert holm["standard", "a"] == pytest.approx(2 * raw["standard", "a"])
    assert holm["standard", "b"] == pytest.approx(raw["standard", "b"])
    assert raw["standard", "a"] == pytest.approx(0.0033, rel=0.05), "9, 10, 11: t = 10 sqrt(3)"
    assert np.isnan(holm["standard", "clean"])


def of_network(sharing: str, path: object, tree: str | None = None) -> Cell:
    identity = {"dataset": "rooms", "model": "tiny", "sharing": sharing, "tree": tree or sharing}
    return Cell(identity, {"sharing_measured": {"shared_path": path}}, {}, {})


def test_transfer_is_sorted_by_the_shared_path_where_it_is_known() -> None:
    """A tree that shares most of the path, but no block with all tasks, stands behind a level that shares one."""
    damage = {"segmentation": 50.0, "depth": 5.0, "normals": 5.0}
    networks = [("tree9", 0, 0.6), ("share1", 1, 0.06), ("independent", 0, 0.0)]
    parts = [cell(damage, attack="single", target="segmentation", sharing=n, shared_blocks=b) for n, b, _ in networks]
    study = run("transfer", *parts, cells=[of_network(name, path) for name, _, path in networks])
    found = table(study, "transfer")
    assert found["sharing"].tolist() == ["independent", "share1", "tree9"]
    assert found["shared_path"].tolist() == [0.0, 0.06, 0.6]
    assert list(found)[:6] == ["dataset", "model", "training", "sharing", "shared_blocks", "shared_path"]
    axes = [plot.x for plot in study.plots if isinstance(plot, Plot)]
    assert axes == [Axis("shared_path", "shared part of a task's path")] * 2


def test_transfer_without_a_shared_path_is_sorted_by_blocks() -> None:
    """As results of before it was stored; one that contradicts another, or is no share, counts as none."""
    damage = {"segmentation": 50.0, "depth": 5.0, "normals": 5.0}
    levels = [("share2", 2), ("share1", 1), ("independent", 0)]
    parts = [cell(damage, attack="single", target="segmentation", sharing=n, shared_blocks=b) for n, b in levels]
    known = [of_network("share2", 0.2), of_network("share2", 0.3), of_network("share1", "half"), of_network("x", 1.0)]
    study = run("transfer", *parts, cells=known)
    found = table(study, "transfer")
    assert found["sharing"].tolist() == ["independent", "share1", "share2"]
    assert found["shared_path"].isna().all()
    assert [plot.x.column for plot in study.plots if isinstance(plot, Plot)] == ["shared_blocks"] * 2


def test_an_undefined_gain_says_why() -> None:
    damage = {"segmentation": 50.0, "depth": 0.1, "normals": 0.1}
    more = {"segmentation": 50.0, "depth": 25.0, "normals": 25.0}
    levels = [(damage, "independent"), (more, "share2")]
    parts = [cell(values, attack="single", target="segmentation", sharing=sharing) for values, sharing in levels]
    found = table(run("transfer", *parts), "transfer").set_index("sharing")
    assert found["gain"].isna()["share2"]
    assert found.loc["share2", "increase"] == pytest.approx(0.498)
    assert found.loc["share2", "status"] == "gain undefined: independent ratio below 0.01"


def test_seeds_of_different_recipes_are_not_averaged() -> None:
    """The same name of a training may stand for other options of it."""
    one, other = (
        [row | {"recipe": recipe} for row in cell(value, attack="dgba", seed=seed)]
        for value, seed, recipe in ((20, 0, "a"), (100, 1, "b"))
    )
    found = table(run("clean_models", one, other), "clean_models").set_index("seeds")
    assert found["arp_percent"].to_dict() == pytest.approx({"0": 20, "1": 100}, abs=1)


def test_the_exponent_with_the_most_damage_wins_every_replicate() -> None:
    parts = [
        cell(value, attack="power", objective={"alpha": alpha})
        for alpha, value in ((0.0, 20), (0.5, 40), (1.0, 60), (1.5, 50))
    ]
    found = table(run("alpha", *parts), "alpha").set_index("alpha")
    assert found["best_share"].to_dict() == {0.0: 0, 0.5: 0, 1.0: 1, 1.5: 0}
    assert found["difference_to_1"].to_dict() == pytest.approx({0.0: -40, 0.5: -20, 1.0: 0, 1.5: -10})


@pytest.mark.parametrize(("ones", "said"), [([1], "ok"), ([], "no results with alpha 1"), ([1, 1.0], "2 results")])
def test_what_alpha_is_compared_with(ones: list[float], said: str) -> None:
    """Written as 1 and as 1.0 it makes two cells."""
    parts = [cell(20 + alpha, attack="power", objective={"alpha": alpha}) for alpha in (0.5, *ones)]
    found = table(run("alpha", *parts), "alpha")
    assert len(found) == len(parts)
    assert found["status"].str.startswith(said).all()
    assert found["difference_to_1"].notna().eq(said == "ok").all()


def stored(gradients: int, **identity: Any) -> Cell:
    """A cell of which only its price is read; its attack is that of `cell` with the same objective."""
    identity = {"dataset": "rooms", "target": "all", "step_options": {"steps": 10}, **identity}
    return Cell(identity, {"gradients_per_image": gradients}, {}, {})


def test_another_dataset_has_another_price() -> None:
    """sign_sum evaluates a gradient for every task, and datasets differ in their tasks."""
    names = {"attack": "sign_sum", "objective": {"name": "sign_sum"}}
    prices = {"rooms": 30, "rooms5": 50}
    cells = [stored(gradients, dataset=dataset, **names) for dataset, gradients in prices.items()]
    parts = [cell(20, dataset=dataset, cell=c.key, **names) for dataset, c in zip(prices, cells, strict=True)]
    found = table(run("cost", *parts, cells=cells), "cost").set_index("dataset")
    assert found["gradients_per_image"].to_dict() == prices


def test_attacks_are_compared_in_the_same_unit_of_depth() -> None:
    scaled = {"loss_scale": {"depth": 10}}
    gain = table(
        run(
            "clean_models",
            cell(50, attack="dgba"),
            cell(50, attack="dgba", objective=scaled),
            cell(30, attack="total"),
            cell(45, attack="total", objective=scaled),
        ),
        "clean_models_gain",
    ).set_index("attack")
    assert gain["best_baseline"].to_dict() == {
        "dgba": "total",
        "dgba(loss_scale=depth*10)": "total(loss_scale=depth*10)",
    }
    parts = [cell(v, attack="power", objective={"alpha": a} | more) for a, v, more in POWERS]
    alone = table(run("alpha", *parts), "alpha")
    assert sorted(alone["difference_to_1"]) == pytest.approx([-20, -10, 0, 0])


POWERS: list[tuple[float, float, dict[str, Any]]] = [
    *((0.0, 30, {}), (1.0, 50, {})),
    *((0.0, 40, {"loss_scale": {"depth": 10}}), (1.0, 50, {"loss_scale": {"depth": 10}})),
]


def test_a_search_pays_for_every_weighting_it_tries() -> None:
    tried = {(1, 0, 0): 10, (0, 1, 0): 30, (0, 0, 1): 20, (1, 1, 1): 40, (2, 1, 0): 35, (1, 1, 0): 50}
    grid, objective = {"name": "weighted_total", "grid": 3}, {"name": "dgba"}
    search, dgba = stored(50, attack="weighted_total", objective=grid), stored(10, attack="dgba", objective=objective)
    parts, cells = [], [search, dgba]
    for weights, percent in tried.items():  # the last one is of another grid
        names: dict[str, Any] = {"attack": "weighted", "objective": {"name": "weighted", "weights": list(weights)}}
        cells.append(stored(10, **names))
        parts.append(cell(percent, target="w" + "/".join(map(str, weights)), cell=cells[-1].key, **names))
    parts += [cell(25, cell=search.key, attack="weighted_total", objective=grid)]
    parts += [cell(42, attack="dgba", cell=dgba.key, objective=objective)]
    found = table(run("cost", *parts, cells=cells), "cost").set_index("method")
    assert found["gradients_per_image"].to_dict() == {
        "dgba": 10,
        "weighted_total, best weighting per image": 50,
        "weighted_total, best weighting of the run": 50,
        "weighted_total, best single task": 30,
    }
    assert found["arp_percent"].to_dict() == pytest.approx(
        {
            "dgba": 42,
            "weighted_total, best weighting per image": 25,
            "weighted_total, best weighting of the run": 40,
            "weighted_total, best single task": 30,
        }
    )
    assert found.loc["dgba", "arp_per_gradient"] == pytest.approx(4.2)


def test_only_trees_that_nothing_beats_in_both_are_pareto() -> None:
    """Damage of the independent tree: 50. share1 is as accurate and weaker, share2 as accurate and stronger."""
    parts = [
        cell(value, attack="dgba", sharing=sharing, shared_blocks=i)
        for i, (sharing, value) in enumerate([("independent", 50), ("share1", 60), ("share2", 40)])
    ]
    found = table(run("tradeoff", *parts), "tradeoff").set_index("sharing")
    assert found["pareto"].to_dict() == {"independent": False, "share1": False, "share2": True}
    assert found["clean_lost_percent"].to_dict() == pytest.approx(dict.fromkeys(found.index, 0))


def test_ranks_of_trees_are_correlated_whatever_the_spacing() -> None:
    """Spearman's rho by hand: of (1, 2, 3, 4) with itself 1, reversed -1, and with (2, 1, 4, 3) 0.6."""
    trees = ("0,1,2|0,1,2", "0,12|0,1,2", "012|0,12", "012|012")
    parts = [
        cell(value, attack=attack, sharing=f"t{i}", tree=tree, shared_blocks=i)
        for attack, values in {"dgba": (10, 20, 70, 71), "total": (20, 10, 71, 70)}.items()
        for i, (tree, value) in enumerate(zip(trees, values, strict=True))
    ]
    found = table(run("tradeoff", *parts), "tradeoff_ranks").set_index(["attack", "with"])
    assert found["trees"].eq(4).all()
    assert found.loc[("dgba", "block_copies"), "rho"] == pytest.approx(-1)
    assert found.loc[("total", "block_copies"), "rho"] == pytest.approx(-0.6)
    assert found.loc[("dgba", "block_copies"), "p_value"] == pytest.approx(2 / 24), "all orders of four"
    assert found["over"].eq("trees").all()
    assert found["rho"].xs("clean_lost_percent", level="with").isna().all(), "all trees are as accurate"
    assert table(run("tradeoff", *parts[:2]), "tradeoff_ranks").empty, "two trees make no trend"


def test_robust_models_meet_the_clean_model_of_the_same_attack() -> None:
    parts = [
        cell(value, attack=attack, training=training, seed=seed)
        for (training, attack), value in {
            ("clean", "dgba"): 80,
            ("clean", "total"): 60,
            ("adversarial-dgba", "dgba"): 30,
            ("adversarial-dgba", "total"): 20,
        }.items()
        for seed in (0, 1)
    ]
    cells = [
        Cell(
            {"dataset": "rooms", "model": "tiny", "training": training, "tree": "all_shared", "seed": seed},
            {"trained": {"training_seconds": seconds, "times_clean": 2.0}},
            {},
            {},
        )
        for training, seed, seconds in [("adversarial-dgba", 0, 100), ("adversarial-dgba", 1, 200)]
    ]
    study = run("robust_models", *parts, cells=cells)
    found = table(study, "robust_models").set_index(["training", "attack"])
    assert found.loc[("adversarial-dgba", "dgba"), "difference"] == pytest.approx(-50)
    assert found.loc[("adversarial-dgba", "total"), "difference"] == pytest.approx(-40)
    assert found.loc[("clean", "dgba"), "difference"] == 0
    cost = table(study, "robust_models_cost").set_index("training")
    assert cost.loc["adversarial-dgba", "training_seconds"] == 150
    assert cost["training_seconds"].isna()["clean"]
    gain = table(study, "robust_models_gain").set_index("training")
    assert gain["difference"].to_dict() == pytest.approx({"clean": 20, "adversarial-dgba": 10})


def test_what_adversarial_training_loses_to_its_control() -> None:
    """Clean metrics 1 (clean), 1.1 (two clean steps an iteration), 0.99 (adversarial), higher is better."""
    parts = [cell(50, attack="dgba", training=t) for t in ("clean", "clean-twice", "adversarial-dgba")]
    for part, value in zip(parts, (1, 1.1, 0.99), strict=True):
        for row in part:
            row["values"] = row["values"] * value
    found = table(run("robust_models", *parts), "robust_models_cost").set_index("training")
    assert found["clean_lost_percent"].to_dict() == pytest.approx(
        {"clean": 0, "clean-twice": -10, "adversarial-dgba": 1}
    )
    assert found["twice_lost_percent"].to_dict() == pytest.approx(
        {"clean": 100 / 11, "clean-twice": 0, "adversarial-dgba": 10}
    )
    alone = table(run("robust_models", parts[0], parts[2]), "robust_models_cost")
    assert not any(str(name).startswith("twice") for name in alone)


def test_defences_by_hand() -> None:
    """Damage of three trainings; clean metrics 1.1 for the control, 0.99 and 1.045 for the others."""
    hurt = {"clean-twice": (80, 90, 100), "adversarial-dgba": (10, 30, 50), "adversarial-smooth_log": (20, 24, 28)}
    accuracy = {"clean-twice": 1.1, "adversarial-dgba": 0.99, "adversarial-smooth_log": 1.045}
    parts = []
    for training, values in hurt.items():
        for seed in (0, 1):
            parts.append(cell(dict(zip(TASKS, values, strict=True)), attack="dgba", training=training, seed=seed))
            for row in parts[-1]:
                row["values"] = row["values"] * accuracy[training]
    alone = cell(99, attack="single", target="depth", training="adversarial-dgba")
    one_task = [row for row in alone if row["attack"] == "single"]
    found: Any = table(run("defences", *parts, one_task), "defences").set_index("training")
    assert len(found) == 3, "attacks on one task say nothing about evenness"
    assert found["arp_percent"].to_dict() == pytest.approx(
        {"clean-twice": 90, "adversarial-dgba": 30, "adversarial-smooth_log": 24}, abs=0.05
    )
    assert found["difference"].to_dict() == pytest.approx(
        {"clean-twice": 60, "adversarial-dgba": 0, "adversarial-smooth_log": -6}, abs=0.05
    )
    assert found["clean_lost_percent"].to_dict() == pytest.approx(
        {"clean-twice": 0, "adversarial-dgba": 10, "adversarial-smooth_log": 5}
    )
    assert found.loc["adversarial-dgba", ["least_task", "most_task"]].tolist() == ["segmentation", "depth"]
    assert found.loc["adversarial-dgba", ["least_damage", "most_damage"]].tolist() == pytest.approx([10, 50], abs=0.1)
    assert found["pareto"].to_dict() == {
        "clean-twice": True, "adversarial-dgba": False, "adversarial-smooth_log": True,
    }  # fmt: skip


def test_a_training_of_other_seeds_is_compared_with_none() -> None:
    parts = [
        cell(value, attack="dgba", training=training, seed=seed)
        for training, value, seeds in (("adversarial-dgba", 30, (0, 1)), ("adversarial-total", 20, (0,)))
        for seed in seeds
    ]
    found: Any = table(run("defences", *parts), "defences").set_index("training")
    assert np.isnan(found.loc["adversarial-total", "difference"])
    assert not found["pareto"].any()
    assert found.loc["adversarial-dgba", "status"] == "not compared: with other seeds only: adversarial-total"


def test_defences_without_a_control_say_so() -> None:
    found = table(run("defences", cell(30, attack="dgba", training="adversarial-dgba")), "defences")
    assert found["clean_lost_percent"].isna().all()
    assert "no clean-twice result" in found["status"].item()


def clean_cell(gradient: list[list[float]], losses: list[list[float]], seed: int = 0) -> Cell:
    identity: dict[str, Any] = {
        "dataset": "rooms",
        "split": "test",
        "fingerprint": "f",
        "model": "tiny",
        "training": "clean",
    }
    identity |= {"sharing": "all_shared", "shared_blocks": 5, "tree": "t", "n_images": len(losses)}
    identity |= {"seed": seed, "weights": str(seed), "attack": "none"}
    arrays = {"gradient": np.array(gradient), "losses": np.array(losses)}
    return Cell(identity, {}, {task: [] for task in TASKS}, arrays)


def test_shares_of_the_gradient_by_hand() -> None:
    """Gradients 6, 2, 2 with losses 3, 1, 1: total follows the first task, dgba gives each a third."""
    cells = [clean_cell([[6, 2, 2], [6, 2, 2]], [[3, 1, 1], [3, 1, 1]])]
    study = run("dominance", cell(50, attack="dgba"), cell(20, attack="total"), cells=cells)
    found = table(study, "dominance").set_index(["objective", "task"])["share"]
    assert found["total"].to_dict() == pytest.approx({"segmentation": 0.6, "normals": 0.2, "depth": 0.2})
    assert found["dgba"].to_dict() == pytest.approx(dict.fromkeys(TASKS, 1 / 3))
    damage = table(study, "dominance_damage").set_index(["attack", "task"])
    assert damage.loc[("dgba", "depth"), "difference"] == pytest.approx(30)


def test_a_share_is_a_mean_over_images_not_of_sums() -> None:
    cells = [clean_cell([[100, 0, 0], [0, 1, 0]], [[1, 1, 1], [1, 1, 1]])]
    found = table(run("dominance", cell(5, attack="total"), cells=cells), "dominance")
    shares = found[found["objective"] == "total"].set_index("task")["share"]
    assert shares.to_dict() == pytest.approx({"segmentation": 0.5, "normals": 0.5, "depth": 0})


def test_images_without_any_gradient_have_no_shares() -> None:
    one = clean_cell([[3, 1, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]])
    found = table(run("dominance", cell(5, attack="total"), cells=[one]), "dominance")
    shares = found[found["objective"] == "total"].set_index("task")
    assert shares["share"].to_dict() == pytest.approx({"segmentation": 0.75, "normals": 0.25, "depth": 0})
    assert (shares["status"] == "ok").all()
    none = clean_cell([[0, 0, 0]], [[1, 1, 1]])
    found = table(run("dominance", cell(5, attack="total"), cells=[none]), "dominance")
    assert found["share"].isna().all()
    assert set(found["status"]) == {"seed 0: all gradients are 0"}
    broken = clean_cell([[np.nan, 0, 0]], [[1, 1, 1]])
    found = table(run("dominance", cell(5, attack="total"), cells=[broken]), "dominance")
    assert found["share"].isna().all()
    assert set(found["status"]) == {"seed 0: a gradient is NaN"}


def test_where_balancing_starts_to_pay_by_hand() -> None:
    """dgba is 4 below total at eps 1, 2 below at 2, 6 above at 4: the line from -2 to 6 is 0 at 2.5."""
    arps = {"dgba": (6, 18, 46), "floor": (11, 21, 41), "bounded": (9, 19, 39), "power": (12, 21, 39)}
    parts = [cell(arp, attack="total", eps=eps) for eps, arp in zip((1, 2, 4), (10, 20, 40), strict=True)]
    for attack, values in arps.items():
        parts += [cell(arp, attack=attack, eps=eps) for eps, arp in zip((1, 2, 4), values, strict=True)]
    parts.append(cell(99, attack="dgba", eps=1, step="apgd"))  # nothing to compare it with
    study = run("crossing", *parts)
    found = table(study, "crossing").set_index("method")
    assert found.loc["dgba", ["crossing_eps", "ci_low", "ci_high"]].tolist() == pytest.approx([2.5] * 3), "paired"
    assert found["status"].to_dict() == {
        "dgba": "ok",
        "floor": "above total at every eps",
        "bounded": "below total at every eps",
        "power": "below total at the largest eps",
    }
    assert found["crossing_eps"].isna().tolist() == (found["status"] != "ok").tolist()
    rows = table(study, "crossing_arp").set_index(["method", "step", "eps"])["difference"].sort_index()
    assert rows["dgba", "pgd"].tolist() == pytest.approx([-4, -2, 6])
    assert np.isnan(rows["dgba", "apgd", 1])


def test_crossings_of_several_trainings_have_an_interval_over_them() -> None:
    """Crossings at 1.5 and 1.7: mean 1.6, half the t interval of two, 12.706 x .1."""
    parts = []
    for seed, below in ((0, 5), (1, 7)):
        for eps, ahead in ((1, -below), (2, 10 - below)):
            parts += [
                cell(20, attack="total", eps=eps, seed=seed),
                cell(20 + ahead, attack="dgba", eps=eps, seed=seed),
            ]
    (row,) = table(run("crossing", *parts), "crossing").to_dict("records")
    assert row["seeds"] == "0,1"
    assert row["crossing_eps"] == pytest.approx(1.6)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 12.706 * 0.1, rel=0.01)


def test_an_attack_on_other_losses_is_compared_with_total_on_these() -> None:
    margin = {"loss": {"intent": "class_margin"}}
    study = run(
        "crossing",
        cell(20, attack="total", eps=1),
        cell(26, attack="dgba", eps=1),
        cell(30, attack="total", eps=1, objective={"name": "total", **margin}, cell="total margin"),
        cell(31, attack="dgba", eps=1, objective={"name": "dgba", **margin}, cell="dgba margin"),
    )
    rows = table(study, "crossing_arp").sort_values("arp_percent")
    assert rows["arp_percent"].tolist() == pytest.approx([20, 26, 30, 31])
    assert rows["difference"].tolist() == pytest.approx([0, 6, 0, 1], abs=1e-9)
    assert len(table(study, "crossing")) == 2, "of total there is none"


def test_models_in_two_precisions_are_two_models() -> None:
    one, other = (clean_cell([[3, 1, 0]], [[1, 1, 1]]) for _ in range(2))
    other = Cell({**other.identity, "precision": "bf16"}, {}, other.tasks, other.arrays)
    found = table(run("dominance", cell(5, attack="total"), cells=[one, other]), "dominance")
    assert len(found) == 2 * 2 * 3
    assert found["share"].notna().all()


def test_steps_are_compared_with_the_strongest_and_with_twice_as_many() -> None:
    study = run(
        "steps",
        cell(40, attack="dgba", step="apgd", steps=10),
        cell(60, attack="dgba", step="apgd", steps=20),
        cell(80, attack="dgba", step="mim_linear", steps=20),
        cell(99, attack="total", step="mim_linear", steps=40),  # another attack
        cell(90, attack="dgba", step="mim_linear", steps=40, sharing="independent"),  # another model
    )
    found = table(study, "steps").query("method == 'dgba' and sharing == 'all_shared'").set_index(["step", "steps"])
    assert found["short_percent"].to_dict() == pytest.approx(
        {("apgd", 10): 50, ("apgd", 20): 25, ("mim_linear", 20): 0}
    )
    assert found["twice_gains_percent"].to_dict() == pytest.approx(
        {("apgd", 10): 50, ("apgd", 20): np.nan, ("mim_linear", 20): np.nan}, nan_ok=True
    )


@pytest.mark.parametrize("name", list(STUDIES))
def test_nothing_to_compare_is_no_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    study = run(name, cell(5, attack="noise"))
    for made in study.tables:
        show(console(), study_pivot(made, "standard"))
    study_figures(study.plots, "standard")
    assert study.tables[0].title in capsys.readouterr().out


def test_one_score_set_is_drawn() -> None:
    plots = run("clean_models", cell(50, attack="dgba"), cell(30, attack="total")).plots
    (drawn,) = study_figures(plots, "standard")
    assert [row["y"] for row in drawn.spec["data"]["values"]] == ["dgba", "total"]
    assert [row["x"] for row in drawn.spec["data"]["values"]] == pytest.approx([50, 30])
    assert study_figures(plots, "paper") == []


def test_points_without_a_place_are_not_drawn() -> None:
    """Without an independent model nobody knows what accuracy a tree has lost."""
    plot = run("tradeoff", cell(50, attack="dgba", sharing="all_shared")).plots[0]
    assert plot.frame["arp_percent"].notna().all()
    assert isinstance(plot, Plot)
    assert plot.frame["clean_lost_percent"].isna().all()
    assert plot.frame["status"].str.contains("no independent result").all()
    assert study_figures([plot], "standard") == []


def test_rows_of_one_name_say_in_what_they_differ() -> None:
    """Two recipes of one name, as of a training that was made longer."""
    rows = pd.DataFrame(
        {
            "attack": ["dgba", "dgba", "total"],
            "options": ["{}"] * 3,
            "recipe": [json.dumps({"training": {"name": "clean", "iterations": n, "lr": 0.1}}) for n in (5, 7, 9)],
            "arp_percent": [1.0, 2.0, 3.0],
        }
    )
    found = arranged(rows, ["attack"], ["arp_percent"])
    assert found.columns.tolist() == ["attack", "training_iterations", "arp_percent"]
    assert found["training_iterations"].tolist() == ["5", "7", "9"]
    assert arranged(rows[1:], ["attack"], ["arp_percent"]).columns.tolist() == ["attack", "arp_percent"]


def test_rows_told_apart_by_an_option_are_in_its_order() -> None:
    recipes = [json.dumps({"training": {"iterations": n}}) for n in (1000, 200, 2000)]
    rows = pd.DataFrame({"dataset": "b", "recipe": recipes, "value": [1.0, 2.0, 3.0]})
    rows = pd.concat([rows, rows.head(1).assign(dataset="a")])
    found = arranged(rows, ["dataset"], ["value"])
    assert found["training_iterations"].tolist() == ["1000", "200", "1000", "2000"]
    assert found["value"].tolist() == [1, 2, 1, 3]


AUTO = {"step": "mim_linear", "steps": 100, "eps": 8.0, "seed": 0}
CLIMBED = {"metrics": {"segmentation": ["miou", "pixel_accuracy"], "depth": ["abs_err"]}}


def reference(**options: Any) -> Study:
    """`auto`, its recipe with as many steps, dgba with as many, and the recipe with 10; and one more smooth_arp."""
    arp = {"attack": "smooth_arp", "objective": {"name": "smooth_arp", **CLIMBED}}
    more = {**arp, **AUTO, **options}
    return run(
        "auto",
        cell(90.0, attack="auto", objective={"name": "auto", **CLIMBED}, **AUTO),
        cell(88.0, **{**arp, **AUTO, "cell": "whole"}),
        cell(80.0, attack="dgba", objective={"name": "dgba"}, **AUTO),
        cell(70.0, **{**arp, **AUTO, "steps": 10, "cell": "short"}),
        cell(60.0, attack="dgba", objective={"name": "dgba"}, **{**AUTO, "steps": 10, "cell": "dgba 10"}),
        cell(50.0, **{**more, "cell": "more"}),
    )


@pytest.mark.parametrize(
    "other",
    [
        {"objective": {"name": "smooth_arp", "metrics": {"segmentation": ["miou"]}}},
        {"objective": {"name": "smooth_arp", **CLIMBED, "clean_values": {"images": 192}}},
        {"steps": 20},
    ],
    ids=["some metrics", "other clean values", "other steps"],
)
def test_the_recipe_is_one_attack_for_each_number_of_steps(other: dict[str, Any]) -> None:
    """`auto` where it was run, else smooth_arp that climbs all metrics, whatever else was run beside it."""
    study = reference(**other)
    same = table(study, "auto_same_steps").set_index(["attack", "steps"])["difference"]
    assert same["dgba", 100] == pytest.approx(10)
    assert same["dgba", 10] == pytest.approx(10)
    own = table(study, "auto").set_index(["attack", "steps"])["difference"]
    assert own["dgba", 10] == pytest.approx(30)


def test_every_model_under_the_reference_attack_has_its_checks_and_alarms() -> None:
    hurt = ({"segmentation": 60.0, "normals": 90.0, "depth": 30.0}, dict.fromkeys(TASKS, 40.0))
    made = [
        cell(value, attack="auto", objective={"name": "auto"}, **{**AUTO, "seed": seed, "cell": f"auto {seed}"})
        for seed, value in enumerate(hurt)
    ]
    frame = wide(*made)
    checks = pd.DataFrame({"cell": ["auto 0", "auto 1"], "gradients_per_image": 100, "converged_gain": [1.5, 7.0]})
    alarms = {"auto 1": "alarm: twice the steps gain 7 %"}
    study = STUDIES["auto"](Evidence(frame[~frame.index.duplicated()], [], alarms, checks))
    found = table(study, "auto_models").set_index("seed")
    assert found["arp_percent"].tolist() == pytest.approx([60, 40])
    assert found.loc[0, ["least_task", "most_task"]].tolist() == ["depth", "normals"]
    assert found["converged_gain"].tolist() == [1.5, 7.0]
    assert found["gradient_free_gain"].isna().all(), "not searched"
    assert found["status"].tolist() == ["ok", alarms["auto 1"]]
