"""Several seeds to one row, clean accuracy against another model."""

import numpy as np
import pandas as pd
import pytest

from mtlbench.scores import accuracy_lost, arp, damage, interval, over_seeds, paired_difference, relative_drops
from tests.frames import NONE, damages, rows, wide

NAMES = {"segmentation": "miou", "depth": "abs_err"}


def arps(*parts: list) -> pd.DataFrame:
    frame = wide(*parts)
    return arp(damage(relative_drops(frame[~frame.index.duplicated()])))


def noisy(rng: np.random.Generator, centre: float, spread: float, **identity: object) -> pd.DataFrame:
    """ARP of one cell with 1000 replicates."""
    keys = pd.MultiIndex.from_tuples([(*identity.values(), "ok")], names=[*identity, "status"])
    return pd.DataFrame([np.concatenate([[centre], centre + rng.normal(0, spread, 1000)])], keys)


def test_the_mean_of_the_seeds_by_hand() -> None:
    parts = [damages({"segmentation": 40, "depth": 10 * seed}, seed=seed) for seed in (0, 1, 2)]
    result = over_seeds(arps(*parts))
    assert result[0].tolist() == pytest.approx([(40 + 10) / 2])
    assert result.index.get_level_values("seeds").tolist() == ["0,1,2"]
    assert not {"seed", "weights", "cell"} & set(result.index.names)


def test_attacks_and_models_stay_apart() -> None:
    parts = [
        damages({"segmentation": 10.0}, seed=seed, attack=attack, sharing=sharing)
        for seed in (0, 1)
        for attack in ("dgba", "total")
        for sharing in ("independent", "all_shared")
    ]
    assert len(over_seeds(arps(*parts))) == 4


def test_one_seed_stays_as_it_is() -> None:
    frame = noisy(np.random.default_rng(0), 50, 3, attack="dgba", seed=7)
    result = over_seeds(frame)
    assert (result.to_numpy() == frame.to_numpy()).all()
    assert result.index.get_level_values("seeds").tolist() == ["7"]


def test_two_results_of_a_seed_are_never_averaged() -> None:
    rng = np.random.default_rng(0)
    same = pd.concat([noisy(rng, centre, 1, attack="dgba", seed=0, cell=str(centre)) for centre in (1, 2)])
    result = over_seeds(same)
    assert result.isna().all(axis=None)
    assert result.index.get_level_values("status").tolist() == ["several results of seed 0"]


def test_an_undefined_seed_is_named() -> None:
    defined = damages({"segmentation": 10.0}, seed=0)
    alone = rows({("segmentation", "miou"): 0.5}, seed=1)  # without its clean row
    result = over_seeds(arps(defined, alone))
    assert result[0].isna().iloc[0]
    assert result.index.get_level_values("status")[0].startswith("seed 1: undefined: segmentation (miou: no clean")


def test_the_interval_covers_the_spread_between_seeds() -> None:
    rng = np.random.default_rng(0)
    frame = pd.concat([noisy(rng, centre, 0.1, attack="dgba", seed=i) for i, centre in enumerate((10, 20, 60))])
    found = interval(over_seeds(frame))
    assert found["ci_low"].item() < 15, "all draws of the first seeds"
    assert found["ci_high"].item() > 50


def test_differences_between_attacks_stay_paired_over_seeds() -> None:
    """Seeds that differ by tens of points do not blur a constant difference between two attacks."""
    centres = (10, 20, 60)
    a, b = (
        over_seeds(
            pd.concat(
                [noisy(np.random.default_rng(i), c + more, 5, attack=name, seed=i) for i, c in enumerate(centres)]
            )
        )
        for name, more in (("dgba", 2.0), ("total", 0.0))
    )
    found = paired_difference(a, b)
    assert found[["diff", "ci_low", "ci_high"]].to_numpy() == pytest.approx(np.full((1, 3), 2.0))


def clean(values: dict[tuple[str, str], float], **identity: object) -> list:
    return rows(values, **(NONE | identity))


def test_accuracy_lost_by_hand() -> None:
    single = clean({("segmentation", "miou"): 0.5, ("depth", "abs_err"): 0.4}, sharing="independent")
    shared = clean({("segmentation", "miou"): 0.4, ("depth", "abs_err"): 0.5}, sharing="all_shared")
    frame = wide(
        single, shared, rows({("segmentation", "miou"): 0.1, ("depth", "abs_err"): 9.0}, sharing="all_shared")
    )
    result = accuracy_lost(frame, "independent")
    by_level = dict(zip(result.index.get_level_values("sharing"), result[0], strict=True))
    assert by_level == pytest.approx({"independent": 0, "all_shared": (20 + 25) / 2})


def test_accuracy_lost_to_adversarial_training_compares_equal_trees_and_seeds() -> None:
    parts = [
        clean({("segmentation", "miou"): value}, training=training, sharing=sharing, tree=sharing, seed=seed)
        for (training, sharing, seed, value) in [
            ("clean", "independent", 0, 0.5),
            ("clean", "all_shared", 0, 0.8),
            ("adversarial-dgba", "all_shared", 0, 0.6),
            ("adversarial-dgba", "all_shared", 1, 0.6),
        ]
    ]
    result = accuracy_lost(wide(*parts), "clean").reset_index()
    robust = result[result["training"] != "clean"].set_index("seed")
    assert robust.loc[0, 0] == pytest.approx(25)
    assert robust[0].isna()[1]
    assert "no clean result" in robust.loc[1, "status"]
