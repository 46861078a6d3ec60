"""Vectors through the commands: closed forms that flip where theory says, a trained network, digits, wrong options."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.data.test_digits import write
from tests.running import Result

SMALL = ("dataset=clusters", "dataset.D=20", "dataset.alpha=0.01", "dataset.train=60", "dataset.test=20")
ATTACKS = "attack=total,several_starts,nearest_other,average_other"
QUICK = ("model=two_layer", "model.hidden=20", "model.init=0.01", "training.iterations=60", "training.batch_size=60")


def kept(folder: Path) -> dict[tuple[str, str, float], float]:
    """(model, attack, eps) -> accuracy under attack."""
    table = pd.read_csv(folder / "outputs/tables/metrics.csv")
    table = table[(table["scores"] == "standard") & (table["eps"] > 0)]
    return {(row["model"], row["attack"], row["eps"]): row["attacked"] for row in table.to_dict("records")}


def test_closed_forms_flip_where_theory_says(tmp_path: Path, call: Callable[..., Result]) -> None:
    """At 1 / sqrt(10) = .316 along the averages, at sqrt(2) / 2 = .707 to another centre; PGD finds only the first,
    and is told so where it leaves more than any classifier keeps.
    """
    done = call(
        *("attack", "-m", *SMALL, "model=limit", "model.p=1,3", ATTACKS, "attack/step=pgd"),
        *("eps=[0.3,0.33,0.69,0.73]", "study=implicit_bias"),
    )
    assert (done.status, done.err.count("failed")) == (0, 0)
    found = kept(tmp_path)
    relu = {(attack, eps): value for (model, attack, eps), value in found.items() if model == "limit-p1"}
    assert [relu["average_other", eps] for eps in (0.3, 0.33)] == [1, 0]
    assert [relu["nearest_other", eps] for eps in (0.69, 0.73)] == [1, 0]
    assert [relu["several_starts", eps] for eps in (0.3, 0.69)] == [1, 0]
    cube = {(attack, eps): value for (model, attack, eps), value in found.items() if model == "limit-p3"}
    assert [cube["average_other", eps] for eps in (0.33, 0.73)] == [1, 1]
    for attack in ("nearest_other", "several_starts"):
        assert [cube[attack, eps] for eps in (0.69, 0.73)] == [1, 0]
    assert cube["total", 0.73] == 1
    table = pd.read_csv(tmp_path / "outputs/tables/arp.csv")
    beyond = table[table["status"].str.contains("beyond the limit") & (table["scores"] == "standard")]
    assert beyond[["model", "attack", "eps"]].values.tolist() == [
        ["limit-p3", "average_other", 0.73],
        ["limit-p3", "total", 0.73],
    ]
    radii = pd.read_csv(tmp_path / "outputs/tables/implicit_bias_radius.csv")
    worst = radii[radii["method"] == "worst of all"].set_index("model")["radius"]
    assert worst["limit-p1"] == pytest.approx(0.315)
    assert worst["limit-p3"] == pytest.approx(0.71)
    plot = (tmp_path / "outputs/plots/implicit_bias.svg").read_text()
    assert {name: f">{name}<" in plot for name in ("1/sqrt(K)", "sqrt(2)/2")} == {"1/sqrt(K)": True, "sqrt(2)/2": True}


def test_a_network_is_trained_and_its_alignment_measured(tmp_path: Path, call: Callable[..., Result]) -> None:
    """By gradient descent without momentum; over two numbers of iterations there is something to plot."""
    line = (
        "attack",
        "-m",
        *SMALL,
        *QUICK,
        "dataset.tasks=2",
        "sharing=independent,all_shared",
        "seed=0,1",
        "training.iterations=20,60",
        "attack=total",
    )
    done = call(*line, "eps=0.2", "study=implicit_bias")
    assert done.status == 0, done.err
    assert "optimiser: sgd" in next((tmp_path / "outputs/checkpoints").glob("*/recipe.yaml")).read_text()
    table = pd.read_csv(tmp_path / "outputs/tables/alignment.csv")
    over = [["independent", 20], ["independent", 60], ["all_shared", 20], ["all_shared", 60]]
    assert table[["sharing", "iterations"]].values.tolist() == over
    assert set(table["seeds"]) == {"0,1"}
    assert table["cos_average"].between(0.1, 1).all()
    grown = table.pivot(index="sharing", columns="iterations", values="cos_average")
    assert (grown[60] > grown[20]).all()
    assert (table["stable_rank_low"] >= 1).all()
    for measure in ("cos_centre", "cos_average", "stable_rank"):
        assert (tmp_path / f"outputs/plots/alignment_{measure}.svg").is_file()
    assert call("report", "study=granular_tasks").status == 0
    granular = pd.read_csv(tmp_path / "outputs/tables/granular_tasks.csv")
    assert granular[["tasks", "sharing"]].drop_duplicates().values.tolist() == [[2, "independent"], [2, "all_shared"]]
    assert granular["accuracy"].between(0, 1).all()
    (name,) = set(granular["dataset"])
    assert not name.endswith("-t2"), "points over the number of tasks are of one set"


def test_adversarial_training_needs_a_radius(tmp_path: Path, call: Callable[..., Result]) -> None:
    """Images have a usual one; 8 would be beyond every centre. The control without an attack needs none."""
    line = ("train", *SMALL, *QUICK, "training.iterations=2")
    refused = call(*line, "training=adversarial")
    said = "give one in units of the data's unit, for example training.eps=0.1"
    assert (refused.status, said in refused.err) == (2, True), refused.err
    assert not (tmp_path / "outputs/checkpoints").exists()
    for training in (("training=adversarial", "training.eps=0.2"), ("training=clean_twice",)):
        done = call(*line, *training)
        assert done.status == 0, done.err
    recipes = [path.read_text() for path in (tmp_path / "outputs/checkpoints").glob("*/recipe.yaml")]
    assert sorted("eps: 0.2" in recipe for recipe in recipes) == [False, True]


def test_digits_of_a_folder(tmp_path: Path, call: Callable[..., Result]) -> None:
    root = write(tmp_path / "digits")
    model = ("model=two_layer", "model.p=2", "model.normalise=true")
    options = ("dataset=digits", f"dataset.root={root}", *model, "training.iterations=20", "training.batch_size=10")
    assert call("train", *options).status == 0
    done = call("attack", *options, "attack=several_starts", "eps=0.5", "dataset.metrics={odd:[error,accuracy]}")
    assert done.status == 0, done.err
    table = pd.read_csv(tmp_path / "outputs/tables/metrics.csv")
    assert set(table["task"]) == {"odd", "large", "loop"}
    odd = table[table["task"] == "odd"].set_index(["scores", "metric"])[["clean", "attacked"]]
    assert (odd.xs("error", level="metric") + odd.xs("accuracy", level="metric")).to_numpy() == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("dataset=clusters",), "model=tiny: it reads image inputs; those of dataset=clusters are of form vector"),
        (("model=two_layer",), "model.D=None: expected the length of an input vector"),
        (("attack=nearest_other",), "attack.starts=nearest_other: the inputs of this dataset have image only"),
        ((*SMALL, *QUICK, "dataset.K=x"), "dataset.K=x: expected a whole number of at least 2"),
        ((*SMALL, *QUICK, "dataset.K1=10"), "dataset.K1=10: expected fewer than all dataset.K=10 clusters"),
        ((*SMALL, *QUICK, "model.p=0.9"), "model.p=0.9: expected a number from 1"),
        ((*SMALL, *QUICK, "training.optimiser=lbfgs"), "training.optimiser=lbfgs: expected adam or sgd"),
        ((*SMALL, *QUICK, "attack.starts=image"), "attack.starts=image: expected a list"),
        ((*SMALL, *QUICK, "save_images=2"), "save_images=2: dataset=clusters has no images"),
        ((*SMALL, "model=limit", "dataset.tasks=2"), "model=limit: known for one task, the dataset has 2"),
        (("dataset=digits", "model=two_layer", "dataset.root=nowhere"), "dataset.root=nowhere: no such folder"),
    ],
)
def test_wrong_options(call: Callable[..., Result], options: tuple[str, ...], said: str) -> None:
    done = call("attack", *options)
    assert (done.status, said in done.err) == (2 if "nowhere" not in said else 3, True), done.err
