"""`mtlbench.attack` and `mtlbench.perturb` of a model of one's own."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench.api.converged import doubled
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Power, Total
from mtlbench.attacks.steps import FGSM, PGD, MIMLinear, Step
from mtlbench.errors import ModelError, UsageError
from mtlbench.metrics import PixelMean
from tests.api.conftest import TASKS, split
from tests.data.test_own import cut

Split = tuple[Tensor, dict[str, Tensor]]
pytestmark = pytest.mark.usefixtures("one_thread")


def same(one: mtlbench.Result, other: mtlbench.Result) -> None:
    for name in ("metrics", "damage", "arp", "transferability"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_every_attack_and_eps_has_a_row(result: mtlbench.Result) -> None:
    found = set(result.arp[["attack", "target", "eps"]].itertuples(index=False, name=None))
    names = [("dgba", "all"), ("total", "all"), *(("single", task) for task in TASKS)]
    assert found == {(attack, target, eps) for attack, target in names for eps in (2.0, 8.0)}
    assert set(result.arp["status"]) == {"ok"}
    assert (result.arp["ci_low"] <= result.arp["arp_percent"]).all()


def test_how_much_the_tasks_share_is_stored(result: mtlbench.Result) -> None:
    """One convolution of two on every path is the trunk's."""
    for cell in result.cells:
        assert cell.provenance["sharing_measured"]["shared_path"] == 0.5


def test_the_attack_hurts(result: mtlbench.Result) -> None:
    arp = result.arp.set_index(["attack", "target", "eps"])["arp_percent"]
    assert arp["dgba", "all", 8.0] > arp["dgba", "all", 2.0] > 2
    assert set(result.metrics["task"]) == set(TASKS)
    kind = result.metrics[(result.metrics["metric"] == "accuracy") & (result.metrics["target"] == "kind")]
    assert (kind["attacked"] < kind["clean"]).all()


@pytest.mark.parametrize("size", [3, 8])
def test_the_loaders_batches_change_nothing(
    attacked: Callable[..., mtlbench.Result], result: mtlbench.Result, test_split: Split, size: int
) -> None:
    same(attacked(cut(test_split, size)), result)


def test_an_attack_that_has_not_converged_raises_an_alarm(attacked: Callable[..., mtlbench.Result]) -> None:
    """Two steps of a tenth of eps leave more to gain than forty of a rule that converges."""
    options = {"objective": ["dgba", "noise"], "eps": 8}
    few = attacked(step=PGD(2, 0.1), steps=None, converged=6, **options)
    (row,) = few.checks[few.checks["attack"] == "dgba"].to_dict("records")
    assert row["converged_images"] == 6
    assert row["converged_gain"] > 5
    assert "not converged: twice the steps do" in few.arp.set_index("attack").loc["dgba", "status"]
    many = attacked(step="mim_linear", steps=40, converged=6, **options)
    assert many.checks[many.checks["attack"] == "dgba"]["converged_gain"].max() < 5
    assert set(many.arp["status"]) == {"ok"}
    without = attacked(step=PGD(2, 0.1), steps=None, **options)
    pd.testing.assert_frame_equal(few.damage, without.damage)
    assert "converged_gain" not in without.checks or without.checks["converged_gain"].isna().all()


def test_twice_the_steps_follow_the_default_schedule() -> None:
    def steps(step: Step) -> dict[str, Any]:
        ((_, targets),) = doubled([("dgba", {"all": Attack(Total(), step, ())})])
        return targets["all"].step.options()

    assert steps(PGD(5)) == {"steps": 10, "size": 0.1}
    assert steps(PGD(5, 0.3)) == {"steps": 10, "size": 0.3}
    assert steps(MIMLinear(4, momentum=0.7)) == {"steps": 8, "size": 2.0, "momentum": 0.7}
    assert steps(FGSM()) == FGSM().options()


def test_the_model_comes_back_as_it_was(net: nn.Module, attacked: Callable[..., mtlbench.Result]) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert net.training
    attacked(limit=2, eps=1)
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_callable_computes_what_its_module_does(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], result: mtlbench.Result
) -> None:
    found = attacked(model=lambda x: net(x), modules=net, eps=8, objective="dgba")
    row = result.arp[(result.arp["attack"] == "dgba") & (result.arp["eps"] == 8)]
    assert found.arp["arp_percent"].tolist() == row["arp_percent"].tolist()


def test_inputs_are_applied_inside_so_that_eps_keeps_its_unit(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], result: mtlbench.Result
) -> None:
    found = attacked(model=lambda x: net(x / 255), modules=[net], inputs="rgb255", eps=8, objective="dgba")
    row = result.arp[(result.arp["attack"] == "dgba") & (result.arp["eps"] == 8)]
    assert found.arp["arp_percent"].tolist() == pytest.approx(row["arp_percent"].tolist(), abs=0.2)
    assert found.checks["outside"].max() < 1e-3


def test_parts_as_objects_and_by_name(attacked: Callable[..., mtlbench.Result]) -> None:
    named = attacked(objective="total", step="pgd", eps=4)
    built = attacked(objective=Total(), step=PGD(3), steps=None, eps=[4])
    same(named, built)
    alphas = attacked(objective=Power(1.5), step="fgsm", steps=None, eps=4)
    assert alphas.arp["attack"].tolist() == ["power"]


def test_one_objective_with_several_options(attacked: Callable[..., mtlbench.Result]) -> None:
    found = attacked(objective=[Power(1.25), Power(1.75)], eps=4)
    assert len({cell.key for cell in found.cells}) == 3
    assert found.arp["attack"].tolist() == ["power"] * 2
    assert found.arp["alpha"].tolist() == ["1.25", "1.75"]


def test_metrics_are_climbed_relative_to_their_clean_values(
    attacked: Callable[..., mtlbench.Result], test_split: Split
) -> None:
    """Of all images, however they come: the loader is read once more before."""
    names = ["smooth_arp", "smooth_log", "worst_task"]
    found = attacked(objective=[*names, "dgba"], step="mim_linear", eps=8)
    arp = found.arp.set_index("attack")["arp_percent"].to_dict()
    assert arp["smooth_arp"] > arp["dgba"]
    assert (found.arp["status"] == "ok").all()
    image, targets = test_split
    whole = attacked(objective=names, step="mim_linear", eps=8)
    halves = [(image[part], {k: v[part] for k, v in targets.items()}) for part in (slice(0, 10), slice(10, 24))]
    same(attacked(loader=halves, objective=names, step="mim_linear", eps=8), whole)
    with pytest.raises(UsageError, match=r"objective=smooth_arp: .* the loader is read twice; expected a DataLoader"):
        attacked(loader=iter(halves), objective="smooth_arp")


def test_noise_is_a_control(attacked: Callable[..., mtlbench.Result]) -> None:
    found = attacked(objective=["noise", "dgba"], eps=8).arp.set_index("attack")["arp_percent"].to_dict()
    assert found["noise"] < found["dgba"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "objective": ({"objective": "dgab"}, "objective=dgab: expected auto, bounded, dgba, floor"),
    "no objective": ({"objective": []}, "expected one or more of auto, bounded"),
    "step": ({"step": "pdg"}, "step=pdg: expected apgd, apgd_shrinking, fgsm"),
    "steps of fgsm": ({"step": "fgsm", "steps": 10}, "steps=10: fgsm takes one step"),
    "steps": ({"steps": 0}, "steps=0: expected a whole number of at least 1"),
    "eps": ({"eps": [4, 300]}, "eps=300: expected grey levels of 255"),
    "no eps": ({"eps": []}, "expected one or more numbers"),
    "norm": ({"norm": "l1"}, "norm=l1: expected linf or l2"),
    "limit": ({"limit": 0}, "limit=0: expected a whole number of at least 1"),
    "tasks": ({"tasks": {"scene": 3}}, "tasks['scene']=3: expected a task such as mtlbench.depth()"),
    "fraction": ({"eps": 8 / 255}, "expected grey levels of 255; 8 for 0.03137"),
    "device": ({"device": "gpu"}, "device='gpu': expected auto, cpu, cuda or cuda:N"),
    "seed": ({"seed": -1}, "seed=-1: expected a whole number of at least 0"),
    "replicates": ({"replicates": "many"}, "replicates=many: expected a whole number"),
    "a class": ({"model": nn.Linear}, "Linear'>: expected a module"),
    "swapped": ({"model": [torch.zeros(2, 3)]}, "model=a list: expected a module"),
    "a state dict": ({"model": {"conv.weight": torch.zeros(2)}}, "load a state dict into its module first"),
    "outputs of each": (
        {"model": dict.fromkeys(TASKS, nn.Identity()), "outputs": {}},
        "outputs: a model of each task",
    ),
    "task not made": ({"tasks": {"range": mtlbench.depth}}, "call it: mtlbench.depth(...)"),
    "known tasks": ({"tasks": "nyu"}, "nyuv2 or rooms"),
    "level": (
        {"tasks": {"range": mtlbench.depth(metrics=[PixelMean("off", "m", False, "l1_sums", "abs", smooth="l_1")])}},
        "metric off of task range: smooth=l_1: expected a function, or one of cross_entropy, cosine, l1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_named(attacked: Callable[..., mtlbench.Result], case: str) -> None:
    options, message = WRONG[case]
    with pytest.raises(UsageError) as error:
        attacked(**options)
    assert message in str(error.value)


def test_a_missing_task_is_named(attacked: Callable[..., mtlbench.Result]) -> None:
    with pytest.raises(
        ModelError, match="surface: the model returns a mapping with the keys 'scene', 'range', 'kind'"
    ):
        attacked(loader=(split(2, 0)[0], {"surface": torch.ones(2, 3, 16, 16)}), tasks={"surface": mtlbench.normals()})


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_perturb_stays_in_the_ball_and_hurts(net: nn.Module, test_split: Split, norm: str) -> None:
    images, targets = test_split
    made = mtlbench.perturb(net, images, targets, TASKS, eps=8, steps=3, norm=norm)
    moved = (made - images).flatten(1)
    length = moved.abs().amax(1) if norm == "linf" else moved.square().mean(1).sqrt()
    assert length.max() <= 8 / 255 + 1e-6
    assert made.min() >= 0
    assert made.max() <= 1
    assert not made.requires_grad
    net.eval()
    right = [(net(x)["kind"].argmax(1) == targets["kind"]).float().mean() for x in (images, made)]
    net.train()
    assert right[1] < right[0]


def test_perturb_is_what_attack_scores(
    net: nn.Module, attacked: Callable[..., mtlbench.Result], test_split: Split
) -> None:
    images, targets = test_split
    made = mtlbench.perturb(net, images, targets, TASKS, eps=8, steps=3)
    scored = attacked((made, targets), eps=0, objective="dgba").metrics
    expected = attacked(eps=8, objective="dgba").metrics
    clean, hurt = (table[table["attack"] == "dgba"] for table in (scored, expected))
    assert clean["clean"].tolist() == pytest.approx(hurt["attacked"].tolist(), rel=1e-5)


def test_perturb_by_single_wants_one_task(net: nn.Module, test_split: Split) -> None:
    with pytest.raises(UsageError, match="objective=single: give one task, not scene, range, kind"):
        mtlbench.perturb(net, *test_split, TASKS, objective="single")


def test_importing_mtlbench_imports_no_torch() -> None:
    code = "import sys, mtlbench; mtlbench.depth(); assert 'attack' in dir(mtlbench); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'atack'"):
        mtlbench.atack  # noqa: B018


def test_sharing_of_a_model_is_measured(net: nn.Module, test_split: Split, result: mtlbench.Result) -> None:
    found = mtlbench.sharing(net, test_split[0][:2], TASKS)
    trunk, heads = 3 * 8 * 9 + 8 + 16, {"scene": 27, "range": 9, "kind": 27}
    assert found.params == {name: trunk + size for name, size in heads.items()}
    assert found.shared_path == pytest.approx(0.5)  # one of two weight tensors on every path
    assert found.shared_params == pytest.approx(trunk / (trunk + sum(heads.values())))
    assert result.cells[0].provenance["sharing_measured"]["shared_path"] == found.shared_path
