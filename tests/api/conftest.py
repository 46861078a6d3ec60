"""A small model of three heads, its images, and what attacking it found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.tasks import Task

SIZE = (16, 16)
TASKS = {"scene": mtlbench.segmentation(3), "range": mtlbench.depth(), "kind": mtlbench.classification(3)}


class Net(nn.Module):
    """Colours decide classes and distance, so that a few steps of training suffice."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.scene, self.range, self.kind = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 1, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.trunk(x)
        return {"scene": self.scene(x), "range": self.range(x)[:, 0], "kind": self.kind(x.mean((2, 3)))}


def split(images: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Images, of which the strongest colour is the class, and the sum of colours the distance."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.rand(images, 3, *SIZE, generator=draw)
    image[torch.arange(images), torch.arange(images) % 3] += 0.06
    image = image / 1.06
    kind = image.mean((2, 3)).argmax(1)
    return image, {"scene": image.argmax(1), "range": image.sum(1) + 0.5, "kind": kind}


@pytest.fixture(scope="session")
def net() -> nn.Module:
    """Trained for a second. In training mode, as models are right after training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Net()
        image, target = split(96, 1)
        adam = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(60):
            found = model(image)
            loss = nn.functional.cross_entropy(found["scene"], target["scene"])
            loss = loss + nn.functional.cross_entropy(found["kind"], target["kind"])
            loss = loss + nn.functional.l1_loss(found["range"], target["range"])
            loss.backward()
            adam.step()
            adam.zero_grad()
    return model


@pytest.fixture(scope="session")
def test_split() -> tuple[Tensor, dict[str, Tensor]]:
    return split(24, 2)


@pytest.fixture(scope="session")
def attacked(net: nn.Module, test_split: tuple[Tensor, dict[str, Tensor]]) -> Callable[..., mtlbench.Result]:
    """`mtlbench.attack` of that model with a few steps."""

    def start(loader: object = test_split, tasks: dict[str, Task] = TASKS, **options: object) -> mtlbench.Result:
        quick = {"model": net, "steps": 3, "eps": (2, 8), "replicates": 50, "progress": False} | options
        return mtlbench.attack(loader=loader, tasks=tasks, **quick)  # type: ignore[arg-type]

    return start


@pytest.fixture(scope="session")
def result(attacked: Callable[..., mtlbench.Result]) -> mtlbench.Result:
    return attacked()
