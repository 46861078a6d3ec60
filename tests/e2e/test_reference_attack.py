"""attack=auto and attack=sea through the command: recipe, checks, what they refuse, and what the study says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mtlbench
from mtlbench.config import black_box

TRAINED = ("dataset.images=130", "dataset.resolution=32", "training.iterations=50", "+model.width=0.25")
FEW = "attack.converged_images=3"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one model, trained by the first command."""
    return tmp_path_factory.mktemp("auto")


@pytest.fixture
def attack(call: Callable, outputs: Path) -> Callable[..., str]:
    """Attack it at eps 8; what is printed."""

    def start(*arguments: str) -> str:
        done = call("attack", f"outputs={outputs}", *TRAINED, "eps=8", "limit=4", *arguments)
        assert done.status == 0, done.err
        return done.out

    return start


def test_the_reference_attack_is_one_run_with_two_checks(attack: Callable, outputs: Path, call: Callable) -> None:
    attack("-m", "attack=smooth_arp", "attack/step=mim_linear", "attack.step.steps=100")
    printed = attack("attack=auto", FEW)
    cells = mtlbench.load(outputs).cells
    (auto,) = (cell for cell in cells if cell.identity["attack"] == "auto" and "sample_of" not in cell.identity)
    (same,) = (cell for cell in cells if cell.identity["attack"] == "smooth_arp")
    assert auto.identity["objective"]["recipe"] == "auto-v1"
    assert (auto.identity["step"], auto.identity["steps"]) == ("mim_linear", 100)
    assert np.array_equal(auto.arrays["losses"], same.arrays["losses"])
    row = pd.read_csv(outputs / "tables/checks.csv").set_index("attack").loc["auto"]
    assert (row["gradients_per_image"], row["converged_images"]) == (100, 3)
    assert -5 < row["converged_gain"] < 20
    assert row["gradient_free_low"] <= row["gradient_free_gain"] < 0, "random search does less"
    assert "an attack without gradients does" not in printed
    done = call("report", f"outputs={outputs}", "audit=20")
    assert "differs" not in done.out and done.status == 0, done.err


def test_the_study_compares_with_it(attack: Callable, outputs: Path, call: Callable) -> None:
    attack("attack=auto", FEW)
    attack("-m", "attack=smooth_arp", "attack/step=mim_linear,apgd", "attack.step.steps=10,100")
    attack("attack=dgba", "attack/step=pgd", "attack.step.steps=10")
    done = call("report", f"outputs={outputs}", "study=auto")
    assert done.status == 0, done.err
    table = pd.read_csv(outputs / "tables/auto.csv").query("scores == 'standard'")
    of: Any = table.set_index(["attack", "step", "steps"])
    assert of.loc[("dgba", "pgd", 10), "difference"] > 0
    assert np.isnan(of.loc[("auto", "mim_linear", 100), "p_value"]), "itself"
    assert of.loc[("smooth_arp", "mim_linear", 100), "difference"] == 0
    assert (table["least_damage"] <= table["arp_percent"]).all()
    assert (table["most_damage"] >= table["arp_percent"]).all()
    equal = pd.read_csv(outputs / "tables/auto_same_steps.csv").query("scores == 'standard'")
    same = equal.set_index(["attack", "step", "steps"])["difference"]
    expected = of.loc[("smooth_arp", "mim_linear", 10), "arp_percent"] - of.loc[("dgba", "pgd", 10), "arp_percent"]
    assert same[("dgba", "pgd", 10)] == pytest.approx(expected)
    assert same[("smooth_arp", "apgd", 100)] == pytest.approx(of.loc[("smooth_arp", "apgd", 100), "difference"])
    (model,) = pd.read_csv(outputs / "tables/auto_models.csv").query("scores == 'standard'").to_dict("records")
    checks = pd.read_csv(outputs / "tables/checks.csv").set_index("attack").loc["auto"]
    for name in ("gradients_per_image", "converged_gain", "gradient_free_gain"):
        assert model[name] == pytest.approx(checks[name]), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("attack=auto", "attack.restarts=2"), "attack=auto is a fixed recipe; attack=smooth_arp takes options"),
        (("attack=auto", "attack.fixed_step.steps=5"), "attack=auto is a fixed recipe"),
        (("attack=auto", "attack.black_box=maybe"), "attack.black_box=maybe: expected check, or null"),
        (("attack=sea", "attack.black_box=check"), "attack=sea is the best of several, expected one objective"),
        (("attack=sea", "attack.tasks=depth"), "sea: expected a task with classes for each pixel; there are depth"),
        (("attack=sea", "attack.loss={segmentation:js}"), "attack=sea has losses of its own"),
        (("attack.norm=l2", "attack.black_box=check"), "another norm than linf"),
        (("attack.eot=10",), "a model without model.random=true has one gradient"),
    ],
)
def test_what_is_refused(call: Callable, options: tuple[str, ...], said: str) -> None:
    done = call("attack", *options)
    assert done.status == 2
    assert said in done.err


def test_in_l2_there_is_no_random_search(attack: Callable, outputs: Path) -> None:
    attack("attack=auto", "attack.norm=l2", FEW)
    checks = pd.read_csv(outputs / "tables/checks.csv").query("norm == 'l2' and attack == 'auto'")
    assert checks["converged_gain"].notna().all()
    assert checks.get("gradient_free_gain", pd.Series(dtype=float)).isna().all()


VECTORS = (
    *("dataset=clusters", "dataset.D=20", "dataset.alpha=0.01", "dataset.train=60", "dataset.test=20"),
    *("model=limit", "eps=0.2", FEW),
)


def test_random_search_is_for_images(call: Callable) -> None:
    """The reference attack goes without it elsewhere; who asks for it is told."""
    done = call("attack", *VECTORS, "attack=auto")
    assert done.status == 0, done.err
    checks = pd.read_csv("outputs/tables/checks.csv")
    assert checks[checks["attack"] == "auto"]["converged_gain"].notna().all()
    assert "gradient_free_gain" not in checks
    done = call("attack", *VECTORS, "attack=auto", "attack.black_box=check")
    assert done.status == 2
    assert "random search has nothing to climb, no images, or another norm than linf" in done.err


def test_sea_takes_of_each_image_the_best_of_three(attack: Callable, outputs: Path, call: Callable) -> None:
    attack("attack=sea", "attack.fixed_step.steps=4")
    metrics = pd.read_csv(outputs / "tables/metrics.csv")
    rows = metrics.query("metric == 'pixel_accuracy' and scores == 'standard' and target == 'segmentation'")
    of: Any = rows.set_index("attack")["attacked"]
    assert len(of) == 4
    assert (of["sea"] <= of["one_of_sea"]).all()
    table = mtlbench.load(outputs).worst_of_set
    assert table["pixel_accuracy"].item() == pytest.approx(of["sea"])
    assert table["worst_miou"].item() <= table["miou"].item()
    checks = pd.read_csv(outputs / "tables/checks.csv").set_index("attack")
    assert checks.loc["sea", "gradients_per_image"] == 12
    assert call("report", f"outputs={outputs}", "study=auto").status == 0


QUANTISED = """
import mtlbench
from torch import nn

def rounded(x):
    return (15 * x).round() / 15

class Net(nn.Module):
    def __init__(self, front_end):
        super().__init__()
        self.front_end = front_end
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 17, 1))
    def forward(self, x):
        out = 10 * self.layers(self.front_end(x))
        return {"segmentation": out[:, :13], "normals": out[:, 13:16], "depth": out[:, 16:]}

def build(passed=False):
    return Net(mtlbench.straight_through(rounded) if passed else rounded)
"""


def test_of_a_quantising_front_end_random_search_says_so(
    call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs of 16 levels have no gradient: the ARP of 0 has an alarm. Straight through, gradients do more again."""
    monkeypatch.setitem(black_box.RANDOM_SEARCH, "steps", 150)
    (tmp_path / "my_quantised.py").write_text(QUANTISED)
    own = ("model=custom", "model.build=my_quantised:build", "plugins=[my_quantised]", "model.probe=null")
    metrics = "dataset.metrics={segmentation:[cross_entropy],normals:[angle_mean],depth:[abs_err]}"  # never 0
    few = ("dataset.images=39", "dataset.resolution=32", "limit=3", "attack.converged=null", FEW, "eps=8")
    found = {}
    for passed in ("false", "true"):
        done = call("attack", "attack=auto", *few, metrics, *own, f"model.options={{passed: {passed}}}")
        assert done.status == 0, done.err
        tables = (pd.read_csv(f"outputs/tables/{name}.csv") for name in ("arp", "checks"))
        arp, checks = (table[table["attack"] == "auto"] for table in tables)
        (standard,) = arp[arp["scores"] == "standard"].to_dict("records")
        found[passed] = standard | checks.squeeze().to_dict()
    hidden, passed_on = found["false"], found["true"]
    assert hidden["arp_percent"] == 0
    assert 0 < hidden["gradient_free_low"] <= hidden["gradient_free_gain"] < passed_on["arp_percent"]
    for said in ("100% of a task's input gradient is zero", "an attack without gradients does"):
        assert said in hidden["status"]
    assert (passed_on["status"], passed_on["gradient_free_gain"] < 0) == ("ok", True)
