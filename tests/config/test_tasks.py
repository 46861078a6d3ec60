"""Losses and metrics by name: built in, or of a plugin that the user named, and of nothing else."""

import sys
from pathlib import Path

import pytest

from mtlbench.config.tasks import with_plugins
from mtlbench.errors import UsageError
from mtlbench.metrics import PixelMean
from mtlbench.tasks import Task, classification, regression

PLUGIN = """
from mtlbench.metrics import PixelMean
import os

def cubes(prediction, target, mask, class_weights):
    return (prediction - target).abs().pow(3).mean((1, 2, 3))

def sums(prediction, target, mask):
    raise NotImplementedError

FOURTH = PixelMean("fourth", "mm^4", False, statistic="powers", total=0, count=1, compute=sums)
MISSPELLED = PixelMean("rises", "1", False, statistic="error_sums", total="abs", smooth="mean_eror")
NO_LEVEL = PixelMean("flat", "1", False, statistic="error_sums", total="abs", smooth=3)
NUMBER = 3
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine_tasks.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_tasks", raising=False)
    return "mine_tasks"


def named(loss: str = "l1", metric: str = "mae", attack_loss: str | None = None) -> Task:
    return regression("mm", name="wear", loss=loss, attack_loss=attack_loss, metrics=(metric,))


def test_built_in_names_stay_names() -> None:
    task = classification(3)
    assert with_plugins(task, []) == task


@pytest.mark.parametrize("between", [":", "."])
def test_names_of_a_plugin_become_objects(plugin: str, between: str) -> None:
    loss, metric = f"{plugin}{between}cubes", f"{plugin}{between}FOURTH"
    task = with_plugins(named(loss, metric, loss), [plugin])
    module = sys.modules[plugin]
    assert task.loss is module.cubes
    assert task.attack_loss is module.cubes
    assert task.metrics == (module.FOURTH,)
    assert isinstance(task.metrics[0], PixelMean)
    assert task.described()["loss"] == "mine_tasks:cubes"
    assert task.described()["metrics"][0]["computed_by"] == "mine_tasks:sums"


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (named("os:system"), ", wrong_labels, or a function of mine_tasks; name your module in plugins=[...]"),
        (named("mtlbench.engine.losses:at_size"), "or a function of mine_tasks; name your module"),
        (named("l3"), "wear.loss=l3: expected cross_entropy, cosine, l1, l2, bce, class_margin, dlr, label_mar"),
        (named(attack_loss="mine_tasks:NUMBER"), "wear.attack_loss=mine_tasks:NUMBER: expected a function"),
        (named("mine_tasks:cubs"), "wear.loss=mine_tasks:cubs: module 'mine_tasks' has no attribute 'cubs'"),
        (named(metric="mine_tasks:cubes"), "wear.metrics=mine_tasks:cubes: expected a mtlbench.metrics.Metric, not"),
        (named(metric="mse"), "wear.metrics=mse: expected miou, pixel_accuracy"),
        (
            named(metric="mine_tasks:MISSPELLED"),
            "metric rises of task wear: smooth=mean_eror: expected a function, or one of cross_entropy, cosine, l1",
        ),
        (named(metric="mine_tasks:MISSPELLED"), "wrong_labels; did you mean mean_error?"),
        (named(metric="mine_tasks:NO_LEVEL"), "metric flat of task wear: smooth=3: expected a function, or one of"),
    ],
)
def test_other_names_are_refused(plugin: str, task: Task, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_plugins(task, [plugin])
    assert says in str(caught.value)


def test_only_named_modules_are_imported(plugin: str) -> None:
    with pytest.raises(UsageError, match="or a function of a plugin; name your module"):
        with_plugins(named(f"{plugin}:cubes"), [])
    assert plugin not in sys.modules
