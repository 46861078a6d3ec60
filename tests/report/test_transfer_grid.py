"""The terminal's tables of transfer: the ratio of the paper, and the normalised one where there is one."""

import pytest

from mtlbench.report.terminal import normalised_grid, show_summary
from mtlbench.scores import tables
from tests.frames import damages, wide

ON_DEPTH = {"depth": 50.0, "normals": 20.0}
ON_NORMALS = {"depth": 10.0, "normals": 40.0}


def frames(*attacks: tuple[str, dict[str, float]]):
    frame = wide(*(damages(values, attack="single", target=target) for target, values in attacks))
    return tables(frame[~frame.index.duplicated()])


def test_the_normalised_ratio_is_shown_beside_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    found = frames(("depth", ON_DEPTH), ("normals", ON_NORMALS))
    assert normalised_grid(found["transferability"], "standard").rows == {
        ("depth",): {8.0: "0.50"},
        ("normals",): {8.0: "0.20"},
    }
    show_summary(found, "standard")
    shown = capsys.readouterr().out
    assert shown.index("Transferability ratio: ") < shown.index("Normalised transfer: ")


def test_it_says_why_it_is_undefined() -> None:
    found = frames(("depth", ON_DEPTH), ("normals", ON_NORMALS | {"normals": 0.2}))
    grid = normalised_grid(found["transferability"], "standard")
    assert grid.rows[("depth",)] == {8.0: "undefined"}
    assert grid.remarks == ("undefined: single:normals hurts normals by 0.2 %",)


def test_without_an_attack_on_the_others_there_is_no_table_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(frames(("depth", ON_DEPTH)), "standard")
    shown = capsys.readouterr().out
    assert "Transferability ratio: " in shown
    assert "Normalised transfer: " not in shown
