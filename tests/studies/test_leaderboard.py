"""The leaderboard: one row a model, the strongest attack, ranks with ties."""

from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mtlbench.report import collect
from mtlbench.report.pivot import Pivot
from mtlbench.report.studies import study_pivot
from mtlbench.report.text import show
from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.store import Cell
from mtlbench.studies import Evidence
from mtlbench.studies.leaderboard import leaderboard
from tests.report.page import cells


def model(damage: float, name: str, noise: float = 0.05, **identity: Any) -> list[Cell]:
    """The clean cell and one attack on a model of this name."""
    about = {"model": name, "weights": name.ljust(24, "0"), **identity}
    return [cells.clean(noise=noise, **about), cells.cell(damage, noise=noise, **about)]


def board(*made: Cell, scores: str = "standard") -> pd.DataFrame:
    found = leaderboard(Evidence(metrics_frame(made), made)).tables[0].frame
    return found[found["scores"] == scores].set_index("model")


def test_lower_arp_is_the_better_rank() -> None:
    found = board(*model(0.9, "weak"), *model(0.2, "strong"), *model(0.5, "middle"))
    assert found["rank_eps8"].to_dict() == {"strong": 1, "middle": 2, "weak": 3}


def test_the_best_is_the_first_row() -> None:
    assert list(board(*model(0.9, "weak"), *model(0.2, "strong")).index) == ["strong", "weak"]


def test_models_that_the_images_do_not_tell_apart_share_a_rank() -> None:
    """Of other images, whose intervals overlap."""
    found = board(*model(0.50, "a", noise=0.3), *model(0.52, "b", noise=0.3, fingerprint="0" * 24))
    assert found["rank_eps8"].tolist() == [1, 1]


def test_a_paired_difference_tells_apart_what_overlaps() -> None:
    """The same noise on the same images: intervals overlap, but the difference is the same in every sample."""
    found = board(*model(0.50, "a", noise=0.3), *model(0.52, "b", noise=0.3))
    assert found["arp_eps8_high"]["a"] > found["arp_eps8_low"]["b"]
    assert found["rank_eps8"].to_dict() == {"a": 1, "b": 2}


def test_the_strongest_of_the_attacks_counts() -> None:
    single = cells.cell(0.7, attack="total", objective={"name": "total"})
    found = board(cells.clean(), cells.cell(0.4), single).iloc[0]
    assert (found["attack_eps8"], found["attacks_eps8"]) == ("total, pgd 10", 2)


def printed(*made: Cell) -> Pivot:
    return study_pivot(leaderboard(Evidence(metrics_frame(made), made)).tables[0], "standard")


def test_people_see_a_row_for_each_model_and_eps_the_best_first() -> None:
    total = cells.cell(0.7, attack="total", objective={"name": "total"}, model="a", weights="a".ljust(24, "0"))
    weaker = cells.cell(0.1, eps=4.0, model="a", weights="a".ljust(24, "0"))
    made = printed(*model(0.5, "a"), total, weaker, *model(0.2, "b"))
    assert made.row_names == ("model", "eps")
    assert made.rows == (("b", "8"), ("a", "8"), ("a", "4"))
    names = [name for (name,) in made.columns]
    assert names[:4] == ["rank", "arp_percent", "strongest_attack", "worst_task"]
    texts = [[entry.text if entry else "" for entry in row] for row in made.entries]
    assert [row[names.index("rank")] for row in texts] == ["1", "2", "1"]
    assert [row[names.index("strongest_attack")] for row in texts] == [
        "dgba, pgd 10 (of 1)",
        "total, pgd 10 (of 2)",
        "dgba, pgd 10 (of 1)",
    ]
    assert not any("cell" in name or "attacks_" in name for name in names)


def test_what_people_see_fits_into_a_log() -> None:
    """Ten columns of numbers for each eps side by side were 440 characters with two of them."""
    made = printed(cells.clean(), *(cells.cell(0.4, eps=eps) for eps in (1.0, 2.0, 4.0, 8.0)))
    text = StringIO()
    show(Console(file=text, width=1000), made)
    assert max(map(len, map(str.rstrip, text.getvalue().splitlines()))) <= 200


def test_without_an_attack_there_is_nothing_to_print() -> None:
    assert printed(cells.clean()).rows == ()


def test_every_eps_has_its_columns() -> None:
    found = board(cells.clean(), cells.cell(0.4), cells.cell(0.2, eps=4.0), cells.cell(0.1, eps=4.0, norm="l2"))
    assert {"arp_eps4", "arp_eps8", "arp_l2_eps4", "arp_l2_eps4_low", "rank_l2_eps4"} <= set(found)


def test_the_task_that_suffers_most() -> None:
    found = board(cells.clean(), cells.single("normals", 0.6, 0.1)).iloc[0]
    assert found["worst_task_eps8"] == "normals"
    assert found["worst_damage_eps8"] > 50


def test_clean_metrics_stand_beside() -> None:
    assert board(*model(0.4, "a", noise=0))["clean_depth_abs_err"].tolist() == [1.0]


def test_an_undefined_attack_is_told_and_never_the_strongest() -> None:
    found = board(cells.clean(), cells.cell(float("nan")), cells.cell(0.3, attack="total", objective={"name": "t"}))
    assert found["status"].tolist() == ["eps 8: 1 of 2 attacks undefined"]
    assert found["attack_eps8"].tolist() == ["total, pgd 10"]


def test_without_a_defined_attack_there_is_no_rank() -> None:
    found = board(*model(float("nan"), "broken"), *model(0.4, "a"))
    assert np.isnan(found["rank_eps8"]["broken"])


def test_an_alarm_is_told() -> None:
    made = model(0.4, "a")
    found = leaderboard(Evidence(metrics_frame(made), made, {made[1].key: "alarm: odd"})).tables[0].frame
    assert set(found["status"]) == {"eps 8: alarm: odd"}


def test_size_and_names_come_from_the_provenance() -> None:
    made = [
        Cell(cell.identity, {**cell.provenance, "parameters": 1234, "computed_by": "Group A"}, cell.tasks, cell.arrays)
        for cell in model(0.4, "a")
    ]
    assert board(*made)[["parameters", "computed_by"]].to_numpy().tolist() == [[1234, "Group A"]]


def test_nothing_attacked_is_an_empty_board() -> None:
    assert board(cells.clean()).empty


def test_the_index_gives_the_same_board(tmp_path: Path) -> None:
    made = [
        *model(0.5, "a"),
        *model(0.52, "b"),
        cells.single("depth", 0.9, 0.2, model="a", weights="a".ljust(24, "0")),
    ]
    stored = leaderboard(collect(cells.outputs(tmp_path, *made), 16).evidence).tables[0].frame
    found = leaderboard(Evidence(metrics_frame(made), made)).tables[0].frame
    pd.testing.assert_frame_equal(stored, found, check_dtype=False)


@pytest.mark.parametrize("most", [0, 2000])
def test_many_models_are_ranked_by_intervals_alone(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("mtlbench.studies.leaderboard"), "MOST_READ", most)  # not the function
    found = board(*model(0.9, "weak"), *model(0.2, "strong"))
    assert found["rank_eps8"].to_dict() == {"strong": 1, "weak": 2}
