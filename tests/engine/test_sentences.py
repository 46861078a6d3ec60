"""The engine on sentences: what moves and how far, what is measured, that nobody sees another."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, SmoothLog, Total
from mtlbench.attacks.steps import MIMLinear, Noise, ReplaceWords, Step
from mtlbench.data import sentences
from mtlbench.data.batch import Batch, collate
from mtlbench.data.generated import make
from mtlbench.data.slu.dataset import SLOTS, SLU
from mtlbench.data.slu.text import NEIGHBOURS, VALUES
from mtlbench.engine.clean_values import CleanValues
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.engine.training import Recipe, train
from mtlbench.metrics import values
from mtlbench.models.bilstm import BiLSTM
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import TreeModel, build

CPU = torch.device("cpu")
(FORM,) = sentences.FORMS.values()
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("sentences") / "s"
    make(found, FORM, 520, 1, 0)
    return found


@pytest.fixture(scope="module")
def held_out(root: Path) -> SLU:
    return SLU(root, "test", 16, 3)


@pytest.fixture(scope="module")
def model(root: Path, held_out: SLU, tmp_path_factory: pytest.TempPathFactory) -> TreeModel:
    """Trained for a few seconds: most sentences are right, and no loss is 0."""
    net = build(BiLSTM(16, 32, 0.1), level(3, 1, 1), held_out.tasks, 0)
    state = tmp_path_factory.mktemp("state") / "state.pt"
    train(net, SLU(root, "train", 16, 3), Recipe(200, 32, 1e-2, "one_cycle"), CPU, state, save_every=1000)
    return net.eval()


def plan(key: str, attack: Attack | None, eps: float) -> Plan:
    return Plan(key, attack, eps)


def attack(step: Step, objective: Objective | None = None, **options: str) -> Attack:
    return Attack(objective or Total(), step, (), **options)  # type: ignore[arg-type]


def run(model: TreeModel, data: SLU, plans: list[Plan], at_once: int = 40) -> dict[str, Arrays]:
    tasks = data.tasks
    plans = [
        Plan(one.key, None if one.attack is None else Attack(
            one.attack.objective, one.attack.step, tasks, norm=one.attack.norm), one.eps)
        for one in plans
    ]  # fmt: skip
    batches = [batch(data, range(first, min(first + at_once, len(data)))) for first in range(0, len(data), at_once)]
    clean = CleanValues(model, lambda: batches, CPU)
    found = evaluate(Pass(model, tasks, plans, 0, clean), batches, CPU, len(data))
    return {key: record.arrays() for key, record in found.items()}


def batch(data: SLU, rows: range) -> Batch:
    return collate([data.sample(row) for row in rows])


PLANS = [
    plan("clean", None, 0),
    plan("none", attack(MIMLinear(4)), 0),
    plan("total", attack(MIMLinear(4)), 0.4),
    plan("l2", attack(MIMLinear(4), norm="l2"), 0.4),
    plan("dgba", attack(MIMLinear(4), DGBA()), 0.4),
    plan("smooth", attack(MIMLinear(4), SmoothLog()), 0.4),
    plan("noise", attack(Noise()), 0.4),
    plan("values", attack(ReplaceWords(VALUES)), 2),
    plan("neighbours", attack(ReplaceWords(NEIGHBOURS)), 2),
    plan("random", attack(ReplaceWords(NEIGHBOURS, tried=0)), 2),
]


@pytest.fixture(scope="module")
def arrays(model: TreeModel, held_out: SLU) -> dict[str, Arrays]:
    return run(model, held_out, PLANS)


def scored(held_out: SLU, arrays: Arrays) -> dict[tuple[str, str], float]:
    found = values(held_out.tasks, arrays, np.ones((1, len(held_out))), "standard")
    return {key: float(value[0]) for key, value in found.items()}


def test_it_is_learned_better_than_a_constant(held_out: SLU, arrays: dict[str, Arrays]) -> None:
    """In a few seconds; the best constants have .13, 0, .6 and .5."""
    found = scored(held_out, arrays["clean"])
    assert found["intent", "accuracy"] > 0.8
    assert found["slots", "span_f1"] > 0.5
    assert found["slots", "token_accuracy"] > 0.8
    assert found["count", "accuracy"] > 0.6


def test_eps_0_changes_nothing(arrays: dict[str, Arrays]) -> None:
    assert all(np.array_equal(arrays["none"][name], array) for name, array in arrays["clean"].items() if "/" in name)


def test_attacks_hurt_more_than_noise(arrays: dict[str, Arrays]) -> None:
    """By the losses: in either ball far more, and by words more than random words do."""
    clean = arrays["clean"]["losses"].sum(1)
    rise = {name: float((found["losses"].sum(1) - clean).mean()) for name, found in arrays.items()}
    assert min(rise["total"], rise["l2"], rise["dgba"], rise["smooth"]) > 3 * max(rise["noise"], 0.1)
    assert rise["neighbours"] > 2 * max(rise["random"], 0)
    assert rise["neighbours"] > rise["values"] > 0


@pytest.mark.parametrize("name", [one.key for one in PLANS if one.attack])
def test_nobody_leaves_the_ball(arrays: dict[str, Arrays], name: str) -> None:
    assert arrays[name]["outside"].max() < 1e-6
    assert not {"l2", "psnr", "ssim"} & arrays[name].keys()  # of images


def test_gradients_are_of_what_may_move(arrays: dict[str, Arrays]) -> None:
    """Padding has none, and would look like a broken attack."""
    assert arrays["clean"]["gradient_zero"].max() == 0
    assert (arrays["clean"]["gradient"] > 0).all()


def test_padding_and_labels_stay(model: TreeModel, held_out: SLU) -> None:
    """Under every attack; of the words themselves nearly all move in a ball."""
    part = batch(held_out, range(8))
    assert part.movable is not None
    for one in PLANS:
        if one.attack is None or one.eps == 0:
            continue
        work = Pass(model, held_out.tasks, [], 0, CleanValues(model, lambda: [part], CPU))
        seen = Attack(one.attack.objective, one.attack.step, held_out.tasks, norm=one.attack.norm)
        found, _ = work.attacked(part, Plan(one.key, seen, one.eps), ())
        moved = found != part.input
        assert not moved[~part.movable].any()
        assert moved[part.movable].any()
        if isinstance(seen.step, ReplaceWords):
            assert (moved.any(-1).sum(1) <= one.eps).all()
    assert (part.targets[SLOTS][~part.masks[SLOTS]] == 0).all()


def test_a_sentence_sees_no_other(model: TreeModel, held_out: SLU, arrays: dict[str, Arrays]) -> None:
    """Whatever is computed beside it, up to rounding, which a greedy choice or a sign may amplify in few sentences."""
    found = run(model, held_out, PLANS[:1] + PLANS[-3:], 7)
    for name, each in found.items():
        difference = np.abs(each["losses"] - arrays[name]["losses"])
        assert (difference < 1e-3).mean() > 0.95
