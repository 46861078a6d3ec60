"""Models of other libraries by name: the channels of the tasks, input conventions, refusals; nothing is downloaded."""

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from mtlbench.errors import MachineError, UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.models.builders import smp, torchvision
from mtlbench.models.builders.joined import channels, slices
from mtlbench.tasks import classification, depth, segmentation

DENSE = (segmentation(4), depth())
WHOLE = (classification(3, name="kind"), classification(2, name="state"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with torch.random.fork_rng():
        yield


def shapes(model: Adapted) -> dict[str, tuple[int, ...]]:
    with torch.no_grad():
        return {name: tuple(one.shape) for name, one in model.eval()(torch.rand(2, 3, 64, 64)).items()}


def test_the_channels_of_each_task() -> None:
    assert channels(DENSE) == 5
    assert slices((*DENSE, *WHOLE)) == {
        "segmentation": slice(0, 4),
        "depth": slice(4, 5),
        "kind": slice(5, 8),
        "state": slice(8, 10),
    }


def test_smp() -> None:
    model = smp.build(DENSE, "fpn", "mobilenet_v2")
    assert shapes(model) == {"segmentation": (2, 4, 64, 64), "depth": (2, 1, 64, 64)}
    assert model.inputs.convention.name == "imagenet"
    joined = model.inner(model.inputs(image := torch.rand(1, 3, 64, 64)))
    assert torch.equal(model(image)["depth"], joined[:, 4:])


def test_smp_with_tasks_per_image() -> None:
    model = smp.build((WHOLE[0], *DENSE, WHOLE[1]), encoder="mobilenet_v2", inputs="half")
    assert shapes(model) == {
        "kind": (2, 3, 1, 1),
        "segmentation": (2, 4, 64, 64),
        "depth": (2, 1, 64, 64),
        "state": (2, 2, 1, 1),
    }
    assert model.inputs.convention.name == "half"


def test_torchvision() -> None:
    assert shapes(torchvision.build(DENSE)) == {"segmentation": (2, 4, 64, 64), "depth": (2, 1, 64, 64)}
    assert shapes(torchvision.build(WHOLE, "mobilenet_v3_small")) == {"kind": (2, 3, 1, 1), "state": (2, 2, 1, 1)}


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "arch": (smp, DENSE, {"arch": "unett"}, "model=smp arch=unett .*Wrong architecture type `unett`"),
    "encoder": (smp, DENSE, {"encoder": "resnet19"}, "Wrong encoder name `resnet19`"),
    "smp weights": (smp, DENSE, {"encoder_weights": "imagenet"}, "would be downloaded; .*checkpoint=FILE"),
    "per image alone": (smp, WHOLE, {}, "it needs a task per pixel"),
    "network": (torchvision, DENSE, {"name": "deeplabv3"}, "did you mean deeplabv3_res"),
    "no map": (
        torchvision,
        DENSE,
        {"name": "resnet18"},
        "torchvision's segmentation networks expected one such as",
    ),
    "no vector": (torchvision, WHOLE, {}, "of torchvision's classifiers expected one such as"),
    "mixed": (torchvision, (*DENSE, *WHOLE), {}, "depth per pixel, kind per image"),
    "weights": (torchvision, DENSE, {"weights_backbone": "DEFAULT"}, "would be downloaded; .*checkpoint=FILE"),
    "option": (torchvision, DENSE, {"aux_loss": True}, "does not use auxiliary loss"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    module, tasks, options, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        module.build(tasks, **options)


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(MachineError, match=r"model=smp needs segmentation_models_pytorch.*'mtlbench\[smp\]'"):
        smp.build(DENSE)
