"""The rise of what `smooth_arp` climbs is the ARP that is reported, of one image as the temperatures go to 0."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import mtlbench
from mtlbench.engine import losses, smooth
from mtlbench.tasks import ANGLES

pytestmark = pytest.mark.usefixtures("one_thread")

TASKS = {
    "scene": mtlbench.segmentation(4),
    "surface": mtlbench.normals(metrics=[metric for metric in ANGLES if metric != "angle_median"]),
    "range": mtlbench.depth(),
    "kind": mtlbench.classification(3),
    "labels": mtlbench.multilabel(4, metrics=["label_accuracy"]),
    "pose": mtlbench.regression(outputs=2, metrics=["mae", "rmse"]),
}
"""Without the metrics that another level stands for: the median angle, and those of sets of images (r2, label_f1)."""


class Net(nn.Module):
    """Random weights; a head for each task."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.numbers = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(48, 9)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps, numbers = 4 * self.maps(x), 8 * self.numbers(F.avg_pool2d(x, 2).flatten(1))
        pixels = {"scene": maps[:, :4], "surface": maps[:, 4:7], "range": F.softplus(maps[:, 7:]) + 0.5}
        return pixels | {"kind": numbers[:, :3], "labels": numbers[:, 3:7], "pose": numbers[:, 7:]}


def labelled(net: Net, image: Tensor, random: torch.Generator) -> dict[str, Tensor]:
    """Targets near the clean predictions, right for the one class of the image."""
    with torch.no_grad():
        found = net(image)
    noise = {name: torch.randn(part.shape, generator=random) for name, part in found.items()}
    return {
        "scene": (found["scene"] + noise["scene"]).argmax(1),
        "surface": found["surface"] + 0.3 * noise["surface"],
        "range": found["range"] * (0.3 * noise["range"]).exp(),
        "kind": found["kind"].argmax(1),
        "labels": (found["labels"] + noise["labels"] > 0).float(),
        "pose": found["pose"] + noise["pose"],
    }


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions are hard, and the angle is that of the whole cosine."""
    monkeypatch.setattr(smooth, "ANGLE", 1e-6)
    monkeypatch.setattr(smooth, "LOG_RATIO", 1e-6)
    monkeypatch.setattr(smooth, "SHORT_OF_1", 1 - 1e-6)
    monkeypatch.setattr(losses, "SOFT", 1e6)


@pytest.mark.usefixtures("cold")
@pytest.mark.parametrize("seed", range(3))
def test_its_rise_is_the_arp(seed: int) -> None:
    """Random search climbs it, because hard decisions have no gradient."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Net()
    image = torch.rand(1, 3, 8, 8, generator=random)
    one = (image, labelled(net, image, random))
    quick = {"steps": 30, "probe": None, "replicates": 0, "progress": False}
    found = mtlbench.attack(net, one, TASKS, "smooth_arp", "square", 32, **quick)  # type: ignore[arg-type]
    (attacked,) = (cell for cell in found.cells if cell.identity["attack"] == "smooth_arp")
    assert (found.arp["status"] == "ok").all()
    arp = found.arp["arp_percent"].item()
    assert arp > 10
    assert attacked.arrays["rise"] == pytest.approx([arp / 100], rel=1e-4)
