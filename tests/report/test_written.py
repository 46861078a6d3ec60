"""Files of which nothing has changed are not written again; whatever has, they are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlbench import report
from mtlbench.metrics import PAPER_BATCH
from mtlbench.report import gathering
from mtlbench.report.layout import Layout
from mtlbench.report.written import Written, stamp_of
from mtlbench.storage.outputs import Outputs
from tests.report.stores import age, cell, save


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    outputs = Outputs(tmp_path_factory.mktemp("made"))
    save(outputs.store, [cell(), cell("total", eps=4.0, harm=0.2)])
    age(outputs.store.folder)
    report.rebuild(outputs, PAPER_BATCH)
    return outputs


@pytest.fixture
def outputs(made: Outputs, tmp_path: Path) -> Outputs:
    """A copy of a store with its tables."""
    return Outputs(Path(shutil.copytree(made.path, tmp_path / "outputs")))


def states(outputs: Outputs) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in outputs.tables.iterdir()}


def test_nothing_is_written_again(outputs: Outputs) -> None:
    before = states(outputs)
    report.rebuild(outputs, PAPER_BATCH)
    assert states(outputs) == before


@pytest.mark.parametrize("name", ["arp.tex", "metrics.csv"])
@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("1")])
def test_a_file_that_somebody_changed(outputs: Outputs, name: str, change: Callable[[Path], object]) -> None:
    before = (outputs.tables / name).read_bytes()
    change(outputs.tables / name)
    report.rebuild(outputs, PAPER_BATCH)
    assert (outputs.tables / name).read_bytes() == before


@pytest.mark.parametrize("note", ["", "[]", '{"stamp": 1, "files": []}'])
def test_a_note_that_we_did_not_write(outputs: Outputs, note: str) -> None:
    (outputs.tables / ".tables.json").write_text(note)
    before = states(outputs)["arp.csv"]
    report.rebuild(outputs, PAPER_BATCH)
    assert states(outputs)["arp.csv"][0] != before[0]


@pytest.mark.parametrize(("scores", "layout"), [("paper", Layout()), ("standard", Layout(caption=False))])
def test_other_options(outputs: Outputs, scores: str, layout: Layout) -> None:
    before = (outputs.tables / "arp.tex").read_bytes()
    report.rebuild(outputs, PAPER_BATCH, scores=scores, layout=layout)
    assert (outputs.tables / "arp.tex").read_bytes() != before


def test_a_new_cell(outputs: Outputs) -> None:
    new = cell("total", eps=8.0, harm=0.4)
    save(outputs.store, [cell(), new])
    report.rebuild(outputs, PAPER_BATCH)
    assert new.key in (outputs.tables / "arp.csv").read_text()


def test_numbers_that_the_code_of_a_plugin_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be others although no cell has changed."""
    outputs = Outputs(tmp_path)
    outputs.store.save(cell())
    monkeypatch.setattr(gathering, "keeps", lambda cell: False)
    found = report.collect(outputs, PAPER_BATCH, outputs.store.keys())
    before = stamp_of(found)
    found.gathered.index.db.execute("UPDATE metric SET attacked = attacked + 1")
    assert stamp_of(found) != before


def test_a_file_that_only_has_to_be_there(tmp_path: Path) -> None:
    made = Written(tmp_path, tmp_path / "note", "stamp")
    plot = tmp_path / "plot.svg"
    plot.touch()
    made.there([plot])
    made.keep()
    assert made.holds()
    plot.unlink()
    assert not made.holds()
