"""The reference attack and SEA from Python: the recipes of conf/, which take no other step rule."""

from collections.abc import Callable

import pytest

import mtlbench
from mtlbench.api.attacks import FIXED
from mtlbench.attacks.objectives import SEA, Auto, Objective
from mtlbench.attacks.steps import Step
from mtlbench.config.build import build
from mtlbench.errors import UsageError
from tests.grid import composed

Attacked = Callable[..., mtlbench.Result]


@pytest.mark.parametrize("objective", [Auto, SEA])
def test_the_step_rule_is_that_of_the_command(objective: type[Objective]) -> None:
    assert set(FIXED) == {Auto, SEA}
    step: Step = build(composed(f"attack={objective.name}")["fixed_step"], kind=Step)
    assert FIXED[objective]().identity() == step.identity()


def test_one_call_gives_its_arp_and_whether_it_has_converged(attacked: Attacked) -> None:
    result = attacked(objective=["auto", "dgba"], steps=None, eps=8, limit=6, converged=4)
    arp = result.arp.set_index("attack")["arp_percent"]
    assert arp["auto"] > arp["dgba"]
    auto = next(cell for cell in result.cells if cell.identity["attack"] == "auto")
    assert (auto.identity["steps"], auto.identity["objective"]["recipe"]) == (100, "auto-v1")
    row = result.checks.set_index("attack").loc["auto"]
    assert row["gradients_per_image"] == 100
    assert -5 < row["converged_gain"] < 5


def test_sea_is_of_the_dense_task_alone(attacked: Attacked) -> None:
    result = attacked(objective="sea", steps=4, eps=8, limit=6)
    assert set(result.arp["target"]) == {"scene"}
    assert sorted(result.arp["attack"]) == ["one_of_sea"] * 3 + ["sea"]
    (row,) = result.worst_of_set.to_dict("records")
    metrics = result.metrics.query("attack == 'sea' and metric == 'pixel_accuracy'")
    assert row["pixel_accuracy"] == pytest.approx(metrics["attacked"].item())
    assert row["worst_miou"] <= row["miou"] + 1e-12


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": "auto", "steps": 5}, "steps=5: auto-v1 is a fixed recipe; objective='smooth_arp' takes"),
        ({"objective": "auto", "step": "pgd", "steps": None}, "step=pgd: auto has a step rule of its own"),
        ({"objective": "sea", "steps": 3}, "attack.step.steps=3: expected at least 4"),
    ],
)
def test_what_is_refused(attacked: Attacked, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        attacked(**options)
