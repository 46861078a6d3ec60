"""The printed tables of results: which there are, and what they say of undefined, doubtful and searched results."""

from collections.abc import Mapping
from math import nan
from typing import Any

import pandas as pd
import pytest

from mtlbench.errors import UsageError
from mtlbench.report.layout import Layout
from mtlbench.report.pivot import BEST, SECOND, Pivot
from mtlbench.report.pivots import pivots, printed
from mtlbench.report.where import Where
from mtlbench.scores import tables
from tests.frames import damages, wide

ON_DEPTH = {"depth": 50.0, "normals": 20.0}
ON_NORMALS = {"depth": 10.0, "normals": 40.0}
ALL = {"depth": 60.0, "normals": 50.0}


def frames(*attacks: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables of attacks: what `damages` takes, with the damage of each task as ``hurt``."""
    frame = wide(*(damages(attack.pop("hurt"), **attack) for attack in map(dict, attacks)))
    return tables(frame[~frame.index.duplicated()])


def single(target: str, hurt: dict[str, float], **identity: object) -> dict[str, object]:
    return {"attack": "single", "target": target, "hurt": hurt, **identity}


def texts(pivot: Pivot) -> dict[tuple[str, ...], list[str]]:
    shown = (["" if entry is None else entry.plain for entry in row] for row in pivot.entries)
    return dict(zip(pivot.rows, shown, strict=True))


BOTH = (single("depth", ON_DEPTH), single("normals", ON_NORMALS), {"hurt": ALL})


@pytest.fixture(scope="module")
def both() -> dict[str, pd.DataFrame]:
    return frames(*BOTH)


def test_the_attacks_on_one_task_name_it(both) -> None:
    made = pivots(both, "standard")["arp"]
    assert texts(made) == {("dgba",): ["55.0"], ("single:depth",): ["35.0"], ("single:normals",): ["25.0"]}
    assert [row[0].place for row in made.entries if row[0]] == [BEST, SECOND, 0]
    assert made.shared == (
        "dataset rooms, model tiny, training clean, seed 0, sharing all_shared, step pgd, steps 10, n_images 4"
    )


def test_damage_has_a_column_for_each_task_and_eps() -> None:
    made = pivots(frames(*BOTH, {"hurt": ALL, "eps": 4.0}), "standard")["damage"]
    assert made.columns == (("normals", "eps 4"), ("normals", "eps 8"), ("depth", "eps 4"), ("depth", "eps 8"))
    assert texts(made)[("dgba",)] == ["50.0", "50.0", "60.0", "60.0"]


def test_the_columns_of_the_users() -> None:
    found = frames(*BOTH, {"hurt": ALL, "sharing": "independent", "shared_blocks": 0})
    made = pivots(found, "standard", Layout(rows=("attack",), columns=("sharing",)))["arp"]
    assert made.columns == (("independent",), ("all_shared",))
    assert texts(made)[("dgba",)] == ["55.0", "55.0"]
    assert texts(made)[("single:depth",)] == ["", "35.0"]


def test_a_table_without_the_columns_is_not_there(both) -> None:
    layout = Layout(rows=("attack",), columns=("task",))
    found = pivots(both, "standard", layout)
    assert set(found) == {"damage", "metrics"}
    assert [pivot.name for pivot in printed(found, layout)] == ["damage"]


def test_the_matrix_of_transfer(both) -> None:
    layout = Layout(rows=("source",), columns=("destination",), tables=("transferability",))
    found = pivots(both, "standard", layout)
    (made,) = printed(found, layout)
    assert made.columns == (("normals",), ("depth",), ("mean",))
    assert texts(made) == {("normals",): ["", "0.25", "0.25"], ("depth",): ["0.40", "", "0.40"]}


def test_the_condition_selects(both) -> None:
    made = pivots(both, "standard", Layout(where=Where.parse("attack == 'single' and target != 'depth'")))
    assert texts(made["arp"]) == {("single:normals",): ["25.0"]}
    assert texts(made["transferability"]) == {("normals",): ["0.25"]}


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(rows=("atack",)), "report.rows: no result is told apart by a column atack; did you mean attack?"),
        (Layout(columns=("arp_percent",)), "report.columns: no result is told apart by a column arp_percent"),
        (Layout(where=Where.parse("epsilon == 8")), "report.where: no result is told apart by a column epsilon"),
        (Layout(rows=("task", "source")), "report: no table has all of the columns source, task"),
        (Layout(rows=("source",), tables=("arp",)), "report.tables=arp: lacks one of the columns source"),
        (Layout(where=Where.parse("eps == 99")), "report.where=eps == 99: no result meets it"),
    ],
)
def test_what_does_not_fit_is_named(both, layout: Layout, message: str) -> None:
    with pytest.raises(UsageError) as found:
        pivots(both, "standard", layout)
    assert str(found.value).startswith(message)


def test_sharing_levels_are_sorted_by_what_is_shared() -> None:
    found = frames(
        {"hurt": ALL, "sharing": "all_shared", "shared_blocks": 5, "cell": "a"},
        {"hurt": ALL, "sharing": "other", "shared_blocks": 2, "cell": "o"},
        {"hurt": ALL, "sharing": "zero", "shared_blocks": 0, "cell": "z"},
    )
    names = [row[0] for row in pivots(found, "standard")["arp"].rows]
    assert names == ["zero", "other", "all_shared"]
    paths = {"a": 0.5, "o": 0.7, "z": 0.6}
    assert [row[0] for row in pivots(found, "standard", paths=paths)["arp"].rows] == ["all_shared", "zero", "other"]


def test_the_best_weighting_is_shown_with_its_weights() -> None:
    weak = {"attack": "weighted", "target": "w1/0", "hurt": ON_DEPTH}
    strong = {"attack": "weighted", "target": "w0/1", "hurt": ALL}
    found = frames(weak, strong)
    assert texts(pivots(found, "standard")["arp"]) == {("weighted_total:best weighting",): ["55.0 w0/1"]}
    assert texts(pivots(found, "standard")["damage"]) == {("weighted_total:best weighting",): ["50.0", "60.0"]}


def test_a_task_whose_damage_is_defined_has_it_though_the_arp_has_none() -> None:
    made = pivots(frames({"hurt": {"depth": nan, "normals": 50.0}}), "standard")
    assert texts(made["arp"]) == {("dgba",): ["undefined"]}
    assert texts(made["damage"]) == {("dgba",): ["50.0", "undefined"]}
    assert made["damage"].remarks == made["arp"].remarks


BEYOND = {"depth": 150.0, "normals": 30.0}


def test_capped_arp_is_a_table_of_its_own_where_a_metric_is_capped(both) -> None:
    assert "arp_capped" not in pivots(both, "standard")
    found = pivots(frames(*BOTH, {"hurt": BEYOND, "attack": "total"}), "standard")
    assert texts(found["arp"])[("total",)] == ["90.0"]
    assert texts(found["arp_capped"])[("total",)] == ["65.0"]
    assert [row[0].place for row in found["arp_capped"].entries if row[0]] == [SECOND, 0, 0, BEST]
    assert "arp_capped" not in [pivot.name for pivot in printed(found, Layout())]


def test_capped_arp_is_printed_if_it_is_asked_for(both) -> None:
    layout = Layout(tables=("arp_capped",))
    (made,) = printed(pivots(both, "standard", layout), layout)
    assert texts(made) == {("dgba",): ["55.0"], ("single:depth",): ["35.0"], ("single:normals",): ["25.0"]}
    assert made.title.startswith("Capped ARP")


def test_the_normalised_ratio_is_shown_beside_the_ratio(both) -> None:
    found = pivots(both, "standard")
    assert texts(found["normalised_transfer"]) == {("depth",): ["0.50"], ("normals",): ["0.20"]}
    names = [pivot.name for pivot in printed(found, Layout())]
    assert names == ["arp", "transferability", "normalised_transfer"]


def test_it_says_why_it_is_undefined() -> None:
    found = frames(single("depth", ON_DEPTH), single("normals", ON_NORMALS | {"normals": 0.2}))
    made = pivots(found, "standard")["normalised_transfer"]
    assert texts(made)[("depth",)] == ["undefined"]
    assert made.remarks == ("undefined: single:normals hurts normals by 0.2 %",)


def test_without_an_attack_on_the_others_there_is_no_table_of_it() -> None:
    assert "normalised_transfer" not in pivots(frames(single("depth", ON_DEPTH)), "standard")


def test_metrics_begin_with_the_clean_ones() -> None:
    made = pivots(frames({"hurt": ALL}), "standard")["metrics"]
    assert made.columns == (("normals", "cosine_similarity"), ("depth", "delta_1.25 (%)"))
    assert texts(made) == {
        ("none", "0", "none", "0"): ["1.000", "1.000"],
        ("dgba", "8", "pgd", "10"): ["0.500", "0.400"],
    }


def test_twenty_attacks_on_five_tasks() -> None:
    tasks = ("segmentation", "depth", "normals")
    many = [{"attack": f"a{n:02}", "hurt": dict.fromkeys(tasks, 10.0 + n)} for n in range(20)]
    made = pivots(frames(*many), "standard")
    assert len(made["arp"].rows) == 20
    assert len(made["damage"].columns) == 3


def test_of_clean_results_there_are_metrics_only() -> None:
    found = frames({"hurt": ALL})
    clean = {name: frame[frame["attack"] == "none"].copy() for name, frame in found.items()}
    made = pivots(clean, "standard")
    assert set(made) == {"metrics"}
    assert printed(made, Layout()) == []
