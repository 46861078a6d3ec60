"""Other input conventions: what the model gets is what each of them says."""

import pytest
import torch

import mtlbench
from mtlbench.models.inputs import CONVENTIONS, Convention, Inputs, convention
from mtlbench.probing.conventions import _ratio, alternatives, translated

OWN = convention(((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))


@pytest.mark.parametrize("given", [*CONVENTIONS.values(), OWN], ids=lambda one: one.name)
def test_a_model_of_one_convention_sees_the_other(given: Convention) -> None:
    image = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for other, remedy in alternatives(given):
        shown = Inputs(given)(translated(image, given, other))
        wanted = Inputs(other)(image)
        torch.testing.assert_close(shown, wanted, rtol=1e-5, atol=1e-6 * given.scale)
        assert remedy


@pytest.mark.parametrize("given", [*CONVENTIONS.values(), OWN], ids=lambda one: one.name)
def test_red_and_blue_are_exchanged_once_and_nothing_is_its_own_alternative(given: Convention) -> None:
    others = [other for other, _ in alternatives(given)]
    shown = [(one.bgr, one.scale, one.mean, one.std) for one in others]
    assert len(set(shown)) == len(shown)
    assert (given.bgr, given.scale, given.mean, given.std) not in shown
    assert (not given.bgr, given.scale, given.mean[::-1], given.std[::-1]) in shown


def test_what_undoes_a_normalisation_undoes_it() -> None:
    image = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    undone = {other.name: Inputs(other)(image) for other, _ in alternatives(CONVENTIONS["rgb01"])}
    for name in ("imagenet", "half"):
        once = Inputs(convention(name))(undone[f"images of which the {name} normalisation is undone"])
        torch.testing.assert_close(once, image)


def ratios(*of_tasks: list[float]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Losses of 1, and others that are these multiples."""
    other = {str(task): torch.tensor(ratios) for task, ratios in enumerate(of_tasks)}
    return {task: torch.ones_like(losses) for task, losses in other.items()}, other


EVEN = [1.01, 0.99] * 8


@pytest.mark.parametrize(
    ("of_tasks", "better"),
    [
        ([[0.8] * 16, [0.89] * 16], True),  # every task by a tenth
        ([[0.6, 0.9] * 8, [0.99] * 16], True),  # one hardly needs it, but the images agree
        ([[0.6, 0.9] * 8, EVEN], True),
        ([[0.6, 0.9] * 8, [1.001] * 16], False),  # one is worse off
        ([[0.6, 0.9] * 8, [1.12, 0.92] * 8], True),  # or by chance
        ([[0.6, 0.9] * 8, [1.16, 0.98] * 8], False),  # or for more than chance
        ([[0.8] * 4, [1.02, 0.99] * 2], False),  # of four images nobody can tell
        ([[0.93] * 16, [0.98] * 16], False),  # too little on average
        ([[0.1, 0.1, 0.2, *[1.3] * 13], [0.99] * 16], False),  # a few images decide
        ([[0.6, 0.9] * 3, [0.99] * 6], False),  # too few images to agree
        ([[0.6, 0.9] * 8, [0.99] * 15 + [torch.nan]], True),  # one has nothing to score there
        ([[0.6, 0.9] * 8, [0.99] * 15 + [torch.inf]], False),  # and here no number
        ([[1.0] * 16, [1.0] * 16], False),
    ],
)
def test_when_a_model_is_clearly_better_off(of_tasks: list[list[float]], better: bool) -> None:
    assert (_ratio(*ratios(*of_tasks), {}) < 1) == better


@pytest.mark.parametrize(("images", "size", "named"), [(16, 8, False), (64, 8, True), (16, 320, True)])
def test_where_the_first_images_leave_a_doubt_more_are_looked_at(images: int, size: int, named: bool) -> None:
    """Half of the images do a little worse with red and blue exchanged, half of them much better.

    Sixteen are too few to tell that from chance. Of large images four are looked at first, then sixteen: here they
    agree a little more.
    """
    better = torch.tensor([0.1 if size == 8 else -0.1, -0.7]).repeat(images // 2)
    seen = torch.full((images, 3, size, size), 0.5)
    seen[:, 2] = 0.4 + 0.1 * better.exp()[:, None, None]
    target = torch.full((images, 1, size, size), 1.9)

    def model(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"near": 1.5 + x[:, :1], "far": 1.5 + x[:, 1:2]}

    tasks = {"near": mtlbench.depth(), "far": mtlbench.depth()}
    found = mtlbench.probe(model, (seen, {"near": target, "far": target}), tasks).findings
    remedies = [one.remedy for one in found if one.question == "inputs"]
    assert remedies == (["attack(..., inputs='bgr01')"] if named else [])


def test_the_ratio_is_the_geometric_mean_over_the_tasks() -> None:
    assert _ratio(*ratios([0.5] * 16, [0.8] * 16), {}) == pytest.approx(0.4**0.5)


def test_losses_that_are_nearly_nothing_say_nothing() -> None:
    mine = {"a": torch.full((16,), 1e-3), "b": torch.ones(16)}
    assert _ratio(mine, {"a": torch.full((16,), 2e-3), "b": torch.full((16,), 0.5)}, {"a": 1.0}) == pytest.approx(0.5)


def test_a_loss_of_nothing_is_not_worse_by_chance() -> None:
    mine, few = {"a": torch.zeros(16), "b": torch.ones(16)}, torch.tensor([1.0, *[0.0] * 15])
    assert _ratio(mine, {"a": few, "b": torch.full((16,), 0.5)}, {}) == 1
