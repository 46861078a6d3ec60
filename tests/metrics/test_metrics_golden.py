"""Every metric, relative drop and ARP of the reference implementation, from its own perturbations."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest
from torch import Tensor

from mtlbench.metrics import values
from mtlbench.metrics.measure import Measured, measure
from mtlbench.scores import arp, damage, relative_drops
from tests.golden import (
    BATCH,
    DATASETS,
    NAMES,
    golden_attacks,
    golden_batches,
    golden_metrics,
    golden_model,
    golden_numbers,
    golden_perturbations,
    golden_tasks,
)

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]


@cache
def metrics(ds, attack, scores="paper", batch=BATCH):
    """(task, metric) -> our number; `attack` None for clean."""
    tasks, model = golden_tasks(ds), golden_model(ds)
    deltas: Sequence[Tensor | int] = golden_perturbations(ds, attack) if attack else [0, 0]
    measured = Measured.join(
        [
            measure(tasks, model(x + delta), targets, masks)
            for (x, targets, masks), delta in zip(golden_batches(ds), deltas, strict=True)
        ]
    )
    statistics = {key: value.cpu().numpy() for key, value in (measured.per_image | measured.pooled).items()}
    result = values(tasks, statistics, np.ones((1, 5)), scores, batch)
    return {key: value.item() for key, value in result.items()}


@cache
def damages(ds):
    """Wide frame of the damage of every golden attack."""
    cells = [("none", 0.0, metrics(ds, None)), *((a, 8.0, metrics(ds, a)) for a in golden_attacks(ds))]
    keys = [
        {"dataset": ds, "attack": attack, "eps": eps, "task": task, "metric": metric}
        for attack, eps, found in cells
        for task, metric in found
    ]
    numbers = [value for _, _, found in cells for value in found.values()]
    return damage(relative_drops(pd.DataFrame(numbers, index=pd.MultiIndex.from_frame(pd.DataFrame(keys)))))


@pytest.mark.parametrize("ds", DATASETS)
def test_metrics_equal_those_of_the_reference(ds):
    for attack in (None, *golden_attacks(ds)):
        # Its numbers are rounded to 4 decimals.
        assert metrics(ds, attack) == pytest.approx(golden_metrics(ds, attack), abs=1e-3, rel=0), attack


@pytest.mark.parametrize("ds", DATASETS)
def test_relative_drops_and_arp_equal_those_of_the_reference(ds):
    """Theirs are fractions and negative where a task is damaged."""
    hurt = damages(ds)
    tasks = hurt.index.to_frame(index=False).assign(value=hurt[0].to_numpy())
    tasks = tasks.set_index(["attack", "task"])["value"]
    cells = arp(hurt)
    total = dict(zip(cells.index.get_level_values("attack"), cells[0], strict=True))
    for attack, theirs in golden_numbers()[ds]["attacked"].items():
        assert -total[attack] / 100 == pytest.approx(theirs["arp"], abs=1e-3, rel=0)
        for name, relative in theirs["relative"].items():
            assert -tasks[attack, NAMES[name]] / 100 == pytest.approx(relative, abs=1e-3, rel=0)


def test_the_score_sets_differ_where_the_reference_is_peculiar():
    """A class that the attack wipes out leaves the reference's mean; a batch mean needs its batches."""
    paper, standard = metrics("nyuv2", None), metrics("nyuv2", None, "standard")
    assert paper["segmentation", "miou"] > 2 * standard["segmentation", "miou"]
    for key in paper:
        if key[0] == "normals" or key[1].startswith("delta"):
            assert paper[key] == standard[key]
    attack = "pgd/dgba"
    by_batches = metrics("tiny_taxonomy", attack)["segmentation", "cross_entropy"]
    at_once = metrics("tiny_taxonomy", attack, batch=5)["segmentation", "cross_entropy"]
    assert by_batches != at_once
    assert at_once == pytest.approx(metrics("tiny_taxonomy", attack, "standard")["segmentation", "cross_entropy"])
