"""Other input conventions: what the model gets is what each of them says."""

import pytest
import torch

from mtlbench.models.inputs import CONVENTIONS, Convention, Inputs, convention
from mtlbench.probing.conventions import alternatives, translated

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
