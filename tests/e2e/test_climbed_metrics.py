"""Attacks on metrics from the command line: their clean values, and what they and other losses are called."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench.data.batch import collate
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.engine import losses
from mtlbench.engine.terms import Term, Values, terms_of
from mtlbench.experiment import references
from mtlbench.metrics import values
from mtlbench.metrics.measure import measure
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.storage.store import Store
from mtlbench.tasks import Task

MISSPELLED = """
from dataclasses import replace

from mtlbench.data.nyuv2 import NYUv2
from mtlbench.metrics import METRICS

class Mine(NYUv2):
    def __init__(self, **options):
        super().__init__(**options)
        wrong = replace(METRICS["rel_err"], smooth="relativ")
        self.tasks = tuple(replace(task, metrics=(wrong,)) if task.name == "depth" else task for task in self.tasks)
"""
SMALL = ("dataset.images=39", "dataset.resolution=32", "training.iterations=4", "training.batch_size=8", "eps=8")
STEP = ("attack/step=mim_linear", "attack.step.steps=2")


@pytest.fixture
def divided_by(monkeypatch: pytest.MonkeyPatch) -> list[Values]:
    """The clean values that terms are made with, each time that one is."""
    seen: list[Values] = []

    def noted(task: Task, clean: Values) -> Sequence[Term]:
        seen.append(clean)
        return terms_of(task, clean)

    monkeypatch.setattr(losses, "terms_of", noted)
    return seen


def measured(outputs: Path, split: str, images: Sequence[int]) -> Values:
    """The metrics of the trained model on some images of a split, all at once."""
    (root,) = (path for path in (outputs / "datasets").iterdir() if path.is_dir())
    (weights,) = (outputs / "checkpoints").glob("*/*.safetensors")
    data = NYUv2(root, split, (32, 32), classes=13, normals="decoded")
    model = build(Tiny(), level(3, 5), data.tasks, 0).eval()
    load_weights(model, weights)
    batch = collate([data.sample(i) for i in images])
    with torch.no_grad():
        found = measure(data.tasks, model(batch.input), batch.targets, batch.masks)
    arrays = {name: sums.numpy() for name, sums in (found.per_image | found.pooled).items()}
    whole = values(data.tasks, arrays, np.ones((1, len(images))), "standard")
    return {key: value.item() for key, value in whole.items()}


def test_metric_sets_clean_values_and_losses(call: Callable, tmp_path: Path) -> None:
    """Each is an attack of its own; the same bits come again; what is stored is not computed again."""
    small = (*SMALL, *STEP, f"outputs={tmp_path}")
    runs = (
        ("attack=smooth_arp",),
        ("attack=smooth_arp", "attack.clean_values=train"),
        ("attack=smooth_arp", "attack.metrics={segmentation:[miou]}"),
        ("attack=dgba",),
        ("attack=dgba", "attack.loss={segmentation:masked_ce}"),
    )
    for options in runs:
        done = call("attack", *small, *options)
        assert done.status == 0, done.err
    cells = {cell.key: cell for cell in Store(tmp_path / "store") if cell.identity["attack"] != "none"}
    assert len(cells) == len(runs)
    assert all((cell.arrays["rise"] > 0).any() for cell in cells.values())
    assert call("report", f"outputs={tmp_path}").status == 0
    table = pd.read_csv(tmp_path / "tables" / "arp.csv")
    assert len(table[table["scores"] == "standard"]) == len(runs)
    assert {"metrics", "clean_values", "loss"} <= set(table.columns)
    audit = call("report", f"outputs={tmp_path}", "audit=9")
    assert audit.status == 0, audit.err
    assert all(line.endswith(": equal") for line in audit.out.splitlines())
    assert_scores_change_no_attack(call, tmp_path, small)


def assert_scores_change_no_attack(call: Callable, outputs: Path, small: Sequence[str]) -> None:
    """The attacks made for either set of metrics are shown side by side, and are the same as under other scores."""
    for options in ((), ("attack.metrics={segmentation:[miou,pixel_accuracy]}",)):
        done = call("attack", *small, "attack=smooth_arp", "dataset.metrics={segmentation:[miou]}", *options)
        assert done.status == 0, done.err
    assert call("report", f"outputs={outputs}").status == 0
    table = pd.read_csv(outputs / "tables" / "arp.csv")
    shown = table[(table["scores"] == "standard") & (table["dataset"] == "rooms(segmentation=miou)")]
    assert len(shown) == shown["metrics"].nunique() == 2
    rises = {
        (cell.identity["dataset"], *cell.identity["objective"]["metrics"]["segmentation"]): cell.arrays["rise"]
        for cell in Store(outputs / "store")
        if cell.identity["attack"] == "smooth_arp" and "clean_values" not in cell.identity["objective"]
    }
    for climbed in (("miou",), ("miou", "pixel_accuracy")):
        assert np.array_equal(rises["rooms(segmentation=miou)", *climbed], rises["rooms", *climbed])
    assert not np.array_equal(rises["rooms", "miou"], rises["rooms", "miou", "pixel_accuracy"])


def test_which_images_the_clean_values_are_of(
    call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, divided_by: list[Values]
) -> None:
    """Those that are attacked, or the first of the training split, here 5 of 36."""
    assert references.TRAINING_IMAGES == 192, "docs/scores.md says so"
    monkeypatch.setattr(references, "TRAINING_IMAGES", 5)
    small = (*SMALL, *STEP, f"outputs={tmp_path}", "attack=smooth_arp", "limit=2")
    found = {}
    for chosen in ("test", "train"):
        done = call("attack", *small, f"attack.clean_values={chosen}")
        assert done.status == 0, done.err
        assert all(one == divided_by[0] for one in divided_by), "the same throughout an attack"
        found[chosen] = divided_by[0]
        divided_by.clear()
    for chosen, images in (("test", range(2)), ("train", range(5))):
        assert found[chosen] == pytest.approx(measured(tmp_path, chosen, images), rel=1e-3)
    assert found["train"] != pytest.approx(found["test"], rel=1e-2)
    assert found["train"] != pytest.approx(measured(tmp_path, "train", range(6)), rel=1e-3), "not of one more"
    test, train = (cell for cell in Store(tmp_path / "store") if cell.identity["attack"] == "smooth_arp")
    assert not np.array_equal(test.arrays["losses"], train.arrays["losses"])


@pytest.mark.parametrize("options", [("attack", "attack=smooth_arp"), ("train", "training=adversarial")])
def test_a_misspelled_level_is_refused_before_training(call: Callable, tmp_path: Path, options: Sequence[str]) -> None:
    (tmp_path / "my_levels.py").write_text(MISSPELLED)
    own = ("plugins=[my_levels]", "dataset.reader._target_=my_levels.Mine", "dataset.images=26")
    done = call(*options, *own, "dataset.resolution=32", f"outputs={tmp_path / 'outputs'}")
    assert done.status == 2, done.err
    assert "metric rel_err of task depth: smooth=relativ: expected a function, or one of" in done.err
    assert "did you mean relative?" in done.err
    assert not (tmp_path / "outputs/checkpoints").exists()
