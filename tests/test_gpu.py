"""What only a CUDA device can show; `scripts/gpu_check` runs these."""

import pytest
import torch

from mtlbench import precision
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.data.loader import in_order
from mtlbench.evaluate import Pass, PlannedCell, evaluate
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import build
from tests.fakes import FakeDataset

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CUDA = torch.device("cuda")


def arrays(device: torch.device, numbers: str = "fp32", batch_size: int = 8):
    dataset = FakeDataset(24, size=(64, 64))
    model = build(Tiny(), level(3, 3), dataset.tasks, 0).to(device).eval()
    precision.apply(model, numbers, device)
    cells = [
        PlannedCell("clean", None, 0.0),
        PlannedCell("pgd", Attack(DGBA(), PGD(3), dataset.tasks), 4.0),
        PlannedCell("apgd", Attack(DGBA(), APGD(5), dataset.tasks), 4.0),
    ]
    records = evaluate(Pass(model, dataset.tasks, cells, 0), in_order(dataset, batch_size), device, len(dataset))
    return {key: record.arrays() for key, record in records.items()}


def test_gpu_and_cpu_agree() -> None:
    here, there = arrays(torch.device("cpu")), arrays(CUDA)
    torch.testing.assert_close(here["clean"]["losses"], there["clean"]["losses"], rtol=1e-3, atol=1e-4)
    assert abs(here["pgd"]["losses"].mean() / there["pgd"]["losses"].mean() - 1) < 0.02


@pytest.mark.parametrize("numbers", ["fp32", "tf32", "bf16"])
def test_attacks_stay_in_the_ball_in_every_precision(numbers: str) -> None:
    for key, found in arrays(CUDA, numbers).items():
        if key != "clean":
            assert found["outside"].max() < 1e-3
            assert (found["rise"] > 0).mean() > 0.9


def test_no_host_synchronisation_inside_the_attack() -> None:
    dataset = FakeDataset(8, size=(64, 64))
    model = build(Tiny(), level(3, 5), dataset.tasks, 0).to(CUDA).eval().requires_grad_(False)
    batch = next(iter(in_order(dataset, 8))).to(CUDA)
    work = Pass(model, dataset.tasks, [PlannedCell("apgd", Attack(DGBA(), APGD(5), dataset.tasks), 4.0)], 0)
    work.batch(batch)
    torch.cuda.set_sync_debug_mode("error")
    try:
        from mtlbench.attacks.random import PerImage
        from mtlbench.losses import TaskLosses

        losses = TaskLosses(model, dataset.tasks, batch.targets, batch.masks)
        eps = torch.full((8,), 4 / 255, device=CUDA)
        Attack(DGBA(), APGD(5), dataset.tasks)(losses, batch.image, eps, PerImage(0, batch.names))
    finally:
        torch.cuda.set_sync_debug_mode("default")
