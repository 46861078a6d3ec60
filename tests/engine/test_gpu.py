"""What only a CUDA device can show. Everything else of the engine is tested on it by MTLBENCH_TEST_DEVICE=cuda."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.data.loader import in_order
from mtlbench.engine.evaluate import Pass, evaluate, frozen
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import computing_in
from mtlbench.models.inference import for_inference
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from tests.fakes import FakeDataset

pytestmark = [
    pytest.mark.engine,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CUDA = torch.device("cuda")


def data(images: int = 24) -> FakeDataset:
    return FakeDataset(images, size=(64, 64), dtype=torch.float32)


def cells(dataset: FakeDataset) -> list[Plan]:
    return [
        Plan("clean", None, 0.0),
        Plan("pgd", Attack(DGBA(), PGD(3), dataset.tasks), 4.0),
        Plan("apgd", Attack(DGBA(), APGD(5), dataset.tasks), 4.0),
    ]


def arrays(device: torch.device, model_type: type[TreeModel] = TreeModel) -> dict[str, dict[str, np.ndarray]]:
    dataset = data()
    model = build(Tiny(), level(3, 3), dataset.tasks, 0, device).eval()
    model.__class__ = model_type
    work = Pass(model, dataset.tasks, cells(dataset), 0)
    return {key: record.arrays() for key, record in evaluate(work, in_order(dataset, 8), device, len(dataset)).items()}


def test_it_agrees_with_the_cpu() -> None:
    here, there = arrays(torch.device("cpu")), arrays(CUDA)
    np.testing.assert_allclose(here["clean"]["losses"], there["clean"]["losses"], rtol=1e-3, atol=1e-4)
    assert abs(here["pgd"]["losses"].mean() / there["pgd"]["losses"].mean() - 1) < 0.02


class Large(TreeModel):
    """Asks for more memory than there is when it sees more than two images."""

    def forward(self, image: Tensor, tasks: object = None) -> dict[str, Tensor]:
        if len(image) > 2:
            torch.empty(2**50, device=image.device)
        return super().forward(image, tasks)  # type: ignore[arg-type]


def test_a_batch_that_does_not_fit_is_halved() -> None:
    """By the error that the driver itself raises."""
    whole, found = arrays(CUDA), arrays(CUDA, Large)
    np.testing.assert_allclose(found["clean"]["losses"], whole["clean"]["losses"], rtol=1e-3, atol=1e-4)
    assert found["apgd"]["losses"].shape == whole["apgd"]["losses"].shape


def test_weights_are_channels_last() -> None:
    model = build(Tiny(), level(3, 3), data().tasks, 0, CUDA)
    kernels = [p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[-1] > 1]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def test_tf32_rounds_and_fp32_does_not() -> None:
    """Against float64, on an image large enough that the fast kernels are taken."""
    dataset = data(4)
    model = build(Tiny(), level(3, 3), dataset.tasks, 0, CUDA).eval()
    image = next(iter(in_order(dataset, 4))).to(CUDA).input
    predictions = {}
    with torch.no_grad():
        for precision in ("fp32", "tf32"):
            with computing_in(precision, model):
                predictions[precision] = model(image)["depth"].double()
        exact = model.double()(image.double())["depth"]
    errors = {name: float((found - exact).abs().max() / exact.abs().max()) for name, found in predictions.items()}
    assert errors["fp32"] < 1e-5 < errors["tf32"] < 1e-2


@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_no_host_synchronisation_inside_the_attack() -> None:
    dataset = data(8)
    model = for_inference(build(Tiny(), level(3, 5), dataset.tasks, 0, CUDA).eval())
    batch = next(iter(in_order(dataset, 8))).to(CUDA)
    attack = Attack(DGBA(), APGD(5), dataset.tasks)
    losses = TaskLosses(model, dataset.tasks, batch.targets, batch.masks)
    eps = torch.full((8,), 4 / 255, device=CUDA)
    with frozen(model):
        attack(losses, batch.input, eps, PerImage(0, batch.names))  # what is copied once is copied now
        try:
            torch.cuda.set_sync_debug_mode("error")
            attack(losses, batch.input, eps, PerImage(0, batch.names))
        finally:
            torch.cuda.set_sync_debug_mode("default")
