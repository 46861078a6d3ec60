"""The field's losses on segmentation: their formulas on cases worked out by hand, and what an image is judged by."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Single
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD, MIMLinear, Step
from mtlbench.engine.dense import DENSE, JUDGES, SCHEDULES
from mtlbench.engine.losses import LOSSES, TaskLosses
from mtlbench.tasks import KINDS, segmentation
from tests.device import DEVICE, HERE, here
from tests.fakes import RGBGolden

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

# Three pixels of three classes: right with p = 1/2, right with p = 3/4, wrong with p = 1/4; a fourth is ignored.
SHARES = torch.tensor(
    [[0.5, 0.3, 0.2], [0.125, 0.75, 0.125], [0.25, 0.625, 0.125], [0.1, 0.1, 0.8]], dtype=torch.float64
)
LOGITS = SHARES.log().T[None, :, None, :]
TARGET = torch.tensor([[[[0, 1, 0, 255]]]])
MASK = torch.tensor([[[[True, True, True, False]]]])
P = (0.5, 0.75, 0.25)
NATS = tuple(-math.log(p) for p in P)


def js_by_definition(shares: Tensor, right: int) -> float:
    truth = F.one_hot(torch.tensor(right), 3).double()
    middle = (shares + truth) / 2
    of_softmax = (shares * (shares / middle).log()).sum()
    return float((of_softmax - middle[right].log()) / 2)  # the truth's part: 1 log(1 / middle)


COSINE = tuple(p / math.sqrt(sum(float(s) ** 2 for s in row)) for p, row in zip(P, SHARES, strict=False))
BY_HAND = {
    "one_minus_p": (0.5 + 0.25 + 0.75) / 3,
    "tsallis": (0.5 + 0.25 + 0.75) / 3,
    "masked_ce": (NATS[0] + NATS[1]) / 3,
    "balanced_ce": ((NATS[0] + NATS[2]) / 2 + NATS[1]) / 2,
    "balanced_masked_ce": (NATS[0] / 2 + NATS[1]) / 2,
    "js": sum(js_by_definition(row, right) for row, right in zip(SHARES, (0, 1, 0), strict=False)) / 3,
    "segpgd": (NATS[0] + NATS[1]) / 3,
    "cospgd": sum(n * c for n, c in zip(NATS, COSINE, strict=True)) / 3,
    "wrong_pixels": 1 / 3,
}


def test_every_loss_is_worked_out() -> None:
    assert BY_HAND.keys() == DENSE.keys()
    assert {KINDS[name] for name in DENSE} == {"classes"}


@pytest.mark.parametrize("loss", DENSE)
def test_by_hand(loss: str) -> None:
    assert DENSE[loss](LOGITS, TARGET, MASK).item() == pytest.approx(BY_HAND[loss], rel=1e-9)


@pytest.mark.parametrize("q", [0.25, 1.0, 1.5])
def test_tsallis_by_hand(q: float) -> None:
    expected = sum((1 - p**q) / q for p in P) / 3
    assert DENSE["tsallis"](LOGITS, TARGET, MASK, q=q).item() == pytest.approx(expected, rel=1e-9)


def test_tsallis_begins_as_the_cross_entropy() -> None:
    expected = LOSSES["cross_entropy"](LOGITS, TARGET, MASK, None)
    assert torch.allclose(DENSE["tsallis"](LOGITS, TARGET, MASK, q=1e-6), expected, rtol=1e-5)


@pytest.mark.parametrize("wrong", [0.0, 0.25, 0.45])
def test_segpgd_by_hand(wrong: float) -> None:
    expected = ((1 - wrong) * (NATS[0] + NATS[1]) + wrong * NATS[2]) / 3
    assert DENSE["segpgd"](LOGITS, TARGET, MASK, wrong=wrong).item() == pytest.approx(expected, rel=1e-9)


def test_jensen_shannon_ends_at_log_2() -> None:
    hopeless = torch.tensor([-60.0, 0.0], dtype=torch.float64)[None, :, None, None]
    everywhere = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    assert DENSE["js"](hopeless, zero, everywhere).item() == pytest.approx(math.log(2))
    assert DENSE["js"](hopeless, zero + 1, everywhere).item() == pytest.approx(0)


@pytest.mark.parametrize("loss", ["one_minus_p", "tsallis", "balanced_ce", "js"])
def test_gradients_agree_with_finite_differences(loss: str) -> None:
    part = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: DENSE[loss](z, TARGET, MASK), part)


@pytest.mark.parametrize("loss", ["masked_ce", "balanced_masked_ce", "segpgd", "cospgd"])
def test_weights_are_constants_of_a_step(loss: str) -> None:
    """The gradient is that of the cross-entropies times the weights that the formula gives them."""
    part = LOGITS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(DENSE[loss](part, TARGET, MASK).sum(), part)
    weights = {
        "masked_ce": (1 / 3, 1 / 3, 0),
        "balanced_masked_ce": (1 / 4, 1 / 2, 0),
        "segpgd": (1 / 3, 1 / 3, 0),
        "cospgd": tuple(c / 3 for c in COSINE),
    }[loss]
    truth = F.one_hot(torch.tensor([0, 1, 0]), 3).double()
    expected = torch.tensor(weights, dtype=torch.float64)[:, None] * (SHARES[:3] - truth)
    torch.testing.assert_close(slope[0, :, 0, :3].T, expected)


# What an image is judged by


@pytest.fixture(scope="module")
def golden() -> RGBGolden:
    return RGBGolden("nyuv2")


def attacked(golden: RGBGolden, loss: str, objective: Objective, step: Step, **options: Any) -> tuple[Tensor, Tensor]:
    """Attacked images, and the share of wrong pixels of clean and attacked ones [2, B]."""
    batch, task = golden.batches[0], golden.tasks[0]
    attack = Attack(objective, step, (task,), loss={task.name: loss}, **options)
    eps = torch.full((len(batch),), 16 / 255, **HERE)
    found = attack(golden.seen_by(attack, batch), batch.input, eps, PerImage(0, batch.names))
    seen = TaskLosses(golden.forward, [task], batch.targets, batch.masks)
    target, mask = seen._at(task.name, tuple(golden.forward(found)[task.name].shape[-2:]))  # type: ignore[arg-type]
    wrong = [golden.forward(x)[task.name].argmax(1, keepdim=True) != target for x in (batch.input, found)]
    return found, torch.stack([((w & mask).sum((1, 2, 3)) / mask.sum((1, 2, 3))) for w in wrong])


def test_the_share_of_wrong_pixels_is_to_judge_by() -> None:
    """Nothing can follow it; an ignored pixel is not wrong."""
    part = LOGITS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(DENSE["wrong_pixels"](part, TARGET, MASK).sum(), part)
    assert (slope == 0).all()
    right = torch.tensor([[[[0, 1, 1, 255]]]])
    assert DENSE["wrong_pixels"](LOGITS, right, MASK).item() == 0


@pytest.mark.parametrize("loss", sorted(DENSE.keys() - {"wrong_pixels"}))
@pytest.mark.parametrize("objective", [Single(), DGBA()], ids=lambda o: o.name)
def test_apgd_does_not_keep_the_clean_image(golden: RGBGolden, loss: str, objective: Objective) -> None:
    """A masked loss falls as pixels turn wrong: judged by itself, the best image would be the clean one."""
    found, wrong = attacked(golden, loss, objective, APGD(5))
    assert (found != golden.batches[0].input).flatten(1).any(1).all()
    assert (wrong[1] > wrong[0]).all()


@pytest.mark.parametrize("loss", JUDGES)
def test_the_value_is_the_judges_and_the_gradient_its_own(loss: str) -> None:
    task = segmentation(3, attack_loss=loss)
    images = torch.zeros(1, 3, 1, 4, dtype=torch.float64)

    def forward(x: Tensor, names: Any) -> dict[str, Tensor]:
        return {"segmentation": LOGITS + x}

    losses = TaskLosses(forward, [task], {"segmentation": TARGET}, {"segmentation": MASK})
    x = images.clone().requires_grad_()
    values = losses(x)
    assert values.item() == pytest.approx(BY_HAND["one_minus_p"])
    (slope,) = torch.autograd.grad(values.sum(), x)
    own = LOGITS.clone().requires_grad_()
    options = SCHEDULES[loss](0.0) if loss in SCHEDULES else {}
    (expected,) = torch.autograd.grad(DENSE[loss](own, TARGET, MASK, **options).sum(), own)
    torch.testing.assert_close(slope, expected)


def test_training_takes_the_loss_as_it_is() -> None:
    task = segmentation(3, loss="masked_ce")
    losses = TaskLosses(
        lambda *_: {"segmentation": LOGITS}, [task], {"segmentation": TARGET}, {"segmentation": MASK}, training=True
    )
    assert losses(LOGITS).item() == pytest.approx(BY_HAND["masked_ce"])


@pytest.mark.parametrize(
    ("loss", "option", "expected"),
    [
        ("segpgd", "wrong", [0, 0.125, 0.25, 0.375]),
        ("tsallis", "q", [0.25, 0.5625, 0.875, 1.1875]),
    ],
)
@pytest.mark.parametrize("step", [PGD(4), APGD(4), MIMLinear(4)], ids=lambda s: s.name)
def test_a_schedule_runs_once_through_every_run(
    golden: RGBGolden, monkeypatch: pytest.MonkeyPatch, loss: str, option: str, expected: list[float], step: Step
) -> None:
    """One value for each gradient, from the beginning again for each restart; forwards alone do not count."""
    seen: list[float] = []
    plain = DENSE[loss]

    def recorded(prediction: Tensor, *rest: Any, **options: float) -> Tensor:
        if prediction.requires_grad:
            seen.append(options[option])
        return plain(prediction, *rest, **options)

    monkeypatch.setitem(LOSSES, loss, recorded)
    attacked(golden, loss, Single(), step, restarts=2)
    assert seen == pytest.approx(2 * expected)


def test_logits_may_be_normalised(golden: RGBGolden) -> None:
    """Then their scale changes nothing, of the judge neither."""
    forward = golden.forward
    plain, _ = attacked(golden, "masked_ce", Single(), APGD(4), logits="normalised")
    scaled = RGBGolden("nyuv2")
    scaled.forward = lambda x, names=None: {  # type: ignore[method-assign, assignment]
        name: 64 * part for name, part in forward(x, names).items()
    }
    found, _ = attacked(scaled, "masked_ce", Single(), APGD(4), logits="normalised")
    assert torch.equal(found, plain)


def test_an_image_without_valid_pixels_stays_0() -> None:
    random = torch.Generator().manual_seed(0)
    logits = here(torch.randn(2, 3, 4, 4, generator=random))
    target, mask = (
        torch.zeros(2, 1, 4, 4, dtype=torch.long, device=DEVICE),
        torch.ones(2, 1, 4, 4, device=DEVICE).bool(),
    )
    mask[0] = False
    for loss in DENSE.values():
        assert loss(logits, target, mask)[0] == 0
