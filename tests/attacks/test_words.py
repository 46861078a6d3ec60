"""Replacement of words: never more than eps, only by substitutes, padding stays; what greedy search finds."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtlbench.attacks.around import Around
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import Linf
from mtlbench.attacks.objectives import DGBA, Objective, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import PGD, ReplaceWords
from mtlbench.attacks.words import Words
from mtlbench.errors import UsageError
from mtlbench.space import Space

TEXT = Space("text", "RMS", per_word=True)
LENGTHS, LONGEST, DIM, KNOWN, MOST = (1, 4, 6), 7, 3, 12, 5
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Chosen:
    """Substitutes at random, none for padding nor for some of the words."""

    vectors: Tensor
    numbers: Tensor

    def of(self, rule: str) -> Tensor:
        return self.numbers if rule == "values" else torch.full_like(self.numbers, -1)


def sentences(seed: int = 0) -> tuple[Tensor, Tensor, Chosen]:
    """Inputs [3, 7, 4], what may be moved, and substitutes."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.cat([torch.randn(KNOWN, DIM, generator=generator), torch.ones(KNOWN, 1)], 1)
    words = torch.randint(KNOWN, (3, LONGEST), generator=generator)
    there = torch.arange(LONGEST) < torch.tensor(LENGTHS)[:, None]
    numbers = torch.randint(-1, KNOWN, (3, LONGEST, MOST), generator=generator)
    empty = ~there | (torch.rand(3, LONGEST, generator=generator) < 0.3)
    numbers[empty | (numbers == words[..., None]).any(-1)] = -1
    x = torch.where(there[..., None], vectors[words], 0)
    movable = there[..., None].repeat(1, 1, DIM + 1)
    movable[..., -1] = False
    return x, movable, Chosen(vectors, numbers)


def linear(x: Tensor) -> Tensor:
    """Two tasks, each a sum over the words of a fixed function of the vector: [2, B]."""
    weights = torch.randn(2, LONGEST, DIM + 1, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    return (weights[:, None] * x).sum((2, 3)) + 50


def attacked(
    eps: Tensor, seed: int = 0, step: ReplaceWords | None = None, objective: Objective | None = None, **options: int
) -> tuple[Tensor, Tensor]:
    """Clean and attacked sentences."""
    x, movable, choices = sentences(seed)
    attack = Attack(objective or Total(), step or ReplaceWords(), (), **options)  # type: ignore[arg-type]
    return x, attack(linear, x, eps, PerImage(0, NAMES), Around(TEXT, movable, choices))


def allowed(seed: int, x: Tensor, found: Tensor) -> bool:
    """Whether every word that is another one is a substitute."""
    _, _, choices = sentences(seed)
    for b, m in (found != x).any(-1).nonzero().tolist():
        options = choices.vectors[[number for number in choices.numbers[b, m].tolist() if number >= 0]]
        if not (options == found[b, m]).all(-1).any():
            return False
    return True


steps = st.sampled_from([ReplaceWords(), ReplaceWords(tried=1), ReplaceWords(tried=0), ReplaceWords(tried=100)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 8), min_size=3, max_size=3), steps, st.booleans())
def test_what_it_may_do(seed: int, eps: list[int], step: ReplaceWords, random_start: bool) -> None:
    """At most eps words are replaced, by substitutes; padding stays; the objective never falls."""
    x, found = attacked(torch.tensor(eps, dtype=torch.float32), seed, step, random_start=random_start)
    changed = (found != x).any(-1)
    assert (changed.sum(1) <= torch.tensor(eps)).all()
    assert allowed(seed, x, found)
    assert not changed[torch.arange(LONGEST) >= torch.tensor(LENGTHS)[:, None]].any()
    assert torch.equal(found[..., -1], x[..., -1])
    if step.tried and not random_start:
        assert (linear(found).sum(0) >= linear(x).sum(0) - 1e-4).all()


def test_no_words_no_attack() -> None:
    x, found = attacked(torch.zeros(3))
    assert torch.equal(found, x)


def test_half_a_word_is_none() -> None:
    x, found = attacked(torch.full((3,), 0.9))
    assert torch.equal(found, x)


@pytest.mark.parametrize("seed", range(5))
def test_of_a_sum_over_words_it_finds_the_best(seed: int) -> None:
    """Where each word adds its own part, the greedy choice is the best of all; every way is tried here."""
    x, _, choices = sentences(seed)
    eps = torch.tensor([2.0, 2, 2])
    _, found = attacked(eps, seed)
    for b, length in enumerate(LENGTHS):
        options = [[None, *(n for n in choices.numbers[b, m].tolist() if n >= 0)] for m in range(length)]
        best = -torch.inf
        for choice in product(*options):
            if sum(number is not None for number in choice) <= 2:
                other = x[b].clone()
                for m, number in enumerate(choice):
                    if number is not None:
                        other[m] = choices.vectors[number]
                best = max(best, float(linear(other[None]).sum()))
        assert float(linear(found[b : b + 1]).sum()) == pytest.approx(best, abs=1e-4)


def test_the_objective_decides_not_the_gradient() -> None:
    """The gradient at 0 points to the farther word, whose loss is lower: with two tries the nearer one is taken."""
    vectors = torch.tensor([[0.0, 1], [1, 1], [3, 1]])
    choices = Chosen(vectors, torch.tensor([[[1, 2]]]))
    x = vectors[None, :1]
    movable = torch.tensor([[[True, False]]])

    def curved(z: Tensor) -> Tensor:
        return (5 + z[..., 0] - 0.4 * z[..., 0] ** 2).sum(1)[None]

    def found(tried: int) -> Tensor:
        attack = Attack(DGBA(), ReplaceWords(tried=tried), ())
        return attack(curved, x, torch.ones(1), PerImage(0, "a"), Around(TEXT, movable, choices))[0, 0]

    assert torch.equal(found(2), vectors[1])
    assert torch.equal(found(1), vectors[0])  # the only one tried would lower the loss


def test_a_sentence_sees_no_other() -> None:
    x, movable, choices = sentences()
    eps = torch.tensor([1.0, 2, 3])
    attack = Attack(Total(), ReplaceWords(), ())
    whole = attack(linear, x, eps, PerImage(0, NAMES), Around(TEXT, movable, choices))
    for b in range(3):
        rows = slice(b, b + 1)
        one = Chosen(choices.vectors, choices.numbers[rows])
        alone = attack(linear, x[rows], eps[rows], PerImage(0, NAMES[rows]), Around(TEXT, movable[rows], one))
        assert torch.equal(alone, whole[rows])


def test_random_words_depend_on_the_sentence_alone() -> None:
    eps, step = torch.full((3,), 2.0), ReplaceWords(tried=0)
    x, found = attacked(eps, step=step)
    assert torch.equal(found, attacked(eps, step=step)[1])
    assert (found != x).any()


def ball(eps: float) -> Words:
    x, movable, choices = sentences()
    inner = Linf(x, torch.full((3,), eps), PerImage(0, NAMES), TEXT, movable)
    return Words(inner, choices.vectors, choices.of("values"))


def test_projection_puts_back_what_is_too_much() -> None:
    x, _, _ = sentences()
    two, everything = ball(2), ball(7)
    far = everything.point()
    found = two.project(far)
    assert two.distance(found).tolist() == [min(2.0, number) for number in everything.distance(far).tolist()]
    assert (two.outside(found) == 0).all()
    assert torch.equal(two.project(found), found)
    assert torch.equal(everything.project(far), far)
    assert (ball(0).outside(far) == everything.distance(far)).all()
    assert torch.equal(two.project(x + 1)[..., -1], x[..., -1])  # whatever stands there, padding stays padding


def test_one_move_rises_the_most() -> None:
    where = ball(3)
    gradient = torch.autograd.functional.jacobian(lambda x: linear(x).sum(), where.x)
    first, second = where.moves(where.x, gradient, 2)
    rises = [linear(moved).sum(0) - linear(where.x).sum(0) for moved in (first, second)]
    assert (rises[0] >= rises[1] - 1e-5).all()
    assert torch.allclose(where.x + where.direction(gradient), first, atol=1e-6)
    assert (where.slope(gradient, 1.0) == 0).all()


def test_sentences_without_substitutes_stay() -> None:
    x, found = attacked(torch.full((3,), 5.0), step=ReplaceWords("neighbours"))
    assert torch.equal(found, x)


def test_what_is_refused() -> None:
    x, movable, choices = sentences()
    with pytest.raises(UsageError, match=r"attack.step.substitutes=synonyms: expected values or neighbours"):
        ReplaceWords("synonyms")
    with pytest.raises(UsageError, match=r"attack.step.tried=-1"):
        ReplaceWords(tried=-1)
    with pytest.raises(UsageError, match=r"attack.norm=l2: words steps in linf only"):
        Attack(Total(), ReplaceWords(), (), norm="l2")
    with pytest.raises(UsageError, match=r"the dataset does not say what may stand in the place of a word"):
        Attack(Total(), ReplaceWords(), ())(linear, x, torch.ones(3), PerImage(0, NAMES), Around(TEXT, movable))
    with pytest.raises(UsageError, match=r"attack/step=words: it moves texts; the inputs are of form image"):
        Attack(Total(), ReplaceWords(), ())(linear, x, torch.ones(3), PerImage(0, NAMES))
    Attack(Total(), PGD(), ())(
        linear, x, torch.ones(3), PerImage(0, NAMES), Around(TEXT, movable, choices)
    )  # not read
