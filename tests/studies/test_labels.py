"""What an attack is called in studies."""

import json
from typing import Any

import pandas as pd

from mtlbench.studies.base import labels

BOUNDED, PUBLISHED = {"depth": ["delta_1.25"]}, {"depth": ["abs_err", "rel_err"]}


def keys(*objectives: dict[str, Any], dataset: str = "rooms") -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "attack": one["name"], "target": "all", "options": json.dumps({"objective": one})}
        for one in objectives
    ]
    return pd.DataFrame(rows, index=[7] * len(rows))


def test_options_belong_to_a_label() -> None:
    assert labels(keys({"name": "total"}, {"name": "dgba", "alpha": 0.5})) == ["total", "dgba(alpha=0.5)"]


def test_metrics_that_an_attack_climbs_are_said_where_others_are_climbed_too() -> None:
    """All metrics of all tasks are a long text, and mostly those that are scored."""
    one = {"name": "smooth_arp", "metrics": PUBLISHED}
    assert labels(keys(one, one, {"name": "smooth_log", "metrics": BOUNDED})) == [
        "smooth_arp",
        "smooth_arp",
        "smooth_log",
    ]
    assert labels(keys(one, one | {"metrics": BOUNDED}, {"name": "dgba"})) == [
        "smooth_arp[depth*abs_err/rel_err]",
        "smooth_arp[depth*delta_1.25]",
        "dgba",
    ]


def test_another_dataset_has_other_metrics() -> None:
    both = pd.concat([keys({"name": "auto", "metrics": m}, dataset=d) for d, m in (("a", BOUNDED), ("b", PUBLISHED))])
    assert labels(both) == ["auto", "auto"]
    assert labels(both.drop(columns="dataset")) == ["auto[depth*delta_1.25]", "auto[depth*abs_err/rel_err]"]
