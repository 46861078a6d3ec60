"""Tables beside attacks that go on: rebuilt until they tell of every cell, but never for as long as others work."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mtlbench import report
from mtlbench.storage.claims import claim_of
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, Store


@pytest.fixture
def rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rebuild while `changes` cells are finished, one during each pass; the number of passes."""

    def run(changes: int) -> int:
        passes, store = 0, Store(tmp_path / "store")

        def collect(outputs: Outputs, paper_batch: int, keys: set[str] | None) -> SimpleNamespace:
            nonlocal passes
            passes += 1
            if passes <= changes:
                store.save(Cell({"eps": passes}, {}, {}, {}))
            return SimpleNamespace(empty=False, write=lambda scores, layout: None)

        monkeypatch.setattr(report, "collect", collect)
        report.rebuild(Outputs(tmp_path), 1)
        return passes

    return run


@pytest.mark.parametrize("changes", [0, 1, 3])
def test_again_while_cells_come(rebuild, changes: int) -> None:
    assert rebuild(changes) == changes + 1


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    assert report.rebuild(Outputs(tmp_path), 1).empty
    assert list(tmp_path.iterdir()) == []


def test_not_while_others_are_at_work(rebuild, tmp_path: Path) -> None:
    """They write the tables when they are done; a report must end."""
    claim = claim_of(tmp_path / "store" / "cell.npz")
    claim.mkdir(parents=True)
    (claim / "elsewhere~b00t~1~17~99").touch()
    assert rebuild(100) == 1
