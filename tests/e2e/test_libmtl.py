"""A model that LibMTL's own classes trained, attacked from Python and by the command: the same numbers."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

import mtlbench
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from tests.running import Result

CHANNELS = {"segmentation": 13, "normals": 3, "depth": 1}
BUILD = """
import torch
from LibMTL.architecture import HPS
from LibMTL.model import resnet18
from torch import nn

def build(tasks):
    heads = nn.ModuleDict({task.name: nn.Conv2d(512, task.channels, 1) for task in tasks})
    return HPS([task.name for task in tasks], resnet18, heads, False, False, torch.device("cpu"))
"""
SMALL = ("dataset.images=26", "dataset.resolution=32")


@pytest.fixture
def libmtl(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """LibMTL 1.1.5 of 2021, which imports a module that torchvision no longer has."""
    hub = ModuleType("torchvision.models.utils")
    hub.load_state_dict_from_url = torch.hub.load_state_dict_from_url  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, hub.__name__, hub)
    monkeypatch.setattr(torchvision.models, "utils", hub, raising=False)
    yield importlib.import_module("LibMTL")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("LibMTL", "my_hps")]:
        del sys.modules[name]


class Batches:
    """A loader whose iterator has `next`, as iterators of PyTorch had when LibMTL was written."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> "Batches":
        self.left = iter(self.batches)
        return self

    def __next__(self) -> Any:
        return next(self.left)

    next = __next__


def trained(libmtl: ModuleType, data: NYUv2) -> nn.Module:
    """Twice through the images, by LibMTL's Trainer with its HPS, ResNet-18 and equal weighting."""

    class OnCpu(libmtl.Trainer):  # type: ignore[name-defined]  # says cuda:0
        def _prepare_model(self, *parts: object) -> None:
            self.device = torch.device("cpu")
            super()._prepare_model(*parts)

        def process_preds(self, preds: dict[str, Tensor], task_name: str | None = None) -> dict[str, Tensor]:
            return {name: functional.interpolate(map_, (32, 32)) for name, map_ in preds.items()}

    class Loss(libmtl.loss.AbsLoss):  # type: ignore[name-defined]
        def compute_loss(self, pred: Tensor, gt: Tensor) -> Tensor:
            return functional.cross_entropy(pred, gt) if pred.shape[1] == 13 else (pred - gt).abs().mean()

    class Score(libmtl.metrics.AbsMetric):  # type: ignore[name-defined]
        def update_fun(self, pred: Tensor, gt: Tensor) -> None:
            self.bs.append(len(pred))

        def score_fun(self) -> list[float]:
            return [1.0]

    def labels(batch: Any) -> dict[str, Tensor]:
        found = dict(batch.targets)
        return found | {"segmentation": found["segmentation"][:, 0].long().where(batch.masks["segmentation"][:, 0], 0)}

    batches = Batches([(batch.input, labels(batch)) for batch in in_order(data, 8)])
    tasks = {name: {"metrics": ["one"], "metrics_fn": Score(), "loss_fn": Loss(), "weight": [1]} for name in CHANNELS}
    heads = nn.ModuleDict({name: nn.Conv2d(512, channels, 1) for name, channels in CHANNELS.items()})
    trainer = OnCpu(
        tasks,
        libmtl.weighting.EW,
        libmtl.architecture.HPS,
        libmtl.model.resnet18,
        heads,
        rep_grad=False,
        multi_input=False,
        optim_param={"optim": "adam", "lr": 1e-3},
        scheduler_param=None,
        weight_args={},
        arch_args={},
    )
    trainer.train(batches, batches, 2)
    model = trainer.model
    assert isinstance(model, nn.Module)
    return model


def test_its_model_attacked_both_ways(
    libmtl: ModuleType, call: Callable[..., Result], tmp_path: Path, one_thread: None
) -> None:
    assert call("data", "action=info", *SMALL).status == 0  # generates the rooms
    root = next(path for path in (tmp_path / "outputs/datasets").iterdir() if path.is_dir())
    data = {split: NYUv2(root, split, (32, 32), classes=13, normals="decoded") for split in ("train", "test")}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = trained(libmtl, data["train"])
    ours = mtlbench.attack(
        model, in_order(data["test"], 2), data["test"].tasks, "total", eps=8, steps=2, progress=False, probe=None
    )

    torch.save(model.state_dict(), tmp_path / "best.pt")
    (tmp_path / "my_hps.py").write_text(BUILD)
    custom = ("model=custom", "plugins=[my_hps]", "model.build=my_hps:build", "checkpoint=best.pt", "model.probe=null")
    done = call("attack", *custom, *SMALL, "attack=total", "attack.step.steps=2", "eps=8")
    assert done.status == 0, done.err
    table = pd.read_csv(tmp_path / "outputs/tables/metrics.csv")
    theirs = table[table["scores"] == "standard"]
    assert theirs["attack"].tolist() == ours.metrics["attack"].tolist()
    for column in ("clean", "attacked"):
        assert ours.metrics[column].tolist() == pytest.approx(theirs[column].tolist(), rel=1e-6)
    assert (ours.metrics["clean"] != ours.metrics["attacked"]).any()
    measured = mtlbench.sharing(model, torch.rand(1, 3, 32, 32), data["test"].tasks)
    assert measured.shared_path == pytest.approx(0.95, abs=0.03)  # a trunk of 20 convolutions, heads of one
