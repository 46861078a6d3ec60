"""Inputs that are no images: their balls, boxes and masks, and every step rule on them."""

import pytest
import torch

from mtlbench.attacks.around import Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS, Ball
from mtlbench.attacks.listed import listed
from mtlbench.attacks.objectives import Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD, Step
from mtlbench.errors import UsageError
from mtlbench.space import IMAGES, Space

VECTORS = Space("vector", "length", euclidean=True)
BOXED = Space("vector", "length", box=(0.0, 1.0), euclidean=True)
WORDS = Space("text", "RMS of an embedding coordinate", per_word=True)
EPS = torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
NAMES = "abc"
SLACK = 1e-12

INPUTS = {
    VECTORS: torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    BOXED: torch.rand(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    WORDS: torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
}
FREE = torch.ones(3, 5, 4, dtype=torch.bool)
FREE[:, 3:] = False  # padding
FREE[..., -1] = False  # the channel that says where words are
MASKS = {VECTORS: None, BOXED: None, WORDS: FREE}
SPACES = pytest.mark.parametrize("space", INPUTS, ids=["vectors", "boxed", "words"])
NORMS = pytest.mark.parametrize("norm", BALLS)
STEPS = {
    name: step
    for name, step in listed(Step).items()  # type: ignore[type-abstract]
    if step.counts is None  # tests/attacks/test_words.py
}


def ball(space: Space, norm: str, eps: torch.Tensor = EPS) -> Ball:
    return BALLS[norm](INPUTS[space], eps, PerImage(0, NAMES), space, MASKS[space])


def lengths(space: Space, norm: str, move: torch.Tensor) -> torch.Tensor:
    """By hand, of each input or word, without what may not move."""
    if norm == "linf":
        return move.abs().flatten(1).amax(1)
    if space.per_word:
        return move[..., :3].square().mean(-1).sqrt().amax(1)
    return move.flatten(1).norm(dim=1)


@SPACES
@NORMS
def test_points_of_a_ball_are_in_ball_and_box_and_move_what_they_may(space, norm):
    around = ball(space, norm)
    for z in (around.point(), around.edge(), around.project(around.x + 3 * torch.randn_like(around.x))):
        move = z - around.x
        assert (lengths(space, norm, move) <= EPS + SLACK).all()
        assert (around.outside(z) <= SLACK).all()
        assert torch.equal(z[0], around.x[0])  # eps 0
        assert lengths(space, norm, move)[2] > 0
        if space.box:
            assert ((z >= 0) & (z <= 1)).all()
        if MASKS[space] is not None:
            assert torch.equal(move[~MASKS[space]], torch.zeros_like(move[~MASKS[space]]))


@SPACES
@NORMS
def test_a_direction_has_length_1(space, norm):
    around = ball(space, norm)
    move = around.direction(torch.randn_like(around.x))
    torch.testing.assert_close(lengths(space, norm, move), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(around.distance(around.x + move), torch.ones(3, dtype=torch.float64))


def test_every_word_has_a_ball_of_its_own():
    around = ball(WORDS, "l2")
    found = around.project(around.x + torch.randn_like(around.x) * 9) - around.x
    each = found[:, :3, :3].square().mean(-1).sqrt()
    torch.testing.assert_close(each, EPS[:, None].expand(3, 3))


@SPACES
@NORMS
def test_what_is_outside_is_measured(space, norm):
    around = ball(space, norm)
    z = around.x.clone()
    z.view(3, -1)[:, 0] += 0.7
    expected = lengths(space, norm, z - around.x) - EPS
    if space.box:
        expected = torch.maximum(expected, (z.amax(1) - 1).clamp_min(0))
    torch.testing.assert_close(around.outside(z), expected.clamp_min(0))


@NORMS
def test_a_change_of_padding_is_outside(norm):
    around = ball(WORDS, norm, torch.full((3,), 9.0, dtype=torch.float64))
    z = around.x.clone()
    z[:, 4, 0] += 0.25
    torch.testing.assert_close(around.outside(z), torch.full((3,), 0.25, dtype=torch.float64))


@SPACES
@pytest.mark.parametrize(("step", "norm"), [(s, n) for s in STEPS for n in BALLS if n in STEPS[s].norms])
def test_every_step_climbs_or_refuses(space, step, norm):
    """Each alone as in the batch; eps 0 moves nothing; padding stays."""
    rule, x = STEPS[step](), INPUTS[space]
    attack = Attack(Total(), rule, (), norm=norm)
    target = torch.randn_like(x[0])

    def losses(z: torch.Tensor) -> torch.Tensor:
        return -(z - target).flatten(1).square().sum(1)[None]

    def run(rows: slice) -> torch.Tensor:
        mask = None if MASKS[space] is None else MASKS[space][rows]
        return attack(losses, x[rows], EPS[rows], PerImage(0, NAMES[rows]), Around(space, mask))

    if space.form not in rule.forms:
        with pytest.raises(UsageError, match=f"it moves images; the inputs are of form {space.form}"):
            run(slice(None))
        return
    found = run(slice(None))
    assert torch.equal(found[0], x[0])
    assert (ball(space, norm).outside(found) <= SLACK).all()
    assert torch.equal(found[1:2], run(slice(1, 2)))
    if step != "noise":
        assert (losses(found)[0, 1:] > losses(x)[0, 1:]).all()
    if MASKS[space] is not None:
        assert torch.equal(found[~MASKS[space]], x[~MASKS[space]])


def test_pgd_on_vectors_is_the_published_l2_attack():
    """x + size * g / |g|, back onto the ball: by hand, with Euclidean lengths."""
    x, target = INPUTS[VECTORS], torch.randn(7, dtype=torch.float64)
    z = x.clone()
    for _ in range(10):
        gradient = -2 * (z - target)
        z = z + EPS[:, None] / 4 * gradient / gradient.norm(dim=1, keepdim=True)
        move = z - x
        z = x + move * (EPS / move.norm(dim=1).clamp_min(1e-30)).clamp_max(1)[:, None]
    attack = Attack(Total(), PGD(10, 0.25), (), norm="l2")
    found = attack(lambda z: -(z - target).square().sum(1)[None], x, EPS, PerImage(0, NAMES), Around(VECTORS))
    torch.testing.assert_close(found, z)


def test_an_image_is_what_was_always_meant():
    assert (IMAGES.scale, IMAGES.box, IMAGES.per_word, IMAGES.euclidean) == (255, (0, 1), False, False)
