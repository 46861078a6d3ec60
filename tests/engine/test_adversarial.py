"""Adversarial training: when a step is taken, what it sees, and that making it leaves no trace in the model."""

import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Single
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import FGSM
from mtlbench.config.folder import conf_dir
from mtlbench.config.training import build_adversary
from mtlbench.data.loader import in_order
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.losses import TaskLosses
from mtlbench.errors import UsageError
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from tests.fakes import FakeDataset
from tests.grid import STARTED

OPTIONS = {"attack": "dgba", "step": "fgsm", "steps": 3, "eps": 8, "ratio": 1.0, "warmup": 0}
DATASET = FakeDataset(3)
BATCH = next(iter(in_order(DATASET, 3)))


def adversary(**options: object) -> Adversary:
    found = build_adversary({"training": OPTIONS | options, "plugins": [], "seed": 0})
    assert found is not None
    return found


def test_the_usual_radius_of_images() -> None:
    images = {"reader": {"_target_": "mtlbench.data.nyuv2.NYUv2"}}
    found = build_adversary({"training": OPTIONS | {"eps": None}, "dataset": images, "plugins": [], "seed": 0})
    assert found is not None
    assert found.eps == 8


@pytest.fixture
def model() -> TreeModel:
    return build(Tiny(), level(3, 5), DATASET.tasks, 0).train()


@pytest.mark.parametrize("attack", ["single", "total", "dgba", "sign_sum"])
@pytest.mark.parametrize("step", ["fgsm", "pgd", "apgd"])
def test_images_stay_in_the_ball_and_the_model_as_it_was(model: TreeModel, attack: str, step: str) -> None:
    before = weights_hash(model)
    found = adversary(attack=attack, step=step)(DATASET.tasks, model, BATCH, 0)
    assert found is not None
    moved = (found - BATCH.input).abs()
    assert moved.max() <= 8 / 255 + 1e-6
    assert moved.max() > 7.9 / 255
    assert weights_hash(model) == before, "batch statistics must not see the attack"
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not found.requires_grad


def test_the_ball_may_be_of_l2(model: TreeModel) -> None:
    found = adversary(norm="l2", step="pgd")(DATASET.tasks, model, BATCH, 0)
    assert found is not None
    change = found - BATCH.input
    assert change.square().mean((1, 2, 3)).sqrt().max() <= 8 / 255 + 1e-6
    assert change.abs().max() > 9 / 255, "no ball of linf"
    with pytest.raises(UsageError, match=r"training.norm=l2: expected linf, which square steps in"):
        adversary(norm="l2", step="square")


def test_none_is_a_second_clean_step(model: TreeModel) -> None:
    found = adversary(attack="none")(DATASET.tasks, model, BATCH, 0)
    assert found is not None
    assert torch.equal(found, BATCH.input)
    assert adversary(attack="none", ratio=0.5)(DATASET.tasks, model, BATCH, 0) is None


def test_single_takes_each_task_in_turn(model: TreeModel) -> None:
    for iteration, task in enumerate((*DATASET.tasks, *DATASET.tasks)):
        model.eval()
        losses = TaskLosses(model, (task,), BATCH.targets, BATCH.masks)
        expected = Attack(Single(), FGSM(), (task,))(
            losses, BATCH.input, torch.full((3,), 8 / 255), PerImage(0, "abc")
        )
        found = adversary(attack="single")(DATASET.tasks, model, BATCH, iteration)
        assert found is not None
        assert torch.equal(found, expected)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 1 / 3, 0.4, 0.2, 0.1])
def test_single_passes_over_no_task_at_any_ratio(ratio: float) -> None:
    adversarial = adversary(attack="single", ratio=ratio)
    steps = [i for i in range(350) if adversarial.wanted(i)]
    attacked = [task.name for i in steps for task in adversarial.attacked(DATASET.tasks, i)]
    assert len(attacked) == len(steps)
    counts = [attacked.count(task.name) for task in DATASET.tasks]
    assert max(counts) - min(counts) <= 1


def test_ratio_and_warmup() -> None:
    assert [adversary().wanted(i) for i in range(3)] == [True] * 3
    assert sum(adversary(ratio=0.5).wanted(i) for i in range(100)) == 50
    assert sum(adversary(ratio=0.3).wanted(i) for i in range(100)) == 30
    assert [adversary(warmup=2).wanted(i) for i in range(4)] == [False, False, True, True]
    assert adversary(warmup=1)(DATASET.tasks, build(Tiny(), level(3, 5), DATASET.tasks, 0), BATCH, 0) is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attack", "fierce"),
        ("attack", "scaled"),
        ("attack", "weighted_total"),
        ("step", "pgdd"),
        ("eps", 0),
        ("eps", "8/255"),
        ("ratio", 0),
        ("ratio", 1.5),
        ("warmup", -1),
        ("steps", 0),
        ("norm", "l3"),
    ],
)
def test_bad_options(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"{option}={value}: expected"):
        adversary(step="pgd", **{option: value}) if option == "steps" else adversary(**{option: value})


@pytest.mark.parametrize(("attack", "said"), [("auto", "a fixed recipe of many"), ("sea", "the best of several")])
def test_what_is_more_than_an_objective_is_refused(attack: str, said: str) -> None:
    with pytest.raises(UsageError, match=rf"training.attack={attack}: expected .*, this is {said}"):
        adversary(attack=attack)


WHEN = {"eps": 8.0, "ratio": 1.0, "warmup": 0}


@pytest.mark.parametrize(
    ("options", "identity"),
    [
        ({}, {"attack": "dgba", "step": "fgsm", **WHEN}),
        ({"attack": "single", "step": "pgd"}, {"attack": "single", "step": "pgd", "steps": 3, **WHEN}),
        ({"attack": "none"}, {"attack": "none", "ratio": 1.0, "warmup": 0}),
        ({"attack": "power", "step": "mim"}, {"attack": "power", "step": "mim", "steps": 3, **WHEN}),
        ({"attack": "none", "norm": "l2"}, {"attack": "none", "ratio": 1.0, "warmup": 0}),
        ({"norm": "linf"}, {"attack": "dgba", "step": "fgsm", **WHEN}),
        ({"norm": "l2"}, {"attack": "dgba", "step": "fgsm", **WHEN, "norm": "l2"}),
        ({"consistency": 6}, {"attack": "dgba", "step": "fgsm", **WHEN, "consistency": 6.0}),
    ],
)
def test_the_identity_of_a_recipe(options: dict[str, object], identity: dict[str, object]) -> None:
    """Checkpoints are found by it: what single, total, dgba and none with fgsm and pgd give is never to change."""
    assert adversary(**options).identity() == identity


@pytest.mark.parametrize("part", ["attack", "step"])
def test_whatever_lies_in_conf_trains(part: str) -> None:
    """Each objective and step rule by the name of its file; attacks that bring a step of their own have none."""
    folder = conf_dir() / "attack" / ("step" if part == "step" else "")
    own_step = {file.stem for file in folder.glob("*.yaml") if "fixed_step" in file.read_text()}
    for name in (
        {file.stem for file in folder.glob("*.yaml")} - {"none", "noise", "weighted_total"} - own_step - STARTED
    ):
        assert adversary(steps=4, **{part: name}).identity()[part] == name


def test_a_changed_objective_or_step_is_another_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = adversary().identity()
    monkeypatch.setattr(FGSM, "version", 2)
    assert adversary().identity() == before | {"step_version": 2}
