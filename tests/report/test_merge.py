"""`report merge=`: cells of others come in verified, and nothing of ours is touched."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlbench.errors import DataError, UsageError
from mtlbench.report.merge import merge
from mtlbench.storage import store as stores
from mtlbench.storage.claims import claimed
from mtlbench.storage.derived import Derived
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell
from tests.report import stores as stored
from tests.report.page import cells


@pytest.fixture
def theirs(tmp_path: Path) -> Outputs:
    return cells.outputs(tmp_path / "theirs", cells.clean(), cells.cell(0.5))


@pytest.fixture
def ours(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "ours")


@pytest.mark.parametrize("below", ["", "store"])
def test_new_cells_come_in(ours: Outputs, theirs: Outputs, below: str) -> None:
    merge(ours, theirs.path / below)
    assert ours.store.keys() == theirs.store.keys()


def test_their_numbers_are_the_same(ours: Outputs, theirs: Outputs) -> None:
    merge(ours, theirs.path)
    own, other = (found.store.load(cells.cell(0.5).key).arrays for found in (ours, theirs))
    assert {name: array.tobytes() for name, array in own.items()} == {n: a.tobytes() for n, a in other.items()}


def test_ours_are_not_overwritten(ours: Outputs, theirs: Outputs) -> None:
    path = cells.outputs(ours.path, cells.cell(0.4)).store.path(cells.cell(0.4).key)
    before = path.read_bytes()
    assert merge(ours, theirs.path).present == 1
    assert path.read_bytes() == before


def test_the_host_is_not_taken_over(ours: Outputs, theirs: Outputs) -> None:
    merge(ours, theirs.path)
    assert "host" not in ours.store.load(cells.cell(0.5).key).provenance


def test_who_computed_it_is_recorded(ours: Outputs, theirs: Outputs) -> None:
    merge(ours, theirs.path, "Group A")
    assert ours.store.load(cells.cell(0.5).key).provenance["computed_by"] == "Group A"


def test_who_computed_it_is_not_replaced(ours: Outputs, theirs: Outputs, tmp_path: Path) -> None:
    merge(ours, theirs.path, "Group A")
    third = Outputs(tmp_path / "third")
    merge(third, ours.path, "Group B")
    assert third.store.load(cells.cell(0.5).key).provenance["computed_by"] == "Group A"


def refused(ours: Outputs, theirs: Outputs) -> str:
    """The reason for the one cell that is not taken in; the clean one is."""
    found = merge(ours, theirs.path)
    assert (len(found.taken), len(found.refused)) == (1, 1)
    with pytest.raises(DataError, match="1 cells were not taken in"):
        found.require_good()
    return found.refused[0]


@pytest.mark.parametrize("at", [100, -100])
def test_a_damaged_file_is_named(ours: Outputs, theirs: Outputs, at: int) -> None:
    path = theirs.store.path(cells.cell(0.5).key)
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)
    assert refused(ours, theirs).startswith(f"{path}: ")


def test_a_cell_under_the_name_of_another_is_damaged(ours: Outputs, theirs: Outputs) -> None:
    path = theirs.store.path(cells.cell(0.5).key)
    path.rename(theirs.store.path("a" * 24))
    assert "content does not match its checksum" in refused(ours, theirs)


def test_a_link_is_not_followed(ours: Outputs, theirs: Outputs, tmp_path: Path) -> None:
    path = theirs.store.path(cells.cell(0.5).key)
    path.symlink_to(path.rename(tmp_path / "elsewhere.npz"))
    assert "a symbolic link" in refused(ours, theirs)


def without(cell: Cell, name: str) -> Cell:
    return replace(cell, arrays={n: array for n, array in cell.arrays.items() if n != name})


STRANGE: dict[str, Cell] = {
    "eps": cells.cell(0.5, eps="8"),
    "n_images": cells.cell(0.5, n_images=-1),
    "n_images is": cells.cell(0.5, n_images=1.5),
    "model": cells.cell(0.5, model=["tiny"]),
    "cannot be printed": cells.cell(0.5, objective={"name": "\x1b[2J"}),
    "attack": cells.cell(0.5, attack="dgba\x1b]0;title\x07"),
    "cannot be scored": without(cells.cell(0.5), "depth/depth_sums"),
    "10 losses": replace(cells.cell(0.5), arrays={**cells.cell(0.5).arrays, "losses": np.ones((10, 3))}),
}
"""Words of the reason -> an intact cell that is not what mtlbench computes."""


@pytest.mark.parametrize("says", list(STRANGE))
def test_an_intact_cell_of_other_content_is_refused(ours: Outputs, tmp_path: Path, says: str) -> None:
    strange = cells.outputs(tmp_path / "strange", cells.clean(), STRANGE[says])
    assert says in refused(ours, strange)


@pytest.mark.parametrize(
    "about", [{"versions": "1.0"}, {"recipe": 3}, {"gradients_per_image": "many"}, {"time": "\x1b"}]
)
def test_strange_provenance_is_dropped(ours: Outputs, tmp_path: Path, about: dict[str, Any]) -> None:
    made = replace(cells.cell(0.5), provenance=about)
    merge(ours, cells.outputs(tmp_path / "theirs", made).path)
    assert ours.store.load(made.key).provenance == {}


def test_another_result_version_is_no_error(ours: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(stores, "RESULT_VERSION", 0)
        theirs = cells.outputs(tmp_path / "theirs", cells.cell(0.5))
    found = merge(ours, theirs.path)
    found.require_good()
    assert (found.old, found.taken) == (1, [])


def test_what_is_computed_here_right_now_is_left(
    ours: Outputs, theirs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claimed(ours.store.path(cells.cell(0.5).key), "test"):
        assert merge(ours, theirs.path).busy == 1


def test_our_own_store_is_refused(theirs: Outputs) -> None:
    with pytest.raises(UsageError, match="is the store that would take the cells in"):
        merge(theirs, theirs.path)


def test_a_folder_without_results_is_refused(ours: Outputs, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no stored results there"):
        merge(ours, tmp_path / "nothing")


def test_the_command_takes_in_reports_and_names_what_it_refused(
    call: Callable[..., Any], theirs: Outputs, tmp_path: Path
) -> None:
    theirs.store.path("a" * 24).write_bytes(b"nothing")
    found = call("report", f"merge={theirs.path}", "computed_by=Group A")
    assert found.status == 3
    assert "2 cells taken in" in found.out
    assert "a" * 24 in found.err
    assert "Group A" in (tmp_path / "outputs" / "tables" / "leaderboard.csv").read_text()


def test_the_same_again_takes_nothing(ours: Outputs, theirs: Outputs) -> None:
    merge(ours, theirs.path)
    assert merge(ours, theirs.path).taken == []


def test_it_never_writes_to_the_other_store(ours: Outputs, theirs: Outputs) -> None:
    before = {path: path.stat().st_mtime_ns for path in theirs.path.rglob("*")}
    merge(ours, theirs.path)
    assert {path: path.stat().st_mtime_ns for path in theirs.path.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("merge=theirs", "compare=[a,b]"), "compare=['a', 'b'] merge=theirs: expected one of them"),
        (("computed_by=me",), "computed_by=me: names who computed the cells of merge=FOLDER"),
        (("merge=theirs", "computed_by=3"), "computed_by=3: expected a name"),
        (("merge=nowhere",), "merge=nowhere: no stored results there"),
    ],
)
def test_wrong_options(call: Callable[..., Any], theirs: Outputs, arguments: tuple[str, ...], says: str) -> None:
    found = call("report", *arguments)
    assert (found.status != 0, says in found.err) == (True, True)


# What is derived from them

NETWORK = list(stored.network(2.0))


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """A store of others whose files hold derived rows."""
    outputs = Outputs(tmp_path_factory.mktemp("derived"))
    stored.save(outputs.store, NETWORK)
    return outputs


@pytest.mark.parametrize("here", [0, 1])
def test_rows_are_derived_once(ours: Outputs, derived: Outputs, here: int) -> None:
    """Also of those whose clean cell, the first one, was here before."""
    stored.save(ours.store, NETWORK[:here])
    merge(ours, derived.path)
    for one in NETWORK:
        own, other = (outputs.store.derived(one.key) for outputs in (ours, derived))
        assert (own.rows["metrics"], own.rows["arp"]) == (other.rows["metrics"], other.rows["arp"])
        np.testing.assert_array_equal(own.replicates, other.replicates)


def test_rows_of_others_are_not_believed(ours: Outputs, derived: Outputs, tmp_path: Path) -> None:
    liar, one = Outputs(tmp_path / "liar"), NETWORK[0]
    kept = derived.store.derived(one.key)
    forged = {**kept.rows, "metrics": [[*row[:-3], 0.5, 0.5, 0.0] for row in kept.rows["metrics"]]}
    liar.store.save(one, Derived(kept.settings, forged, kept.replicates))
    merge(ours, liar.path)
    assert ours.store.derived(one.key).rows["metrics"] == kept.rows["metrics"]
