"""attack.converged=check: silent for an attack that has converged, an alarm for one that has not."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

TRAINED = ("dataset.images=130", "dataset.resolution=32", "training.iterations=100", "+model.width=0.25")
CHECK = ("attack.converged=check", "attack.converged_images=6")
TOO_FEW = ("attack/step=pgd", "attack.step.steps=3")
ENOUGH = ("attack/step=mim_linear", "attack.step.steps=30")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one model, trained by the first command."""
    return tmp_path_factory.mktemp("converged")


@pytest.fixture
def attack(call: Callable, outputs: Path) -> Callable[..., tuple[str, pd.DataFrame, list[str]]]:
    """Attack it: what is printed, the table of checks, the keys of the stored results."""

    def start(*arguments: str) -> tuple[str, pd.DataFrame, list[str]]:
        done = call("attack", f"outputs={outputs}", *TRAINED, "eps=8", *arguments)
        assert done.status == 0, done.err
        keys = sorted(path.stem for path in (outputs / "store").glob("*.npz"))
        return done.out, pd.read_csv(outputs / "tables" / "checks.csv"), keys

    return start


def test_an_attack_of_three_steps_has_not_converged(attack: Callable, outputs: Path, call: Callable) -> None:
    _, _, before = attack(*TOO_FEW)
    out, checks, keys = attack(*TOO_FEW, *CHECK)
    (row,) = checks[checks["attack"] == "dgba"].to_dict("records")
    assert row["converged_gain"] > 5
    assert (row["steps"], row["n_images"], row["converged_images"]) == (3, 10, 6)
    assert "alarm: not converged: twice the steps do " in out
    assert set(before) < set(keys), "no cell gets another key"
    assert len(keys) == len(before) + 3, "the sample clean, attacked, and with twice the steps"
    arps = pd.read_csv(outputs / "tables" / "arp.csv")
    assert arps.query("scores == 'standard'")["n_images"].tolist() == [10], "the check is no row of its own"
    done = call("report", f"outputs={outputs}", f"audit={len(keys)}")
    assert done.out.count(": equal") == len(keys), done.err


def test_an_attack_of_thirty_steps_has(attack: Callable) -> None:
    out, checks, keys = attack(*ENOUGH, *CHECK)
    (row,) = checks[checks["attack"] == "dgba"].to_dict("records")
    assert -5 < row["converged_low"] < row["converged_gain"] < 5
    assert "alarm" not in out
    assert attack(*ENOUGH, *CHECK)[2] == keys, "nothing is computed again"


def test_the_sample_may_be_all_images(attack: Callable) -> None:
    _, checks, _ = attack(*ENOUGH, "attack.converged=check")
    (row,) = checks[checks["attack"] == "dgba"].to_dict("records")
    assert (row["converged_images"], row["n_images"]) == (10, 10)
    assert -5 < row["converged_gain"] < 5


def test_a_search_checks_each_of_its_weightings(attack: Callable) -> None:
    _, checks, _ = attack("attack=weighted_total", "attack.grid=1", *TOO_FEW, *CHECK)
    assert checks[checks["attack"].isin(["weighted", "weighted_total"])]["converged_gain"].notna().sum() == 4


def test_in_a_sweep_what_has_no_steps_is_left_unchecked(attack: Callable) -> None:
    _, checks, _ = attack("-m", "attack=noise,dgba", *CHECK)
    found = checks.set_index("attack")["converged_gain"].notna().to_dict()
    assert found == {"dgba": True, "noise": False, "none": False}


def test_another_value_is_refused(call: Callable) -> None:
    done = call("attack", "attack.converged=true")
    assert done.status == 2
    assert "attack.converged=True: expected check, or null" in done.err
