"""attack.source=WEIGHTS: made on another model, of a tree of its own, and scored on this one."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mtlbench.models.checkpoint import save_weights
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from mtlbench.storage.store import Store
from mtlbench.tasks import three_tasks

ROOMS = ("dataset.images=26", "dataset.resolution=32", "attack/step=fgsm", "eps=4", "limit=1", "+model.width=0.1")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The target's weights and the source's."""
    names = [tmp_path / "target.safetensors", tmp_path / "a source, of two.safetensors"]
    for name, shared in zip(names, (3, 2), strict=True):
        save_weights(build(Tiny(0.1), level(3, shared), three_tasks(13), shared), name)
    return names


def test_the_cell_is_of_the_target_and_names_its_source(call: Callable, files: list[Path], tmp_path: Path) -> None:
    target, source = files
    given = ("attack", *ROOMS, f"checkpoint={target}", "attack.converged=null")
    assert call(*given).status == 0
    done = call(*given, f"attack.source={source}")
    assert done.status == 0, done.err
    cells = [cell for cell in Store(tmp_path / "outputs/store") if cell.identity["attack"] != "none"]
    white, transferred = sorted(cells, key=lambda cell: "made_on" in cell.identity)
    about = transferred.identity["made_on"]
    assert (white.identity["sharing"], about["sharing"]) == ("share3", "share2")
    assert {**white.identity, "made_on": about} == transferred.identity
    assert about["weights"] != white.identity["weights"]
    assert call("report").status == 0
    checks = pd.read_csv(tmp_path / "outputs/tables/checks.csv")
    assert {"gradient_free_gain", "gradient_free_low", "gradient_free_high"} <= set(checks), "the two are compared"
    audited = call("report", "audit=9")
    assert audited.status == 0, audited.err


@pytest.mark.parametrize("model", ["tiny", "mobilenet_v2"])
def test_what_is_no_source_is_named(call: Callable, files: list[Path], model: str) -> None:
    small = ("dataset.images=26", "dataset.resolution=32", "training.iterations=1", "eps=4", "limit=1")
    if model == "tiny":  # the model that is attacked
        done, said = call("attack", *small, "attack.source=nowhere.pt"), "nowhere.pt: no such file"
    else:
        done = call("attack", *small, f"model={model}", "model.pretrained=false", f"attack.source={files[0]}")
        said = f"holds weights of model tiny-x0.1; expected model {model}"
    assert done.status == 3, done.err
    assert said in done.err
