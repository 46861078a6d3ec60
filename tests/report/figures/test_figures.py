"""Figures of tables: what is drawn, what a mark says, and what is not drawn."""

import math
from collections import Counter
from typing import Any

import pandas as pd
import pytest

from mtlbench.report.figures import Figure, figure, figures
from mtlbench.report.figures.drawing import descriptions
from mtlbench.report.figures.look import MOST_MARKS, MOST_PANELS
from mtlbench.studies import ARP, Axis, Matrix, Plot
from tests.report.figures.tables import tables

NAMES = ["arp", "damage", "transferability", "transferability_sharing"]
NAMES += ["normalised_transfer", "normalised_transfer_sharing"]


def by_name(*args: Any, **options: Any) -> dict[str, Figure]:
    return {found.name: found for found in figures(tables(*args, **options), "standard")}


def rows(found: Figure | None) -> list[dict[str, Any]]:
    """The values of a chart."""
    assert found is not None
    data: list[dict[str, Any]] = found.spec["data"]["values"]
    return data


def scattered(trees: int, front: int) -> Plot:
    points = [
        {"sharing": f"tree{n}", "lost": float(n), "arp_percent": 50.0 - n, "front": n < front} for n in range(trees)
    ]
    frame = pd.DataFrame(points).assign(scores="standard")
    return Plot("t", "t", frame, "scatter", Axis("lost", "lost", "%"), ARP, "sharing", front="front")


def test_a_store_has_six_figures() -> None:
    assert list(by_name()) == NAMES


def test_arp_over_eps_has_a_panel_for_each_sharing_and_a_mark_for_each_number() -> None:
    found = by_name()["arp"]
    assert {row["panel"] for row in rows(found)} == {"independent", "all_shared"}
    marks = list(descriptions(found.svg()))
    assert len(marks) == len(rows(found)) == 2 * 5 * 2
    assert marks == [row["description"] for row in rows(found)]
    assert marks[0].startswith("dgba, independent: eps 4, ARP ")


def test_one_eps_gives_dots_beside_names() -> None:
    found = by_name(eps=[8.0])["arp"]
    assert {row["y"] for row in rows(found)} >= {"dgba", "total", "single:depth"}
    assert found.description.startswith("ARP by attack: ")


def test_twenty_attacks_and_five_tasks() -> None:
    tasks = ("segmentation", "normals", "depth", "keypoints2d", "edge_texture")
    found = by_name([f"attack {n}" for n in range(15)], tasks)
    panels = Counter(row["panel"] for row in rows(found["arp"]))
    assert len(panels) == 20
    assert {row["colour"] for row in rows(found["arp"])} == {"independent", "all_shared"}
    assert {row["colour"] for row in rows(found["damage"])} == set(tasks)
    assert len(rows(found["transferability"])) == 2 * 5 * 4


def test_seeds_are_lines_of_one_colour() -> None:
    found = by_name(seeds=[0, 1, 2])["arp"]
    assert {row["line"] for row in rows(found)} == {"seed 0", "seed 1", "seed 2"}
    assert len({row["colour"] for row in rows(found)}) == 5


def test_attacks_of_one_name_are_told_apart_by_their_options() -> None:
    table = tables(["dgba"], ["a", "b"])
    other = {name: frame.assign(alpha="2") for name, frame in table.items()}
    both = {name: pd.concat([frame.assign(alpha=""), other[name]], ignore_index=True) for name, frame in table.items()}
    found = {made.name: made for made in figures(both, "standard")}
    assert {"dgba", "dgba alpha=2"} <= {row["colour"] or row["panel"] for row in rows(found["arp"])}
    assert {row["panel"].partition(", ")[2] for row in rows(found["transferability"])} == {"", "alpha=2"}


def test_long_names_of_panels_are_wrapped() -> None:
    found = by_name(["dgba"], ["a", "b"], sharings=["s" * 100, "short"])["arp"]
    (long, short) = dict.fromkeys(row["panel"] for row in rows(found))
    assert long.replace("\n", "") == "s" * 100
    assert max(map(len, long.split("\n"))) < 40
    assert short == "short"
    assert "s" * 100 in found.description


def test_what_is_nan_is_not_drawn() -> None:
    found = tables()
    found["arp"].loc[0, "arp_percent"] = math.nan
    found["arp"].loc[1, "ci_low"] = math.nan
    made = figures(found, "standard")[0]
    assert len(rows(made)) == len(found["arp"]) - 1
    assert sum("y_low" not in row for row in rows(made)) == 1
    assert "NaN" not in made.chart.to_json()


@pytest.mark.parametrize("empty", [{}, {"arp": pd.DataFrame()}, {name: frame[:0] for name, frame in tables().items()}])
def test_nothing_gives_no_figure(empty: dict[str, pd.DataFrame]) -> None:
    assert figures(empty, "standard") == []


def test_only_numbers_that_are_nan_give_no_figure() -> None:
    assert figures({"arp": tables()["arp"].assign(arp_percent=math.nan)}, "standard") == []


def test_the_other_score_set_is_not_drawn() -> None:
    assert figures(tables(), "paper") == []


def test_a_single_number_is_drawn() -> None:
    found = figures({"arp": tables()["arp"][:1]}, "standard")
    assert [len(list(descriptions(made.svg()))) for made in found] == [1]


def test_the_shared_path_is_the_axis_where_it_is_known() -> None:
    found = {made.name: made for made in figures(tables(), "standard", {"c": 0.5})}
    assert "transferability_sharing" not in found, "one value of the path gives no line"
    table = tables()
    table["transferability"]["cell"] = table["transferability"]["sharing"]
    found = {made.name: made for made in figures(table, "standard", {"independent": 0.0, "all_shared": 0.8})}
    assert "shared part of a task's path" in found["transferability_sharing"].description


def test_too_many_panels_and_marks_are_said() -> None:
    frame = pd.DataFrame(
        {"attack": [f"a{n}" for n in range(100)], "eps": 4.0, "arp_percent": 1.0, "scores": "standard"}
    )
    found = figure(Plot("many", "many", frame, "line", Axis("eps", "eps"), ARP, "attack"), "standard")
    assert len(rows(found)) == MOST_PANELS
    assert "76 more values are not drawn; the table has them." in found.description
    long = pd.concat([frame.assign(attack="a", eps=float(n)) for n in range(30)])
    found = figure(Plot("long", "long", long, "line", Axis("eps", "eps"), ARP, "attack"), "standard")
    assert len(rows(found)) == MOST_MARKS


def test_few_trees_are_colours_and_many_are_names_beside_the_front() -> None:
    found = figure(scattered(4, 2), "standard")
    assert {row["colour"] for row in rows(found)} == {"tree0", "tree1", "tree2", "tree3"}
    found = figure(scattered(19, 3), "standard")
    assert Counter(row["colour"] for row in rows(found)) == {"on the front": 3, "behind it": 16}
    marks = list(descriptions(found.svg()))
    assert marks[18] == "tree18, behind it: lost 18 %, ARP 32 %"
    assert "The dotted line joins those that no other one beats in both." in found.description


def test_a_matrix_has_numbers_in_its_cells() -> None:
    frame = pd.DataFrame(
        {"source": ["a", "b"], "destination": ["b", "a"], "ratio": [0.123, 1.5], "scores": "standard"}
    )
    plot = Matrix("m", "m", frame, Axis("source", "from"), Axis("destination", "to"), Axis("ratio", "ratio"))
    picture = figure(plot, "standard").svg()
    assert ">0.12<" in picture and ">1.50<" in picture
    assert list(descriptions(picture)) == ["b, a, ratio 0.12", "a, b, ratio 1.50"]


def test_names_are_rows_and_the_fewer_are_colours() -> None:
    frame = pd.DataFrame(
        [
            {"step": s, "attack": a, "arp_percent": 5.0, "scores": "standard"}
            for s in ("pgd", "apgd")
            for a in "abcdefgh"
        ]
    )
    found = figure(Plot("b", "b", frame, "dot", Axis("step", "step rule"), ARP, "attack"), "standard")
    assert {row["y"] for row in rows(found)} == set("abcdefgh")
    assert {row["colour"] for row in rows(found)} == {"pgd", "apgd"}
