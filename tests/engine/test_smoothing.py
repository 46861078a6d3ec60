"""Randomised smoothing in a pass: closed forms of a linear classifier, one noise for all tasks, inputs apart."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.objectives import Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD
from mtlbench.constants import LABEL, NOISE, SELECTED, VOTES
from mtlbench.data.batch import Batch
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.engine.record import Record
from mtlbench.engine.smoothing import Smoothing
from mtlbench.errors import UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.scores.certificate import ABSTAIN, certify
from mtlbench.space import IMAGES, Space
from mtlbench.tasks import classification, regression
from tests.device import DEVICE, DTYPE, HERE, ON_CPU

VECTORS = Space("vector", "length", euclidean=True)
WORDS = Space("text", "length of a word", per_word=True, euclidean=True)
RMS_OF_WORDS = replace(WORDS, euclidean=False)
SIDE, OTHER, SIZE = classification(2, name="side"), classification(2, name="other"), regression(name="size")
TASKS = (SIDE, OTHER, SIZE)
INPUTS, VALUES = 40, 6
ALPHA = 0.001

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


class Linear(nn.Module):
    """The first class where w x > 0, for two tasks; the mean as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(VALUES, generator=torch.Generator().manual_seed(1)).to(**HERE))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        margin = x.flatten(1) @ self.w
        logits = torch.stack([margin, -margin], 1)[:, :, None, None]
        return {"side": logits, "other": logits, "size": x.flatten(1).mean(1)[:, None, None, None]}


def batch(space: Space = VECTORS, shape: Sequence[int] = (VALUES,), movable: Tensor | None = None) -> Batch:
    x = torch.randn(INPUTS, *shape, generator=torch.Generator().manual_seed(0)).to(**HERE)
    side = (x.flatten(1) @ Linear().w <= 0).long()[:, None, None, None]
    targets = {"side": side, "other": 1 - side, "size": x.new_zeros(INPUTS, 1, 1, 1)}
    masks = {task.name: torch.ones(INPUTS, 1, 1, 1, dtype=torch.bool, device=DEVICE) for task in TASKS}
    return Batch(x, targets, masks, tuple(f"point {i}" for i in range(INPUTS)), movable, space)


@pytest.fixture(scope="module")
def model() -> Adapted:
    return Adapted(Linear(), TASKS).eval()


def votes_of(model: Adapted, defence: Smoothing, points: Batch, seed: int = 0) -> dict[str, np.ndarray]:
    with torch.no_grad():
        predictions, arrays = defence.smoothed(lambda names: model, TASKS, points, points.input, seed)
    return {name: array.cpu().numpy() for name, array in {**predictions, **arrays}.items()}


def certified(arrays: dict[str, np.ndarray], draws: int, task: str = "side") -> tuple[np.ndarray, np.ndarray]:
    sigma, length = arrays[NOISE].T
    return certify(arrays[f"{task}/{VOTES}"], arrays[f"{task}/{SELECTED}"][:, 0], draws, sigma / length, ALPHA)


def test_radii_of_a_linear_classifier(model: Adapted) -> None:
    """The smoothed classifier is the model, whose answer changes at |w x| / |w|: never beyond, and near it."""
    points, draws, sigma = batch(), 20_000, 0.5
    arrays = votes_of(model, Smoothing(sigma, draws), points)
    w = Linear().w.detach()
    truth = ((points.input @ w).abs() / w.norm()).double().cpu().numpy()
    classes, radius = certified(arrays, draws)
    assert (radius <= truth).all(), "one input in a thousand may be, with another seed"
    near = (truth > 0.1 * sigma) & (truth < 1.5 * sigma)
    assert near.sum() > 5
    assert (truth - radius)[near].max() < 0.1 * sigma
    assert (classes == arrays[f"side/{LABEL}"][:, 0])[truth > 0.05 * sigma].all()
    assert (classes == ABSTAIN)[truth < 0.005 * sigma].all()
    capped = truth > 4 * sigma
    assert radius[capped] == pytest.approx(sigma * NormalDist().inv_cdf(ALPHA ** (1 / draws)))


def test_other_inputs_change_no_vote(model: Adapted) -> None:
    """Bit for bit, predictions included; another seed, another name or another sigma changes them."""
    points, defence = batch(), Smoothing(1.0, draws=70, select=5)
    whole = votes_of(model, defence, points)
    for rows in ([3], [39, 0, 3]):
        for name, array in votes_of(model, defence, points[rows]).items():
            assert np.array_equal(array, whole[name][rows]), name
    votes = f"side/{VOTES}"
    assert (votes_of(model, defence, points, seed=1)[votes] != whole[votes]).any()
    renamed = replace(points, names=tuple(f"other {i}" for i in range(INPUTS)))
    assert (votes_of(model, defence, renamed)[votes] != whole[votes]).any()


def test_all_tasks_vote_on_the_same_noise(model: Adapted) -> None:
    arrays = votes_of(model, Smoothing(1.0, draws=50, select=1), batch())
    for name in (VOTES, SELECTED):
        assert np.array_equal(arrays[f"side/{name}"], arrays[f"other/{name}"])
    assert (arrays[f"side/{VOTES}"].sum(1) == 50).all()
    assert ((arrays[f"side/{VOTES}"] > 0).all(1)).any()
    assert f"size/{VOTES}" not in arrays


def test_what_the_smoothed_model_predicts(model: Adapted) -> None:
    """By hand: 30 votes of 50 are (30 + 1/2) / (50 + 1); a number is the mean over the draws."""
    arrays = votes_of(model, Smoothing(1.0, draws=50), batch())
    votes = arrays[f"side/{VOTES}"]
    np.testing.assert_allclose(np.exp(arrays["side"][:, :, 0, 0]), (votes + 0.5) / 51, rtol=1e-5)
    mean = batch().input.mean(1).cpu().numpy()
    error = arrays["size"][:, 0, 0, 0] - mean
    assert 0 < np.abs(error).max() < 5 / np.sqrt(50 * VALUES)


class Broken(nn.Module):
    """No number where the noise is large."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        bad = torch.where(x[:, 0] > 0, torch.nan, 0.0)[:, None, None, None]
        logits = torch.cat([torch.ones_like(bad), torch.zeros_like(bad)], 1) + bad
        return {"side": logits, "other": logits, "size": bad}


def test_what_is_no_number_votes_for_nobody() -> None:
    points = batch()
    points = replace(points, input=points.input * 0)
    arrays = votes_of(Adapted(Broken(), TASKS), Smoothing(1.0, draws=400), points)
    votes = arrays[f"side/{VOTES}"]
    assert ((votes[:, 0] > 100) & (votes[:, 0] < 300) & (votes[:, 1] == 0)).all()
    assert np.isnan(arrays["side"]).all()
    assert np.isnan(arrays["size"]).all()
    assert (certified(arrays, 400)[0] == ABSTAIN).all()


class Watched(nn.Module):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.seen = Linear(), list[Tensor]()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.seen.append(x)
        return self.linear(x)


def test_noise_is_normal_and_only_where_something_may_be_moved() -> None:
    movable = torch.ones(INPUTS, VALUES, dtype=torch.bool, device=DEVICE)
    movable[:, 4:] = False
    points, watched = batch(movable=movable)[:1], Watched()
    votes_of(Adapted(watched, TASKS), Smoothing(0.3, draws=500, select=7), points)
    noise = torch.cat(watched.seen) - points.input
    assert len(noise) == 507
    assert not noise[:, 4:].any()
    assert noise[:, :4].std().item() == pytest.approx(0.3, rel=0.06)
    assert len(noise.unique(dim=0)) == 507


@pytest.mark.parametrize(
    ("space", "shape", "length"),
    [
        (VECTORS, (VALUES,), 1.0),
        (IMAGES, (3, 1, 2), 6**0.5 / 255),
        (replace(VECTORS, euclidean=False, scale=16), (VALUES,), 6**0.5 / 16),
        (WORDS, (3, 2), 2**0.5),
        (RMS_OF_WORDS, (3, 2), 4**0.5),
    ],
    ids=["vectors", "images", "rms", "words", "rms of words"],
)
def test_the_unit_of_radii_is_that_of_eps(model: Adapted, space: Space, shape: tuple[int, ...], length: float) -> None:
    """No move of the l2 ball of eps 1 is longer than the length that is recorded, and the longest is as long."""
    movable = torch.ones(INPUTS, *shape, dtype=torch.bool, device=DEVICE)
    if space.per_word:
        movable[:, 2:] = False
    points = batch(space, shape, movable if space.per_word else None)
    points = replace(points, input=points.input.clamp(0, 1) if space.box else points.input)
    arrays = votes_of(model, Smoothing(8.0, draws=1, select=1), points)
    assert arrays[NOISE] == pytest.approx(np.array([[8 / space.scale, length]] * INPUTS), rel=1e-5)
    ball = BALLS["l2"](
        points.input,
        points.input.new_full((INPUTS,), 1 / space.scale),
        PerImage(0, points.names),
        replace(space, box=None),
        points.movable,
    )
    moved = (ball.edge() - ball.x).flatten(1).norm(dim=1)
    assert moved.cpu().numpy() == pytest.approx(np.full(INPUTS, length), rel=1e-4)


def run(model: Adapted, points: Batch, sizes: Sequence[int], cells: Sequence[Plan]) -> dict[str, dict[str, Any]]:
    parts = torch.arange(INPUTS).split(list(sizes))
    work = Pass(model, TASKS, cells, 0, defence=Smoothing(0.5, draws=200, select=20))
    records = evaluate(work, [points[part.tolist()] for part in parts], DEVICE, INPUTS)
    return {key: record.arrays() for key, record in records.items()}


ATTACK = Attack(Total(), PGD(5), (SIDE,), norm="l2")
CELLS = [Plan("clean", None, 0.0), Plan("zero", ATTACK, 0.0), Plan("near", ATTACK, 0.3), Plan("far", ATTACK, 1.0)]


def test_a_pass_with_a_defence(model: Adapted) -> None:
    """Radius 0 is the clean cell, no certified input is lost within its radius, and attacks do harm."""
    points = batch()
    found = run(model, points, [INPUTS], CELLS)
    votes = f"side/{VOTES}"
    for name in (votes, f"other/{VOTES}", "side/class_counts", "losses"):
        assert np.array_equal(found["zero"][name], found["clean"][name]), name
    label = found["clean"][f"side/{LABEL}"][:, 0]
    classes, radius = certified(found["clean"], 200)
    right = {cell: found[cell][votes].argmax(1) == label for cell in ("near", "far")}
    for cell, eps in (("near", 0.3), ("far", 1.0)):
        assert right[cell][(classes == label) & (radius > eps)].all()
        assert (found[cell]["outside"] <= 1e-5).all()
        assert (found[cell]["rise"] > 0).all()
    assert INPUTS > right["near"].sum() > right["far"].sum() > 0
    if not ON_CPU or torch.float32 != DTYPE:
        return
    for name, array in run(model, points, [1, 7, 32], CELLS)["far"].items():
        np.testing.assert_allclose(array, found["far"][name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_an_interrupted_pass_goes_on(model: Adapted) -> None:
    points, work = batch(), Pass(model, TASKS, CELLS[:1], 0, defence=Smoothing(0.5, draws=30, select=5))
    whole = evaluate(work, [points[:17], points[17:]], DEVICE, INPUTS)["clean"].arrays()
    begun = evaluate(work, [points[:17]], DEVICE, INPUTS)["clean"].arrays()
    records = {"clean": Record.of(begun, 17, DEVICE)}
    found = evaluate(work, [points[:17], points[17:]], DEVICE, INPUTS, records=records)["clean"].arrays()
    assert found.keys() == whole.keys()
    for name, array in found.items():
        assert np.array_equal(array, whole[name]), name


def test_cost_counts_every_draw(model: Adapted) -> None:
    work = Pass(model, TASKS, [CELLS[2]], 0, defence=Smoothing(0.5, draws=2, select=1, attack_draws=3))
    record = evaluate(work, [batch()], DEVICE, INPUTS)["near"]
    assert record.cost_per_image["gradients_per_image"] == 3 * 5


def test_an_attack_sees_the_mean_probability_over_other_draws(model: Adapted) -> None:
    points, defence = batch(), Smoothing(0.5, attack_draws=4)
    forward = defence.averaged(model, TASKS, points, 0)
    names = [task.name for task in TASKS]
    found = forward(points.input, names)
    assert torch.equal(found["side"], forward(points.input, names)["side"]), "the same noise at every step"
    watched = Watched()
    defence.averaged(Adapted(watched, TASKS), TASKS, points, 0)(points.input, names)
    noisy = watched.seen[0].unflatten(0, (4, INPUTS))
    expected = torch.stack([model(noisy[i])["side"].softmax(1) for i in range(4)]).mean(0)
    torch.testing.assert_close(found["side"].exp(), expected)
    torch.testing.assert_close(found["size"].flatten(), noisy.mean((0, 2)))
    twice = forward(torch.cat([points.input] * 2), names)
    torch.testing.assert_close(twice["side"], torch.cat([found["side"]] * 2))
    voting = Watched()
    votes_of(Adapted(voting, TASKS), defence, points[:1])
    assert not (torch.cat(voting.seen)[:, None] == noisy[None, :, 0]).all(2).any()


class Drawing(Linear):
    """Turns the answer of some inputs around, each time others."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        sign = torch.randint(0, 2, (1,)).to(x) * 2 - 1
        return {name: sign * found for name, found in super().forward(x).items()}


def test_of_a_random_model_one_draw_votes() -> None:
    """All votes of an input are of the model as it is scored: one function, of which the theorem speaks."""
    points, defence = batch()[:20], Smoothing(0.5, draws=9, select=1)

    def votes(model: nn.Module, *sizes: int, random: bool = False) -> np.ndarray:
        work = Pass(Adapted(model, TASKS, random=random).eval(), TASKS, CELLS[:1], 0, defence=defence)
        parts = [points[part.tolist()] for part in torch.arange(20).split(list(sizes))]
        return evaluate(work, parts, DEVICE, 20)["clean"].arrays()[f"side/{VOTES}"]

    found, steady = votes(Drawing(), 20, random=True), votes(Linear(), 20)
    assert np.array_equal(found, votes(Drawing(), 3, 17, random=True))
    turned = (found == steady[:, ::-1]).all(1)
    assert np.array_equal(found[~turned], steady[~turned])
    assert 3 < turned.sum() < 17


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0}, "defence.sigma=0: expected a positive number, in the unit of eps"),
        ({"sigma": -0.5}, "defence.sigma=-0.5"),
        ({"sigma": "much"}, "defence.sigma=much"),
        ({"draws": 0}, "defence.draws=0: expected a whole number of at least 1"),
        ({"select": 0}, "defence.select=0"),
        ({"attack_draws": 1.5}, "defence.attack_draws=1.5"),
        ({"alpha": 0.5}, "defence.alpha=0.5: expected a probability above 0 and below 1/2"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Smoothing(**{"sigma": 0.5, **options})


def test_a_dataset_without_a_class_per_input_is_refused() -> None:
    with pytest.raises(UsageError, match="dataset=rooms has the tasks size; expected one that gives a class"):
        Smoothing(0.5).needs([SIZE], "rooms")
    Smoothing(0.5).needs([SIZE, SIDE], "parts")


def test_the_label_tells_what_is_not_the_default() -> None:
    assert Smoothing(16).label == "smoothing(sigma=16)"
    assert Smoothing(0.25, draws=500, alpha=0.001).label == "smoothing(sigma=0.25,draws=500)"
    assert Smoothing(16).identity() == Smoothing(16.0, draws=1000).identity()
