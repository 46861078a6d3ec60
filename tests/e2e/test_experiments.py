"""Experiments as a user starts them, on a small scale: from nothing to study tables and plots, and a second start."""

from collections.abc import Callable
from pathlib import Path

import hydra
import pandas as pd
import pytest
from safetensors import safe_open

from mtlbench.config.folder import conf_dir

LEVELS = "independent,share1,share2,share3,share4,all_shared"
FAST = ("dataset.images=65", "dataset.resolution=32", "training.iterations=6", "training.batch_size=8")


def test_transfer_from_nothing_and_again(call: Callable, tmp_path: Path) -> None:
    arguments = ("attack", "experiment=transfer", f"outputs={tmp_path}", "sharing=independent,all_shared", "seed=0,1")
    first = call(*arguments, *FAST, "limit=4", "eps=8", "attack.step.steps=2")
    assert first.status == 0, first.err
    assert "Transferability ratio by sharing level" in first.out
    table = pd.read_csv(tmp_path / "tables" / "transfer.csv", dtype={"seeds": str})
    assert set(table["sharing"]) == {"independent", "all_shared"}
    assert set(table["seeds"]) == {"0,1"}
    before = {file: file.read_bytes() for file in (tmp_path / "tables").iterdir()}
    again = call(*arguments, *FAST, "limit=4", "eps=8", "attack.step.steps=2")
    assert again.status == 0, again.err
    assert again.out == first.out
    assert {file: file.read_bytes() for file in (tmp_path / "tables").iterdir()} == before


def test_tradeoff_over_levels_and_over_trees(call: Callable, tmp_path: Path) -> None:
    same = (f"outputs={tmp_path}", *FAST, "limit=2", "eps=8", "attack/step=fgsm", "attack=dgba")
    levels = call("attack", "experiment=tradeoff", "sharing.index=independent,share2,all_shared", *same)
    assert levels.status == 0, levels.err
    assert set(pd.read_csv(tmp_path / "tables" / "tradeoff.csv")["sharing"]) == {"independent", "share2", "all_shared"}
    trees = call("attack", "experiment=tradeoff", "all_trees=true", "sharing.index=0,7", *same)
    assert trees.status == 0, trees.err
    assert set(pd.read_csv(tmp_path / "tables" / "tradeoff.csv")["sharing"]) == {"independent", "tree7"}


@pytest.mark.parametrize(("flag", "swept"), [("true", "range(51)"), ("false", LEVELS)])
def test_all_trees_sweeps_over_51(flag: str, swept: str) -> None:
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("attack", ["experiment=tradeoff", f"all_trees={flag}"], return_hydra_config=True)
    assert config.hydra.sweeper.params["sharing.index"] == swept


def test_all_trees_is_for_three_tasks(call: Callable, tmp_path: Path) -> None:
    same = (
        "experiment=tradeoff",
        "dataset=rooms5",
        "all_trees=true",
        "sharing.index=0,1",
        f"outputs={tmp_path}",
        *FAST,
    )
    refused = call("attack", *same)
    assert refused.status == 2
    assert "all_trees=true: it sweeps over the 51 trees of three tasks, 5 tasks have 7556" in refused.err
    assert not list((tmp_path / "store").glob("*.npz"))


def test_training_tells_its_cost_and_what_accuracy_it_took(call: Callable, tmp_path: Path) -> None:
    robust = ("train", "training=adversarial_total", f"outputs={tmp_path}", *FAST)
    alone = call(*robust)
    assert "times its clean steps alone" in alone.out
    assert "unknown until the same model is trained with training=clean" in alone.out
    assert call("train", f"outputs={tmp_path}", *FAST).status == 0
    assert "clean accuracy lost" in call(*robust).out
    assert "unknown until" not in call(*robust).out


def test_training_by_force_keeps_the_weights_until_it_has_new_ones(
    call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = ("train", f"outputs={tmp_path}", *FAST)
    assert call(*same).status == 0
    (weights,) = (tmp_path / "checkpoints").rglob("*.safetensors")
    before = weights.read_bytes()

    def killed(*arguments: object, **options: object) -> None:
        raise RuntimeError("the machine went down")

    monkeypatch.setattr("mtlbench.experiment.trained.train", killed)
    assert call(*same, "force=true").status == 1
    assert weights.read_bytes() == before


def test_a_study_of_the_whole_store(call: Callable, tmp_path: Path) -> None:
    made = call(
        "attack", "-m", "attack=dgba,total", "attack/step=fgsm", f"outputs={tmp_path}", *FAST, "limit=2", "eps=8"
    )
    assert made.status == 0, made.err
    shown = call("report", "study=clean_models", f"outputs={tmp_path}")
    assert "DGBA against the best baseline" in shown.out
    for made in ("tables/clean_models_gain.csv", "tables/clean_models.tex"):
        assert (tmp_path / made).is_file()
    wrong = call("report", "study=clean_model", f"outputs={tmp_path}")
    assert wrong.status == 2
    assert "did you mean clean_models?" in wrong.err


def test_loss_scale_moves_total_and_not_dgba(call: Callable, tmp_path: Path) -> None:
    same = (f"outputs={tmp_path}", *FAST, "limit=4", "eps=8", "attack/step=fgsm")
    made = call("attack", "experiment=dominance", "sharing=all_shared", *same)
    assert made.status == 0, made.err
    damage = pd.read_csv(tmp_path / "tables" / "damage.csv")
    values = damage[damage["scores"] == "standard"].groupby(["attack", "task"])["damage_percent"]
    spread = (values.max() - values.min()).groupby("attack").max()
    assert spread["dgba"] < 0.1 * spread["total"], "gradients that round to another sign are all that may change"
    wrong = call("attack", "attack.loss_scale={dept:10}", *same)
    assert wrong.status == 2
    assert "attack.loss_scale.dept: no such task" in wrong.err


def test_training_against_metrics_does_not_depend_on_what_scores(call: Callable, tmp_path: Path) -> None:
    """The weights of smooth_arp training are found under any dataset.metrics: so these must not have made them."""
    found = []
    for name, other in (("own", ()), ("other", ("dataset.metrics={segmentation:[pixel_accuracy]}",))):
        made = call("train", "training=adversarial_smooth_arp", f"outputs={tmp_path / name}", *FAST, *other)
        assert made.status == 0, made.err
        (weights,) = (tmp_path / name / "checkpoints").rglob("*.safetensors")
        with safe_open(weights, "pt") as file:
            found.append((weights.parent.name, file.metadata()["sha256"]))
    assert found[0] == found[1]


def test_a_task_beside_others_is_compared_with_the_task_alone(call: Callable, tmp_path: Path) -> None:
    """The models have other names; that they are of the same rooms shows in the difference."""
    beside = ("dataset.tasks=[segmentation],null", "sharing=independent,all_shared", "seed=0", "attack.step.steps=1")
    same = (f"outputs={tmp_path}", *FAST, "dataset.images=26", "training.iterations=1", "limit=2", "eps=8")
    made = call("attack", "experiment=granular_rooms", *beside, *same)
    assert made.status == 0, made.err
    table = pd.read_csv(tmp_path / "tables" / "granular_rooms.csv")
    table = table[table["scores"] == "standard"].sort_values(["tasks", "sharing"])
    assert table[["dataset", "tasks", "sharing", "task"]].to_numpy().tolist() == [
        ["rooms8", 1, "all_shared", "segmentation"],  # which is independent as well
        ["rooms8", 8, "all_shared", "segmentation"],
        ["rooms8", 8, "independent", "segmentation"],
    ]
    assert table["difference"].notna().all()
    folders = {folder.name.rpartition("-")[0] for folder in (tmp_path / "checkpoints").iterdir()}
    stems = ("rooms8-t1-tiny-all_shared-clean", "rooms8-tiny-all_shared-clean", "rooms8-tiny-independent-clean")
    assert folders == set(stems)
    assert set(pd.read_csv(tmp_path / "tables" / "metrics.csv")["dataset"]) == {"rooms8", "rooms8-t1"}
    again = call("report", "study=granular_rooms", f"outputs={tmp_path}")
    assert "Its metrics without an attack" in again.out


def test_activations_meet_those_of_the_same_network(call: Callable, tmp_path: Path) -> None:
    few = ("model.activation=relu,softplus", "seed=0", "attack=dgba", "attack.step.steps=1", "dataset.images=26")
    made = call(
        "attack",
        "experiment=activations",
        *few,
        *FAST,
        "training.iterations=1",
        "limit=2",
        "eps=8",
        f"outputs={tmp_path}",
    )
    assert made.status == 0, made.err
    table = pd.read_csv(tmp_path / "tables" / "activations.csv").query("scores == 'standard'")
    assert table[["model", "activation"]].to_numpy().tolist() == [["tiny", "relu"], ["tiny", "softplus"]]
    clean = pd.read_csv(tmp_path / "tables" / "activations_clean.csv").query("metric == 'angle_mean'")
    assert clean.set_index("activation")["difference"]["relu"].tolist() == [0, 0]  # of both score sets
    assert clean.set_index("activation")["difference"]["softplus"].abs().min() > 0


def test_other_metrics_score_the_same_model(call: Callable, tmp_path: Path) -> None:
    same = ("attack", "dataset=rooms5", "attack/step=fgsm", f"outputs={tmp_path}", *FAST, "limit=4", "eps=8")
    other = ("dataset.metrics={segmentation:[miou,pixel_accuracy]}",)
    assert call(*same).status == 0
    weights = list((tmp_path / "checkpoints").rglob("*.safetensors"))
    scored = "rooms5(segmentation=miou+pixel_accuracy)"
    made = call(*same, *other)
    assert made.status == 0, made.err
    assert list((tmp_path / "checkpoints").rglob("*.safetensors")) == weights
    assert set(pd.read_csv(tmp_path / "tables" / "metrics.csv")["dataset"]) == {scored}, "what this attack asked for"
    assert call("report", f"outputs={tmp_path}").status == 0
    metrics = pd.read_csv(tmp_path / "tables" / "metrics.csv")
    attacked = metrics[(metrics["scores"] == "standard") & (metrics["attack"] == "dgba")].set_index("dataset")
    assert attacked["metric"]["rooms5"].tolist()[:1] == ["cross_entropy"]
    assert attacked["metric"][scored].tolist()[:2] == ["miou", "pixel_accuracy"]
    of_depth = attacked[attacked["task"] == "depth"]["attacked"]
    assert of_depth["rooms5"] == of_depth[scored], "the attack is the same"
    arp = pd.read_csv(tmp_path / "tables" / "arp.csv")
    assert not arp["arp_percent"].isna().any()
    robust = call("train", "dataset=rooms5", "training=adversarial_total", f"outputs={tmp_path}", *FAST, *other)
    assert "clean accuracy lost against training=clean" in robust.out
    for clean in (tmp_path / "checkpoints").rglob("clean_metrics.csv"):
        assert set(pd.read_csv(clean)["metric"]) >= {"cross_entropy"}, (
            "that of the dataset: others use the weights too"
        )
        assert "miou" not in clean.read_text()
