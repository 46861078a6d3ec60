"""``model=custom``: a function of the user's, attacked like any other model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from mtlbench.api.running import attack
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from tests.running import Result

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.trunk, self.head = nn.Conv2d(3, width, 3, 2, 1), nn.Conv2d(width, 17, 1)
    def forward(self, x):
        return {"out": self.head(self.trunk(x).relu())}

def build(tasks, width=8):
    assert [task.name for task in tasks] == ["segmentation", "normals", "depth"]
    return Net(width)

def split(found):
    out = found["out"]
    return {"segmentation": out[:, :13], "normals": out[:, 13:16], "depth": out[:, 16:]}

def wrong():
    return "net"
"""
SMALL = ("dataset.images=39", "dataset.resolution=32", "attack.step.steps=2", "eps=4")
CUSTOM = (
    *("model=custom", "model.build=my_nets:build", "model.outputs=my_nets:split", "plugins=[my_nets]"),
    "model.probe=null",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_nets.py").write_text(MODULE)
    return tmp_path


def test_a_function_of_the_user_is_attacked_as_it_is_from_python(folder: Path, call: Callable[..., Result]) -> None:
    """From the folder that the module lies in, with nothing on the path."""
    done = call("attack", *CUSTOM, *SMALL, "model.inputs=imagenet", "model.options={width: 6}")
    assert done.status == 0, done.err
    table = pd.read_csv(folder / "outputs/tables/metrics.csv")
    names = table[["model", "sharing", "training"]].drop_duplicates()
    assert names.to_numpy().tolist() == [["build", "custom", "given"]]
    import my_nets  # type: ignore[import-not-found]  # the command put its folder on the path

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = my_nets.Net(6)
    root = next(path for path in (folder / "outputs/datasets").iterdir() if path.is_dir())
    data = NYUv2(root, "test", resolution=(32, 32), classes=13, normals="decoded")
    how: dict[str, Any] = {"inputs": "imagenet", "outputs": my_nets.split, "progress": False, "probe": None}
    found = attack(net, in_order(data, 2), data.tasks, "dgba", eps=4, steps=2, **how)
    for column in ("clean", "attacked"):
        assert found.metrics[column].tolist() == pytest.approx(table[table["scores"] == "standard"][column].tolist())
    again = call("attack", *CUSTOM, *SMALL, "model.inputs=imagenet", "model.options.width=6")  # another spelling
    assert again.status == 0
    assert "attack build" not in again.err


def test_weights_of_the_user_are_loaded_from_any_checkpoint(folder: Path, call: Callable[..., Result]) -> None:
    state = {f"module.{name}": torch.zeros(shape) for name, shape in SHAPES.items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "best.pth.tar")
    done = call("attack", *CUSTOM, *SMALL, f"checkpoint={folder / 'best.pth.tar'}")
    assert done.status == 0, done.err
    assert "took the weights in 'state_dict'" in done.err
    assert "cut 'module.' from all names" in done.err


SHAPES = {"trunk.weight": (8, 3, 3, 3), "trunk.bias": (8,), "head.weight": (17, 8, 1, 1), "head.bias": (17,)}
WRONG = {
    "no function": (("model.build=my_nets:bild",), "has no attribute 'bild'"),
    "no plugin": (("plugins=[]",), "name your module in plugins=[...]"),
    "options": (
        ("model.options={depth: 3}",),
        "unexpected keyword argument 'depth'; the options of model.options are",
    ),
    "no module": (("model.build=my_nets:wrong",), "my_nets:wrong: returns a str, expected a torch.nn.Module"),
    "inputs": (("model.inputs=imagenot",), "model.inputs='imagenot': expected rgb01, imagenet"),
    "outputs": (("model.outputs={depth: 0}",), "expected one entry for each task: segmentation, normals, depth"),
    "channels": (("model.outputs=null",), "segmentation: the model returns a mapping with the keys 'out'"),
    "sharing": (("sharing=independent",), "model=custom comes with a sharing"),
    "training": (("training=adversarial",), "model=custom comes with a sharing"),
    "build": (("model.build=???",), "model.build"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(folder: Path, call: Callable[..., Result], case: str) -> None:
    options, message = WRONG[case]
    done = call("attack", *CUSTOM, *SMALL, "dataset.images=13", *options)
    assert done.status in (1, 2, 3)
    assert message in done.err


def test_it_is_not_trained(folder: Path, call: Callable[..., Result]) -> None:
    done = call("train", *CUSTOM, "dataset.images=13", "dataset.resolution=32")
    assert done.status == 2
    assert "model=custom: mtlbench does not train models of others" in done.err


def test_the_probe_refuses_a_model_that_has_learned_nothing(folder: Path, call: Callable[..., Result]) -> None:
    done = call("attack", *CUSTOM, *SMALL, "model.probe=strict")
    assert done.status == 3
    assert "the probe refuses the model, its tables would be wrong:\n  - constant of " in done.err
    assert done.err.endswith("model.probe=warn goes on anyway, model.probe=null does not ask\n")
    goes_on = call("attack", *CUSTOM, *SMALL, "model.probe=warn")
    assert goes_on.status == 0
    assert "constant of " in goes_on.err
    wrong = call("attack", *CUSTOM, *SMALL, "model.probe=loud")
    assert (wrong.status, "model.probe=loud: expected strict or warn" in wrong.err) == (2, True)


NOISY = """
import torch
from my_nets import Net

class Noisy(Net):
    def forward(self, x):
        return super().forward(x + 0.1 * torch.randn_like(x))

def noisy():
    return Noisy(8)
"""


def test_a_random_model_is_attacked_by_the_mean_of_its_gradients(folder: Path, call: Callable[..., Result]) -> None:
    (folder / "noisy_nets.py").write_text(NOISY)
    options = (*CUSTOM, *SMALL, "model.build=noisy_nets:noisy", "plugins=[my_nets,noisy_nets]")
    done = call("attack", *options, "attack.eot=2")
    assert done.status == 2
    assert "nothing reads this option here: a model without model.random=true has one gradient" in done.err
    done = call("attack", *options, "-m", "model.random=true", "attack.eot=1,2")
    assert done.status == 0, done.err
    checks = pd.read_csv(folder / "outputs/tables/checks.csv")
    dgba = checks[checks["attack"] == "dgba"]
    found = zip(dgba["gradients_per_image"], dgba["single_draw"].fillna(False).astype(bool), strict=True)
    assert sorted(found) == [(2, True), (4, False)]
    keys = sorted((folder / "outputs/store").glob("*.npz"))
    audit = call("report", f"audit={len(keys)}", "plugins=[my_nets,noisy_nets]")
    assert audit.out.count(": equal") == len(keys), audit.err
