"""The fast copy of a frozen model: the same numbers in float64, the original untouched, and what is left as it is."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA
from mtlbench.attacks.steps import PGD
from mtlbench.data.loader import in_order
from mtlbench.engine import timing
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.models import aspp, deeplab_resnet34
from mtlbench.models.adapted import Adapted
from mtlbench.models.backbone import Backbone
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.inference import ForInference, for_inference
from mtlbench.models.mobilenet_v2 import MobileNetV2, TreeMTLMobileNetV2
from mtlbench.models.model import MultiTaskModel, weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.process.progress import silent
from mtlbench.reference import NaiveDGBA
from mtlbench.tasks import classification, three_tasks
from tests.device import DEVICE, HERE
from tests.fakes import FakeDataset
from tests.quickly import first

TASKS = (*three_tasks(5), classification(4, name="scene"))
BACKBONES: list[type[Backbone]] = [Tiny, DeepLabResNet34, MobileNetV2, TreeMTLMobileNetV2]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than the paper's width: what is tested does not depend on it."""
    monkeypatch.setattr(aspp, "WIDTH", 16)
    monkeypatch.setattr(deeplab_resnet34, "WIDTHS", (64, 8, 16, 16))


@cache
def untrained(kind: type[Backbone], shared: int) -> TreeModel:
    """Built once: drawing the weights takes longer than what is tested."""
    return build(kind(), level(len(TASKS), shared), TASKS, 0, DEVICE)


def trained(backbone: Backbone, shared: int, dtype: torch.dtype = torch.float64) -> TreeModel:
    """A model whose normalisations have statistics and factors as after a training, on the tests' device."""
    model = deepcopy(untrained(type(backbone), shared)).to(dtype)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
            for values, low, high in (
                (norm.weight, 0.5, 1.5),
                (norm.bias, -0.3, 0.3),
                (norm.running_mean, -0.3, 0.3),
                (norm.running_var, 0.5, 2.0),
            ):
                assert values is not None
                values.copy_(torch.rand(values.shape, generator=random) * (high - low) + low)
    return model.eval().requires_grad_(False)


def images(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(2, 3, 33, 42, generator=torch.Generator().manual_seed(0)).to(DEVICE, dtype)


def seen(model: MultiTaskModel) -> dict[str, Tensor]:
    """Its predictions, and the gradient of each at the images."""
    x = images().requires_grad_()
    found = model(x)
    gradients = {
        f"gradient of {name}": torch.autograd.grad(y.square().sum(), x, retain_graph=True)[0]
        for name, y in found.items()
    }
    return found | gradients


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize(
    ("backbone", "shared"),
    first(
        (*((one, 2) for one in BACKBONES), *((one, shared) for one in (Tiny, DeepLabResNet34) for shared in (0, 5)))
    ),
)
def test_predictions_and_gradients_differ_by_rounding(backbone: type[Backbone], shared: int) -> None:
    model = trained(backbone(), shared)
    fast = for_inference(model)
    assert isinstance(fast, ForInference)
    assert norms(model) > 0
    assert norms(fast) == 0
    assert not any(module.training for module in fast.modules())
    expected = seen(model)
    for name, found in seen(fast).items():
        assert (found - expected[name]).abs().max() <= 1e-10 * expected[name].abs().max(), name
        assert found.is_contiguous(), name


@pytest.mark.parametrize("backbone", first(BACKBONES))
def test_the_original_stays_as_it_is(backbone: type[Backbone]) -> None:
    model = trained(backbone(), 2)
    before = weights_hash(model), [p.stride() for p in model.parameters()], str(model), model.identity()
    for_inference(model)
    assert (weights_hash(model), [p.stride() for p in model.parameters()], str(model), model.identity()) == before


def test_what_does_not_change_is_not_copied() -> None:
    model = trained(Tiny(), 2)
    fast = for_inference(model)
    ours = {name: p.data_ptr() for name, p in fast.named_parameters()}
    shared = {name for name, p in model.named_parameters() if ours.get(name) == p.data_ptr()}
    assert {name for name, _ in model.named_parameters() if ".whole." in name} <= shared


def test_some_tasks_alone() -> None:
    model = trained(Tiny(), 2)
    found, expected = (one(images(), ["depth"]) for one in (for_inference(model), model))
    assert found.keys() == {"depth"}
    torch.testing.assert_close(found["depth"], expected["depth"], rtol=1e-10, atol=1e-12)


def test_twice_is_once() -> None:
    fast = for_inference(trained(Tiny(), 2))
    assert for_inference(fast) is fast


class Watching(TreeModel):
    """Reads what is between the modules."""


class Silent(Tiny):
    """Says nothing of who reads what."""

    folds = channels_last = False


def watched(model: TreeModel) -> MultiTaskModel:
    next(iter(model.blocks.values())).register_forward_hook(lambda *_: None)
    return model


def of_a_subclass(model: TreeModel) -> MultiTaskModel:
    model.__class__ = Watching
    return model


def compiled(model: TreeModel) -> MultiTaskModel:
    model.compile(backend="eager")
    return model


def silent_backbone(model: TreeModel) -> MultiTaskModel:
    return trained(Silent(), 2)


def of_a_user(model: TreeModel) -> MultiTaskModel:
    return Adapted(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)), TASKS[:1]).eval()


@pytest.mark.parametrize("made", [watched, of_a_subclass, compiled, silent_backbone, of_a_user])
def test_models_that_are_left_alone(made: Callable[[TreeModel], MultiTaskModel]) -> None:
    model = made(trained(Tiny(), 2))
    assert for_inference(model) is model


def stem(model: TreeModel) -> Any:
    """Convolution, normalisation, ReLU."""
    return next(iter(model.blocks.values()))


def training(model: TreeModel) -> None:
    stem(model)[1].train()


def without_statistics(model: TreeModel) -> None:
    stem(model)[1] = nn.BatchNorm2d(16, track_running_stats=False, **HERE).double().eval()


def without_factors(model: TreeModel) -> None:
    stem(model)[1].weight = stem(model)[1].bias = None
    stem(model)[1].affine = False


def of_another_class(model: TreeModel) -> None:
    stem(model)[0].__class__ = type("Standardised", (nn.Conv2d,), {})


def used_twice(model: TreeModel) -> None:
    model.blocks["again"] = stem(model)[0]


@pytest.mark.parametrize("change", [training, without_statistics, without_factors, of_another_class, used_twice])
def test_normalisations_that_are_not_folded(change: Callable[[TreeModel], None]) -> None:
    model = trained(Tiny(), 5)
    change(model)
    assert norms(for_inference(model)) == 1


def test_a_chain_with_a_forward_of_its_own_is_not_folded() -> None:
    class Features(nn.Sequential):
        """May read what is between its modules."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    model = trained(Tiny(), 5)
    stem(model).__class__ = Features
    assert norms(for_inference(model)) == 1


@pytest.fixture
def no_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a normalisation was computed")

    monkeypatch.setattr(nn.BatchNorm2d, "forward", refuse)


@pytest.mark.usefixtures("no_normalisation")
def test_a_pass_computes_no_normalisation() -> None:
    data = FakeDataset(3)
    model = build(Tiny(0.25), level(3, 2), data.tasks, 0).to(**HERE)
    cells = [Plan("clean", None, 0.0), Plan("pgd", Attack(DGBA(), PGD(2), data.tasks), 8.0)]
    records = evaluate(Pass(model, data.tasks, cells, 0), in_order(data, 3), DEVICE, 3)
    assert {key: record.done for key, record in records.items()} == {"clean": 3, "pgd": 3}
    assert model.training, "as before the pass"


@pytest.mark.usefixtures("no_normalisation")
def test_perturb_computes_no_normalisation() -> None:
    data = FakeDataset(3)
    batch = next(iter(in_order(data, 3))).to(DEVICE)
    model = build(Tiny(0.25), level(3, 2), data.tasks, 0).to(**HERE)
    targets = {name: target.where(batch.masks[name], torch.nan) for name, target in batch.targets.items()}
    targets["segmentation"] = batch.targets["segmentation"]
    found = mtlbench.perturb(model, batch.input, targets, data.tasks, steps=2)
    assert found.shape == batch.input.shape


def test_the_floor_is_that_of_the_fast_model_and_the_naive_form_attacks_the_original() -> None:
    data = FakeDataset(2)
    batch = next(iter(in_order(data, 2))).to(DEVICE)
    model = build(Tiny(0.25), level(3, 2), data.tasks, 0).to(**HERE).eval()
    fast, calls = for_inference(model), {"model": 0, "fast": 0}

    def counted(name: str) -> Callable[..., None]:
        def count(*_: object) -> None:
            calls[name] += 1

        return count

    model.register_forward_pre_hook(counted("model"))
    fast.register_forward_pre_hook(counted("fast"))
    timing.run(model, fast, data.tasks, batch, {}, NaiveDGBA(), 1, silent, steps=2)
    rounds, steps, last = 2, 2, 1  # APGD scores its last iterate, the naive form each step once more
    assert calls == {"model": rounds * (2 * steps + last), "fast": rounds * (2 + steps + last)}
