"""The index says what the cells say: exactly, whatever is there of it, and it reads only what has changed."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench import report
from mtlbench.constants import SAMPLE_OF
from mtlbench.errors import DamagedCellError
from mtlbench.metrics import PAPER_BATCH
from mtlbench.report import gathering
from mtlbench.report import index as indexing
from mtlbench.report.csv_text import csv_text
from mtlbench.report.evidence import StoredCells
from mtlbench.report.families import renew_transfer
from mtlbench.report.gathering import gather
from mtlbench.report.index import rows_of
from mtlbench.scores import tables
from mtlbench.scores.alarms import alarms, arp_of_cells, checks_frame, numbers_of
from mtlbench.scores.converged import of_all_images, with_gains
from mtlbench.scores.frame import details, metrics_frame
from mtlbench.storage.derived import Derived
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell, Store
from mtlbench.studies import STUDIES, Evidence
from tests.report.stores import age, cell, network, networks, save

CELLS = sorted(networks(), key=lambda one: one.key)
SCHEMAS = Path(__file__).parents[1] / "schemas"
Frames = dict[str, pd.DataFrame]


def as_before(cells: list[Cell], paper_batch: int = PAPER_BATCH) -> Frames:
    """The tables as they were made before there was an index: of all arrays at once."""
    every = metrics_frame(cells, paper_batch=paper_batch)
    metrics = of_all_images(every)
    checks = with_gains(checks_frame([numbers_of(one) for one in cells]), every)
    raised = alarms(checks, arp_of_cells(metrics))
    return tables(metrics, raised, {one.key: details(one) for one in cells if SAMPLE_OF not in one.identity}) | {
        "checks": checks
    }


def found(outputs: Outputs, paper_batch: int = PAPER_BATCH) -> Frames:
    one = report.collect(outputs, paper_batch)
    return dict(one.tables) | {"checks": one.checks}


def same(some: Frames, others: Frames) -> None:
    assert some.keys() == others.keys()
    for name, frame in some.items():
        pd.testing.assert_frame_equal(frame, others[name], check_exact=True, obj=name)


@pytest.fixture(scope="module")
def expected() -> Frames:
    return as_before(CELLS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    outputs = Outputs(tmp_path_factory.mktemp("made"))
    save(outputs.store, networks())
    age(outputs.store.folder)
    gather(outputs.store, outputs.index, PAPER_BATCH)
    return outputs


@pytest.fixture
def outputs(made: Outputs, tmp_path: Path) -> Outputs:
    """A copy of a store with its index, up to date."""
    return Outputs(Path(shutil.copytree(made.path, tmp_path / "outputs")))


def read(outputs: Outputs) -> int:
    return gather(outputs.store, outputs.index, PAPER_BATCH).read


# The same numbers


def test_derived_rows_give_the_tables_of_the_arrays_bit_for_bit(outputs: Outputs, expected: Frames) -> None:
    same(found(outputs), expected)
    assert all(outputs.store.derived(key) for key in list(outputs.store.keys()))


def test_so_do_cells_without_derived_rows(tmp_path: Path, expected: Frames) -> None:
    save(Outputs(tmp_path).store, networks(), plain=True)
    same(found(Outputs(tmp_path)), expected)
    same(found(Outputs(tmp_path)), expected)


def test_rows_of_other_settings_are_derived_again(tmp_path: Path) -> None:
    cells = list(network(2.0))
    save(Outputs(tmp_path).store, cells)
    expected = as_before(sorted(cells, key=lambda one: one.key), paper_batch=4)
    same(found(Outputs(tmp_path), paper_batch=4), expected)


@pytest.mark.usefixtures("result_version_1")
@pytest.mark.parametrize("schema", ["3", "4"])
def test_stores_of_old_schemas(tmp_path: Path, schema: str) -> None:
    shutil.copytree(SCHEMAS / schema / "store", tmp_path / "store")
    store = Store(tmp_path / "store")
    same(found(Outputs(tmp_path)), as_before(list(store.readable(lambda error: None))))
    assert not any(store.derived(key) for key in list(store.keys()))


def test_a_clean_cell_that_came_back_with_other_numbers(outputs: Outputs) -> None:
    """The attacked cells hold rows against the old one, which no longer count."""
    clean = next(one for one in CELLS if one.identity["attack"] == "none")
    other = replace(clean, arrays=cell(harm=0.05).arrays)
    save(outputs.store, [other])
    cells = [other if one.key == other.key else one for one in CELLS]
    same(found(outputs), as_before(cells))


def test_several_clean_cells_of_one_model(tmp_path: Path) -> None:
    cells = [*network(2.0), replace(cell(), identity={**cell().identity, "note": 1})]
    save(Outputs(tmp_path).store, cells)
    same(found(Outputs(tmp_path)), as_before(sorted(cells, key=lambda one: one.key)))


def test_attacks_without_a_clean_cell(tmp_path: Path) -> None:
    cells = [one for one in network(2.0) if one.identity["attack"] != "none"]
    save(Outputs(tmp_path).store, cells)
    same(found(Outputs(tmp_path)), as_before(sorted(cells, key=lambda one: one.key)))


def test_of_some_cells_only(outputs: Outputs) -> None:
    """As at the end of an attack, which writes no index."""
    before = outputs.index.read_bytes()
    some = [one for one in CELLS if one.identity["seed"] == 0]
    one = report.collect(outputs, PAPER_BATCH, {one.key for one in some})
    same(dict(one.tables) | {"checks": one.checks}, as_before(some))
    assert outputs.index.read_bytes() == before


# What is read


def test_only_new_changed_and_removed_files_are_read(outputs: Outputs) -> None:
    assert read(outputs) == 0
    new = cell("total", eps=8.0, harm=0.7)
    save(outputs.store, [new])
    age(outputs.store.folder)
    assert read(outputs) == 1
    outputs.store.save(replace(new, arrays=cell(harm=0.6).arrays))  # under force
    assert read(outputs) == 1
    gone = next(one for one in CELLS if one.identity["attack"] == "single")
    outputs.store.path(gone.key).unlink()
    age(outputs.store.folder)
    read(outputs)
    assert read(outputs) == 0
    left = [one for one in CELLS if one is not gone] + [outputs.store.load(new.key)]
    same(found(outputs), as_before(sorted(left, key=lambda one: one.key)))


def test_a_file_that_may_still_change_is_read_again(outputs: Outputs) -> None:
    """Two writes can have the same time and size."""
    outputs.store.path(CELLS[0].key).touch()
    assert [read(outputs), read(outputs)] == [1, 1]


def test_a_new_cell_has_only_its_family_evaluated(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    replicates = gathering._Gathering._replicates_of

    def counting(self, key: str, *more: str) -> np.ndarray:
        asked.append(key)
        return replicates(self, key, *more)

    monkeypatch.setattr(gathering._Gathering, "_replicates_of", counting)
    new = cell("single", "depth", 4.0, 0.5, sharing="independent")
    clean = next(one for one in CELLS if one.identity["sharing"] == "independent" and one.identity["eps"] == 0)
    save(outputs.store, [clean, new])
    found(outputs)
    family = [one for one in (*CELLS, new) if (one.identity["attack"], one.identity["eps"]) == ("single", 4.0)]
    family = [one for one in family if one.identity["seed"] == 0]
    assert set(asked) >= {one.key for one in family}
    assert not {one.key for one in CELLS if one.identity["seed"] == 1} & set(asked)


def _add(store: Store) -> None:
    save(store, [one for one in network(8.0, sharing="independent") if one.identity["target"] != "depth"])


def _remove(store: Store) -> None:
    store.path(next(one.key for one in CELLS if one.identity["attack"] == "single")).unlink()


def _change(store: Store) -> None:
    one = next(one for one in CELLS if one.identity["target"] == "depth")
    clean = next(two for two in CELLS if two.identity["weights"] == one.identity["weights"])
    save(store, [clean, replace(one, arrays=cell(harm=0.6).arrays)])


@pytest.mark.parametrize("change", [_add, _remove, _change])
def test_tables_of_an_index_brought_up_to_date_are_those_of_a_new_one(
    outputs: Outputs, change: Callable[[Store], None]
) -> None:
    change(outputs.store)
    report.rebuild(outputs, PAPER_BATCH)
    files = {path.name: path.read_bytes() for path in outputs.tables.glob("[!.]*")}
    outputs.index.unlink()
    shutil.rmtree(outputs.tables)
    report.rebuild(outputs, PAPER_BATCH)
    assert {path.name: path.read_bytes() for path in outputs.tables.glob("[!.]*")} == files


def test_replicates_that_do_not_wait_in_memory_are_read_from_the_files(
    tmp_path: Path, expected: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    replicates = Store.replicates

    def counting(self: Store, key: str, checksum: str) -> np.ndarray | None:
        asked.append(key)
        return replicates(self, key, checksum)

    monkeypatch.setattr(Store, "replicates", counting)
    monkeypatch.setattr(gathering, "REPLICATES_KEPT", 0)
    save(Outputs(tmp_path).store, networks())
    same(found(Outputs(tmp_path)), expected)
    assert {*asked} == {one.key for one in CELLS if one.identity["attack"] == "single"}


def test_other_replicates_than_those_that_were_checked_are_not_believed(outputs: Outputs) -> None:
    single = next(one for one in CELLS if one.identity["attack"] == "single")
    kept = outputs.store.derived(single.key)
    assert kept is not None
    assert kept.replicates is not None
    assert kept.checksum is not None
    again = outputs.store.replicates(single.key, kept.checksum)
    np.testing.assert_array_equal(again, kept.replicates, strict=True)
    assert outputs.store.replicates(single.key, "0" * 64) is None
    path = outputs.store.path(single.key)
    data = bytearray(path.read_bytes())
    data[data.index(kept.replicates.tobytes("A")) + 100] ^= 1
    path.write_bytes(data)
    assert outputs.store.replicates(single.key, kept.checksum) is None
    outputs.store.save(single)
    assert outputs.store.replicates(single.key, kept.checksum) is None


def test_cells_without_arrays_are_chosen_by_key_kind_and_what_is_named(outputs: Outputs) -> None:
    every = StoredCells(gather(outputs.store, outputs.index, PAPER_BATCH).index.db)
    clean = {one.key for one in CELLS if one.identity["attack"] == "none"}
    some = sorted({one.key for one in CELLS} - clean)[:2]
    assert [one.key for one in every] == [one.key for one in every] == [one.key for one in CELLS]
    assert {one.key for one in replace(every, keys=some)} == clean | {*some}
    assert {one.key for one in replace(every, clean=True)} == clean
    assert {one.identity["sharing"] for one in replace(every, naming="independent")} == {"independent"}


def test_equal_texts_of_rows_are_kept_once(outputs: Outputs) -> None:
    db = gather(outputs.store, outputs.index, PAPER_BATCH).index.db
    rows = rows_of(db, "SELECT file, split || '!', eps FROM cell WHERE eps = ?", (2.0,))
    assert sorted(rows) == sorted(db.execute("SELECT file, split || '!', eps FROM cell WHERE eps = 2"))
    assert len({id(row[1]) for row in rows}) == 1 < len(rows)


# Whatever becomes of the file


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILT: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "one bit": _flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("SQLite format 4"),
    "a folder": _folder,
    "no checksum": lambda path: indexing.checksum_file(path).unlink(),
    "a checksum that is no text": lambda path: indexing.checksum_file(path).write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_index_is_made_anew(outputs: Outputs, expected: Frames, how: str) -> None:
    SPOILT[how](outputs.index)
    same(found(outputs), expected)


@pytest.mark.parametrize(
    ("what", "new"), [("FORMAT", indexing.FORMAT + 1), ("TABLES", f"{indexing.TABLES}CREATE TABLE more (id INTEGER);")]
)
def test_an_index_of_another_format_is_made_anew(
    outputs: Outputs, expected: Frames, monkeypatch: pytest.MonkeyPatch, what: str, new: object
) -> None:
    monkeypatch.setattr(indexing, what, new)
    assert read(outputs) == len(CELLS)
    same(found(outputs), expected)


def test_where_nothing_can_be_written(outputs: Outputs, expected: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    outputs.index.unlink()
    monkeypatch.setattr(indexing, "temporary", refuse)
    same(found(outputs), expected)
    assert not outputs.index.exists()


def test_where_the_disk_is_full(outputs: Outputs, expected: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed in the middle of the work."""
    before = outputs.index.read_bytes()
    outputs.store.path(CELLS[0].key).touch()
    renew = renew_transfer

    def fail(*_: object) -> None:
        monkeypatch.setattr(gathering, "renew_transfer", renew)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(gathering, "renew_transfer", fail)
    same(found(outputs), expected)
    assert outputs.index.read_bytes() == before


def test_a_report_that_is_killed_leaves_the_old_index(
    outputs: Outputs, expected: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outputs.index.read_bytes()
    files = set(outputs.store.folder.iterdir())
    outputs.store.path(CELLS[0].key).touch()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(gathering, "renew_transfer", stop)
        found(outputs)
    assert outputs.index.read_bytes() == before
    assert set(outputs.store.folder.iterdir()) == files
    same(found(outputs), expected)


def test_two_reports_at_once(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a copy of its own; the last one to end leaves its index."""
    inner: list[Frames] = []
    renew = renew_transfer
    new = cell("total", eps=8.0, harm=0.7)
    expected = as_before(sorted([*CELLS, new], key=lambda one: one.key))
    save(outputs.store, [new])
    age(outputs.store.folder)

    def meanwhile(*arguments: Any) -> None:
        monkeypatch.setattr(gathering, "renew_transfer", renew)
        monkeypatch.setattr(indexing, "temporary", lambda path: path.with_name(".another.tmp"))
        inner.append(found(outputs))
        renew(*arguments)

    monkeypatch.setattr(gathering, "renew_transfer", meanwhile)
    same(found(outputs), expected)
    same(inner[0], expected)
    assert read(outputs) == 0


# Damage


def test_a_damaged_cell_is_found_and_reported_every_time(outputs: Outputs) -> None:
    path = outputs.store.path(CELLS[0].key)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"losses.npy") + 60] ^= 4
    path.write_bytes(damaged)
    rest = as_before(CELLS[1:])
    for _ in range(2):
        one = report.collect(outputs, PAPER_BATCH)
        assert [type(error) for error in one.refused] == [DamagedCellError]
        assert str(path) in str(one.refused[0])
        same(dict(one.tables) | {"checks": one.checks}, rest)


def test_no_flipped_bit_gives_other_rows(outputs: Outputs) -> None:
    """Of the whole file, of derived rows too; those that are not found have no effect."""
    path = outputs.store.path(CELLS[0].key)
    content, kept = path.read_bytes(), outputs.store.derived(CELLS[0].key)
    assert kept is not None
    refused = 0
    for at in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        now = outputs.store.derived(CELLS[0].key)
        assert now is None or (now.rows, now.settings, now.content) == (kept.rows, kept.settings, kept.content), at
        refused += now is None
    assert refused > len(range(0, len(content), 97)) - 5


@pytest.mark.parametrize("name", ["cell", "checks", "names", "metrics", "damages"])
def test_rows_that_we_did_not_write_are_not_believed(outputs: Outputs, expected: Frames, name: str) -> None:
    """Even with a checksum that fits."""
    kept = outputs.store.derived(CELLS[0].key)
    assert kept is not None
    forged = Derived(kept.settings, {**kept.rows, name: ["nothing"]}, kept.replicates)
    outputs.store.save(outputs.store.load(CELLS[0].key), forged)
    same(found(outputs), expected)


# Studies


@pytest.fixture(scope="module")
def whole(made: Outputs) -> Evidence:
    """All arrays at once."""
    stored = [made.store.load(one.key) for one in CELLS]
    told = report.collect(made, PAPER_BATCH)
    return Evidence(of_all_images(metrics_frame(stored)), stored, told.alarms, told.checks)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_reads_what_it_compares_and_says_the_same(made: Outputs, whole: Evidence, name: str) -> None:
    plain = STUDIES[name](whole)
    lazy = STUDIES[name](report.collect(made, PAPER_BATCH).evidence)
    for table, other in zip(lazy.tables, plain.tables, strict=True):
        pd.testing.assert_frame_equal(table.frame, other.frame, check_exact=True)


def test_a_study_of_one_attack_reads_no_other(made: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = report.collect(made, PAPER_BATCH).evidence.of(attack="single")
    opened: list[str] = []
    readable, replicates = Store.readable, Store.replicates
    monkeypatch.setattr(Store, "readable", lambda self, f, keys: opened.extend(keys) or readable(self, f, keys))
    monkeypatch.setattr(Store, "replicates", lambda self, key, sha: opened.append(key) or replicates(self, key, sha))
    assert len(evidence.damages)
    assert {made.store.load(key).identity["attack"] for key in opened} == {"single"}


# CSV


NASTY = pd.DataFrame(
    {
        "text, quoted": ["a,b", 'say "x"', "two\nlines", "", "plain"],
        "mixed": pd.Series([1, 1.0, True, None, "x"], dtype=object),
        "float": [0.1 + 0.2, float("nan"), 1e-320, 1e22, -0.0],
        "zeros": [0.0, -0.0, 0.0, -0.0, float("nan")],
        "int": [1, 2, 1, 4, 5],
        "bool": [True, False, True, False, True],
    }
)


@pytest.mark.parametrize("header", [True, False])
def test_csv_is_that_of_pandas(expected: Frames, header: bool) -> None:
    for frame in (NASTY, NASTY.iloc[:0], *expected.values()):
        assert csv_text(frame, header) == frame.to_csv(index=False, header=header, lineterminator="\n")


def test_large_tables_are_written_in_pieces(
    outputs: Outputs, expected: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.rebuild(outputs, PAPER_BATCH)
    whole = {path.name: path.read_bytes() for path in outputs.tables.glob("*.csv")}
    monkeypatch.setattr(report, "MOST_ROWS", 3)
    monkeypatch.setattr("mtlbench.report.tidy.CELLS_AT_ONCE", 2)
    (outputs.tables / ".tables.json").unlink()
    report.rebuild(outputs, PAPER_BATCH)
    assert {path.name: path.read_bytes() for path in outputs.tables.glob("[!.]*")} == whole


# Samples of a check


@pytest.mark.parametrize("plain", [False, True])
def test_cells_of_a_check_are_in_no_table_and_give_its_gain(tmp_path: Path, plain: bool) -> None:
    whole = list(network(2.0))
    once = replace(whole[1], identity={**whole[1].identity, SAMPLE_OF: whole[1].key})
    twice = replace(once, identity={**once.identity, "steps": 20}, arrays=whole[3].arrays)
    clean = replace(whole[0], identity={**whole[0].identity, SAMPLE_OF: whole[1].key})
    cells = [*whole, clean, once, twice]
    outputs = Outputs(tmp_path)
    save(outputs.store, cells, plain)
    same(found(outputs), as_before(sorted(cells, key=lambda one: one.key)))
    report_of = report.collect(outputs, PAPER_BATCH)
    gains = report_of.checks.set_index("cell")["converged_gain"]
    assert gains.index[gains.notna()].tolist() == [whole[1].key]
    assert {one.key for one in report_of.cells} == {one.key for one in whole}
    assert [report_of.tables.size(name) for name in report_of.tables] == [len(one) for one in found(outputs).values()][
        :4
    ]
