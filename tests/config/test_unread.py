"""Options that nothing reads, by the configuration alone."""

from typing import Any

import pytest

from mtlbench.config.unread import check_read
from mtlbench.errors import UsageError
from tests.grid import composed

GENERATED, READ = {"root": "/data", "make": {"form": "slu"}}, {"root": "/data", "make": None}


@pytest.mark.parametrize("option", ["images", "sentences", "seed"])
def test_a_given_root_leaves_nothing_to_generate(option: str) -> None:
    with pytest.raises(UsageError, match=f"dataset.{option}=3: nothing reads this .* so nothing is generated"):
        check_read({"dataset": GENERATED}, [f"dataset.{option}=3"], swept=False)


def test_the_seed_of_a_split_is_read_from_a_root_as_well() -> None:
    """The digits of dataset=digits are split by it, wherever they lie."""
    check_read({"dataset": READ}, ["dataset.seed=3"], swept=False)


@pytest.fixture(scope="module")
def auto() -> dict[str, Any]:
    """The reference attack of a random model."""
    return {"attack": composed("attack=auto"), "model": {"random": True}}


@pytest.mark.parametrize(
    "option",
    [
        *("eps=4", "attack.norm=l2", "attack.tasks=[depth]", "attack.eot=10", "attack.source=w.safetensors"),
        *("attack.converged=null", "attack.converged_images=9"),
    ],
)
def test_a_fixed_recipe_takes_what_is_of_models_and_checks(auto: dict[str, Any], option: str) -> None:
    check_read(auto, [option], swept=False)


@pytest.mark.parametrize(
    "option",
    [
        *("step.steps=5", "fixed_step.steps=5", "random_start=true", "starts=[image]", "restarts=2", "loss={}"),
        *("loss_scale.depth=2", "logits=normalised", "metrics.depth=[abs_err]", "clean_values=train"),
    ],
)
def test_a_fixed_recipe_takes_nothing_else(auto: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match="nothing reads this option here: attack=auto "):
        check_read(auto, [f"attack.{option}"], swept=False)
