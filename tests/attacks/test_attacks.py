"""Properties of every objective with every step rule found in conf/: a new option is tested unasked.

Ball, box and rise of the score are tested on the whole grid. The others are properties of an objective by itself and
of a rule by itself: on a third of the pairs, in which each meets several others, and on the rest in the long form.
"""

from dataclasses import replace
from functools import cache, partial

import pytest
import torch

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective
from mtlbench.attacks.steps import Step
from mtlbench.engine.evaluate import frozen
from tests.device import HERE
from tests.fakes import rows
from tests.grid import (
    BATCH_BOUND,
    CONF,
    COVERING,
    EACH_ONCE,
    EPS,
    GRADIENT_FREE,
    NO_ATTACK,
    NORMED,
    OBJECTIVES,
    PAIRS,
    SLACK,
    STARTED,
    attack_of,
    composed,
    distance,
    first_batch,
    golden,
    run,
    same,
)

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


def precisely(attack, step, norm, batch, **options):
    return run(attack, step, batch, ds="precise", norm=norm, **options)


@cache
def attacked(attack, step, norm, ds="precise"):
    """The first batch of a dataset, attacked once for all tests."""
    return run(attack, step, first_batch(ds), ds=ds, norm=norm)


def marked(cases, *marks):
    """The cases (attack, step, ..), those whose pair is not one of each of the sets with its mark."""
    return [pytest.param(*case, marks=[mark for pairs, mark in marks if case[:2] not in pairs]) for case in cases]


def on_covering(*cases):
    """The cases, those whose pair is not one of `COVERING` as the long form."""
    return marked(cases, (COVERING, pytest.mark.robustness), (EACH_ONCE, pytest.mark.grid))


def on_all(*cases):
    """The cases; a quick run takes those of `EACH_ONCE`."""
    return marked(cases, (EACH_ONCE, pytest.mark.grid))


BATCHLESS = [case for case in NORMED if case[1] not in BATCH_BOUND]
NAMED = ("attack", "step", "norm")
each_pair = pytest.mark.parametrize(NAMED[:2], on_covering(*PAIRS))
each_norm = pytest.mark.parametrize(NAMED, on_covering(*NORMED))
each_batchless_norm = pytest.mark.parametrize(NAMED, on_covering(*BATCHLESS))


def test_every_option_is_built():
    """Nothing in conf/ is left out silently: each file gives an objective or a step rule, or is listed."""
    for path in CONF.glob("*.yaml"):
        node = composed(f"attack={path.stem}")
        assert node["name"] == path.stem
        assert (node["objective"] is None) == (path.stem in NO_ATTACK)
    for attack, step in PAIRS:
        built = attack_of(attack, step)
        assert isinstance(built, Attack)
        assert isinstance(built.objective, Objective)
        assert isinstance(built.step, Step)
    assert {("dgba", "pgd"), ("total", "fgsm"), ("single", "apgd"), ("noise", "fixed")} <= set(PAIRS)


def test_the_covering_has_every_attack_and_every_rule_in_every_norm():
    """And each several times, but for attacks that have but one rule."""
    covered = [case for case in NORMED if case[:2] in COVERING]
    for place in (0, 1):
        assert {(case[place], case[2]) for case in covered} == {(case[place], case[2]) for case in NORMED}
        assert {case[place] for case in EACH_ONCE} == {case[place] for case in PAIRS}
    assert EACH_ONCE <= COVERING
    partners = {rule: {attack for attack, step in COVERING if step == rule} for _, rule in PAIRS}
    assert all(len(partners[rule]) >= 3 for rule in partners)


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@pytest.mark.parametrize(NAMED, on_all(*NORMED))
def test_ball_box_and_form(attack, step, norm, ds):
    batch = first_batch(ds)
    found = attacked(attack, step, norm, ds)
    assert found.shape == batch.input.shape
    assert found.dtype == batch.input.dtype
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    moved = distance(found, batch, norm)
    assert moved.max() <= EPS + SLACK
    assert moved.min() > EPS / 2, "every image must move"


@each_norm
def test_images_on_the_box_stay_inside(attack, step, norm):
    batch = first_batch()
    batch = replace(batch, input=(batch.input * 3 - 1).clamp(0, 1))
    found = run(attack, step, batch, norm=norm, eps=0.2)
    assert found.min() >= 0
    assert found.max() <= 1
    assert distance(found, batch, norm).max() <= 0.2 + SLACK


@each_norm
def test_radius_zero_is_exactly_the_image(attack, step, norm):
    batch = first_batch()
    assert torch.equal(run(attack, step, batch, norm=norm, eps=0.0), batch.input)


@each_batchless_norm
def test_neither_batch_size_nor_order_of_the_images_matters(attack, step, norm):
    batch, whole = first_batch("precise"), attacked(attack, step, norm)
    for index in ([1], [2, 0]):
        same(precisely(attack, step, norm, rows(batch, index)), whole[index])


@each_batchless_norm
def test_a_radius_per_image(attack, step, norm):
    batch, radii = first_batch("precise"), [0.0, EPS, 16 / 255]
    found = precisely(attack, step, norm, batch, eps=radii)
    moved = distance(found, batch, norm)
    assert (moved <= torch.tensor(radii, **HERE) + SLACK).all()
    assert moved[0] == 0
    same(found[1:2], attacked(attack, step, norm)[1:2])
    same(found[2:], precisely(attack, step, norm, rows(batch, [2]), eps=radii[2]))


@each_batchless_norm
def test_an_image_without_valid_pixels_is_no_error(attack, step, norm):
    """Nor does it change the others: it has no loss that anything could climb."""
    batch = first_batch("precise")
    masks = {name: mask.clone() for name, mask in batch.masks.items()}
    for mask in masks.values():
        mask[1] = False
    found = precisely(attack, step, norm, replace(batch, masks=masks))
    assert found.isfinite().all()
    same(found[[0, 2]], attacked(attack, step, norm)[[0, 2]])


@each_pair
def test_a_second_run_gives_the_same_images_and_leaves_everything_as_it_was(attack, step):
    """The model, the images and the global generator, of which the first run had another state."""
    torch.manual_seed(1)
    first = attacked(attack, step, "linf", "nyuv2")
    batch, model = first_batch(), golden("nyuv2").model
    images = batch.input.clone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(2)
    state = torch.get_rng_state()
    model.requires_grad_(True).train()
    try:
        with frozen(model):
            assert not model.training
            assert not any(p.requires_grad for p in model.parameters())
            assert torch.equal(run(attack, step, batch), first)
        assert model.training
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
    finally:
        model.requires_grad_(False).eval()
    assert torch.equal(torch.get_rng_state(), state), "the global generator must not be used"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(batch.input, images), "images must not be changed in place"
    assert not batch.input.requires_grad
    assert batch.input.grad is None


@pytest.mark.parametrize(NAMED, on_covering(*(case for case in BATCHLESS if case[0] not in STARTED)))
def test_random_starts_and_restarts(attack, step, norm):
    """They keep the ball and the batch's independence, and the best of several starts is no worse than the first."""
    batch = first_batch("precise")
    several = partial(run, attack, step, ds="precise", norm=norm, random_start=True, restarts=2)
    radii = [0.0, EPS, EPS]
    found = several(batch, eps=radii)
    assert (distance(found, batch, norm) <= torch.tensor(radii, **HERE) + SLACK).all()
    assert torch.equal(found[0], batch.input[0])
    assert found.min() >= 0
    assert found.max() <= 1
    same(several(rows(batch, [2])), found[2:])
    once = precisely(attack, step, norm, batch, eps=radii, random_start=True)
    assert not torch.equal(once[1:], attacked(attack, step, norm)[1:]), "the start is really random"
    losses = golden("precise").seen_by(attack_of(attack, step, "precise"), batch)
    objective = attack_of(attack, step, "precise").objective.bind(losses, batch.input)
    assert (objective.score(losses(found)) >= objective.score(losses(once)) - SLACK).all()


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
@pytest.mark.parametrize(NAMED, on_all(*(case for case in NORMED if case[0] != "noise")))
def test_attacks_raise_the_score_of_every_image(attack, step, norm, ds):
    batch = first_batch(ds)
    built = attack_of(attack, step, ds)
    losses = golden(ds).seen_by(built, batch)
    objective = built.objective.bind(losses, batch.input)
    assert (objective.score(losses(attacked(attack, step, norm, ds))) > objective.score(losses(batch.input))).all()


@pytest.mark.parametrize("ds", ["nyuv2", "tiny_taxonomy"])
def test_noise_is_weaker(ds):
    """Than DGBA with any step rule that sees gradients, in DGBA's own score, for every image."""
    batch = first_batch(ds)
    losses = golden(ds).losses(batch)
    noise = DGBA().score(losses(run("noise", "fixed", batch, ds=ds)))
    for step in (step for attack, step in PAIRS if attack == "dgba" and step not in GRADIENT_FREE):
        assert (DGBA().score(losses(run("dgba", step, batch, ds=ds))) > noise).all(), step


def test_ascent_keeps_no_graph():
    batch = first_batch()
    for attack in OBJECTIVES:
        built = attack_of(attack, "pgd")
        losses = golden("nyuv2").seen_by(built, batch)
        for part in built.alternatives or (built,):
            ascent = part.objective.bind(losses, batch.input).ascent(losses, batch.input)
            assert ascent.direction.shape == batch.input.shape
            assert ascent.score.shape == (len(batch),)
            assert ascent.losses.shape == (len(built.seen), len(batch))
            assert not any(part.requires_grad for part in ascent)
