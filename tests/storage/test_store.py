"""Cells on disk: whole or absent, named by what decides them, and never silently wrong."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtlbench import errors
from mtlbench.errors import DamagedCellError, DataError
from mtlbench.storage import store
from mtlbench.storage.store import Cell, Store, content_key

IDENTITY = {
    "dataset": "rooms",
    "tree": "012|0,12",
    "attack": "dgba",
    "step_options": {"steps": 10, "size": 0.25},
    "tasks": ["segmentation", "depth"],
    "eps": 4.0,
    "seed": 0,
}
OLD = next((Path(__file__).parents[1] / "schemas" / "1").glob("*.npz"))
TASKS = {"segmentation": ["miou"], "depth": ["abs_err", "rel_err"]}
PROVENANCE = {"commit": "unknown", "seconds": 1.5}


def cell(number: int = 0, **changes) -> Cell:
    random = np.random.default_rng(number)
    arrays: dict[str, np.ndarray] = {
        "segmentation/class_counts": random.integers(0, 99, (7, 15)),
        "depth/depth_sums": random.random((7, 9)),
        "normals/angle_histogram_fine": random.integers(0, 9, 4000),
        "losses": random.random((7, 2)).astype(np.float32),
        "moved": np.zeros(7, np.float32),
        "empty": np.empty((0, 3)),
    }
    return Cell(IDENTITY | changes, PROVENANCE, TASKS, arrays)


def test_what_a_metric_computes_is_stored_where_there_is_anything_to_say(tmp_path: Path) -> None:
    folder = Store(tmp_path)
    formulas = {"wear": {"fourth": {"formula": "ratio", "unit": "mm^4", "higher_is_better": False, "scale": 1.0}}}
    path = folder.save(replace(cell(), formulas=formulas))
    assert folder.load(path.stem).formulas == formulas
    assert path.stem == cell().key, "it is no part of what decides the result"
    folder.save(cell())
    assert folder.load(path.stem).formulas == {}
    assert b"formulas" not in np.load(path)["header"].tobytes()


def equal(found: Cell, expected: Cell) -> bool:
    return (
        (found.identity, found.provenance, found.tasks) == (expected.identity, expected.provenance, expected.tasks)
        and found.arrays.keys() == expected.arrays.keys()
        and all(
            a.dtype == expected.arrays[n].dtype and np.array_equal(a, expected.arrays[n])
            for n, a in found.arrays.items()
        )
    )


# Round trip


def test_round_trip(tmp_path):
    kept = Store(tmp_path / "deep" / "store")
    saved = cell()
    assert saved.key not in kept
    path = kept.save(saved)
    assert path == kept.path(saved.key)
    assert saved.key in kept
    assert equal(kept.load(saved.key), saved)
    assert kept.load(saved.key).key == saved.key


def test_nan_and_infinity_in_arrays_survive(tmp_path):
    arrays = {"x": np.array([np.nan, np.inf, -np.inf, -0.0])}
    kept, saved = Store(tmp_path), Cell(IDENTITY, {}, {}, arrays)
    kept.save(saved)
    assert kept.load(saved.key).arrays["x"].tobytes() == arrays["x"].tobytes()


def test_keys_and_iteration(tmp_path):
    kept = Store(tmp_path)
    assert kept.keys() == []
    assert Store(tmp_path / "nowhere").keys() == []
    saved = {c.key: c for c in (cell(i, seed=i) for i in range(4))}
    for one in saved.values():
        kept.save(one)
    (tmp_path / ".half.npz.123.tmp").touch()
    (tmp_path / ".hidden.npz").touch()
    (tmp_path / "notes.txt").touch()
    assert kept.keys() == sorted(saved)
    assert all(equal(found, saved[found.key]) for found in kept)


def test_saving_again_replaces(tmp_path):
    kept = Store(tmp_path)
    kept.save(cell(0))
    kept.save(cell(1))
    assert equal(kept.load(cell().key), cell(1))
    assert len(kept.keys()) == 1


# Keys


def test_key_does_not_depend_on_order():
    backwards = dict(reversed(IDENTITY.items())) | {"step_options": {"size": 0.25, "steps": 10}}
    assert list(backwards) != list(IDENTITY)
    assert content_key(backwards) == content_key(IDENTITY)


@pytest.mark.parametrize("field", IDENTITY)
def test_key_changes_with_each_field(field):
    others = [content_key(IDENTITY | {field: other}) for other in ("other", None, 1, [], {}, 4.5, True)]
    without = content_key({name: value for name, value in IDENTITY.items() if name != field})
    assert len({content_key(IDENTITY), without, *others}) == 9


@pytest.mark.parametrize("options", [{"steps": 11, "size": 0.25}, {"steps": 10, "size": 0.250001}, {"steps": 10}])
def test_key_changes_with_nested_options(options):
    assert content_key(IDENTITY | {"step_options": options}) != content_key(IDENTITY)


def test_key_changes_with_the_result_version(monkeypatch):
    before = content_key(IDENTITY)
    monkeypatch.setattr(store, "RESULT_VERSION", store.RESULT_VERSION + 1)
    assert content_key(IDENTITY) != before


def test_key_is_24_hex_digits_and_the_same_in_any_process():
    """Not Python's `hash`, which differs from process to process."""
    key = content_key(IDENTITY)
    assert len(key) == 24
    int(key, 16)
    code = f"from mtlbench.storage.store import content_key; print(content_key({IDENTITY!r}))"
    root = str(Path(store.__file__).parents[2])
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == key


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, np.float32(1), Path("x")], ids=repr)
def test_only_json_can_be_an_identity(value):
    with pytest.raises((TypeError, ValueError)):
        content_key(IDENTITY | {"eps": value})


def test_provenance_and_arrays_are_not_part_of_the_key():
    assert cell(0).key == cell(1).key == Cell(IDENTITY, {"host": "other"}, {}, {}).key


# Damage


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_are_found_or_harmless(tmp_path, data):
    kept, saved = Store(tmp_path), cell()
    path = kept.save(saved)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        found = kept.load(saved.key)
    except DataError as error:
        assert str(path) in str(error)
        assert error.status == 3
    else:
        assert equal(found, saved)


@given(st.integers(0, 5000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncated_cells_are_found(tmp_path, keep):
    kept, saved = Store(tmp_path), cell()
    path = kept.save(saved)
    content = path.read_bytes()
    path.write_bytes(content[: min(keep, len(content) - 1)])
    with pytest.raises(DataError, match="damaged cell"):
        kept.load(saved.key)


@given(st.binary(max_size=100))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_no_cell(tmp_path, content):
    kept = Store(tmp_path)
    kept.path("k").write_bytes(content)
    with pytest.raises(DataError, match=r"k\.npz"):
        kept.load("k")


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    return buffer.getvalue()


def header(**changes) -> np.ndarray:
    whole = {"schema": 1, "key": "k", "identity": {}, "provenance": {}, "tasks": {}, "sha256": ""} | changes
    text = json.dumps({name: value for name, value in whole.items() if value is not ...})
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        npz(x=np.zeros(3)),
        npz(header=np.frombuffer(b"{", np.uint8)),
        npz(header=np.frombuffer(b"[1]", np.uint8)),
        npz(header=np.frombuffer(b"\xff", np.uint8)),
        npz(header=header(schema=...)),
        npz(header=header(schema=999)),
        npz(header=header(identity=...)),
        npz(header=header(sha256=...)),
        npz(header=header(identity=[1])),
        npz(header=header(sha256=None)),
        npz(header=header()),
    ],
    ids=[
        "nothing",
        "text",
        "list",
        "bytes",
        "no schema",
        "schema",
        "no identity",
        "no sum",
        "identity",
        "null",
        "sum",
    ],
)
def test_archives_that_are_no_cells(tmp_path, content):
    kept = Store(tmp_path)
    kept.path("k").write_bytes(content)
    with pytest.raises(DataError, match=r"k\.npz"):
        kept.load("k")


def test_a_single_array_is_no_cell(tmp_path):
    kept = Store(tmp_path)
    with kept.path("k").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"k\.npz"):
        kept.load("k")


def test_a_missing_cell(tmp_path):
    with pytest.raises(DataError, match=r"abc\.npz: no such file"):
        Store(tmp_path).load("abc")


def test_a_cell_under_another_name_is_refused(tmp_path):
    kept = Store(tmp_path)
    kept.save(cell()).rename(kept.path("0" * 20))
    with pytest.raises(DataError, match="content does not match"):
        kept.load("0" * 20)


def test_an_edited_identity_is_refused(tmp_path):
    """Somebody rewrites the archive with another epsilon in its header, checksums of the archive right."""
    kept, saved = Store(tmp_path), cell()
    path = kept.save(saved)
    with np.load(path) as archive:
        arrays = dict(archive)
    text = json.loads(arrays["header"].tobytes())
    text["identity"]["eps"] = 8.0
    arrays["header"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    path.write_bytes(npz(**arrays))
    with pytest.raises(DataError, match="content does not match"):
        kept.load(saved.key)


def test_an_edited_array_is_refused(tmp_path):
    kept, saved = Store(tmp_path), cell()
    path = kept.save(saved)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["losses"][0, 0] += 1
    path.write_bytes(npz(**arrays))
    with pytest.raises(DataError, match="content does not match"):
        kept.load(saved.key)


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def test_pickles_are_never_read(tmp_path):
    kept, canary = Store(tmp_path), tmp_path / "canary"
    bombs = np.array([Bomb(canary)], dtype=object)
    kept.path("a").write_bytes(pickle.dumps(Bomb(canary)))
    kept.path("b").write_bytes(npz(header=header(), x=bombs))
    with zipfile.ZipFile(kept.path("c"), "w") as archive:
        archive.writestr("header.npy", pickle.dumps(Bomb(canary)))
    for key in "abc":
        with pytest.raises(DataError, match="damaged"):
            kept.load(key)
        assert not canary.exists()
    pickle.loads(kept.path("a").read_bytes())
    assert canary.exists(), "the bomb works"


def test_objects_are_never_written(tmp_path):
    kept = Store(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        kept.save(Cell(IDENTITY, {}, {}, {"x": np.array([Bomb(tmp_path)], dtype=object)}))
    assert kept.keys() == []


# Damaged cells are set aside, never deleted


def test_set_aside(tmp_path):
    kept, saved = Store(tmp_path), cell()
    for number in range(3):
        kept.save(saved).write_bytes(b"%d" % number)
        aside = kept.set_aside(saved.key)
        assert saved.key not in kept
        assert aside == tmp_path / "corrupt" / f"{saved.key}.{number}.npz"
    assert [(tmp_path / "corrupt" / f"{saved.key}.{n}.npz").read_bytes() for n in range(3)] == [b"0", b"1", b"2"]
    (tmp_path / "corrupt" / f"{saved.key}.0.npz").unlink()
    kept.save(saved).write_bytes(b"3")
    kept.set_aside(saved.key)
    contents = {path.read_bytes() for path in (tmp_path / "corrupt").iterdir()}
    assert contents == {b"1", b"2", b"3"}, "no name is used twice"
    assert kept.keys() == []


def test_readable_leaves_damaged_cells_out_and_says_so(tmp_path):
    kept, told = Store(tmp_path), []
    for number in range(3):
        kept.save(cell(number, seed=number))
    bad = kept.keys()[1]
    kept.path(bad).write_bytes(b"torn")
    others, found = kept.keys(), [one.key for one in kept.readable(told.append)]
    others.remove(bad)
    assert found == others
    assert [error.path for error in told] == [kept.path(bad)]
    assert kept.path(bad).read_bytes() == b"torn", "reading changes nothing"


def test_readable_beside_somebody_who_sets_a_cell_aside(tmp_path):
    kept, told = Store(tmp_path), []
    for number in range(3):
        kept.save(cell(number, seed=number))
    keys, found = kept.keys(), []
    for one in kept.readable(told.append):
        found.append(one.key)
        if len(found) == 1:
            kept.set_aside(keys[1])
    assert found == [keys[0], keys[2]]
    assert told == []


# Parts of unfinished cells


def test_keep_and_kept(tmp_path):
    kept, part = Store(tmp_path), cell()
    assert kept.kept(part.key) is None
    kept.keep(part, 5)
    found = kept.kept(part.key)
    assert found is not None
    assert equal(found[0], part)
    assert found[1] == 5
    assert part.key not in kept
    assert kept.keys() == []
    kept.save(part)
    assert kept.kept(part.key) is None, "done"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{part.key}.npz"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other", "no count", "newer"])
def test_a_damaged_part_is_ignored_and_removed(tmp_path, damage):
    kept, part = Store(tmp_path), cell()
    kept.keep(part, 5)
    path = tmp_path / "partial" / f"{part.key}.npz"
    content = path.read_bytes()
    if damage in ("flip", "cut", "empty"):
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"flip": flipped, "cut": content[:middle], "empty": b""}[damage])
    elif damage == "other":
        kept.keep(cell(eps=8.0), 5)
        (tmp_path / "partial" / f"{cell(eps=8.0).key}.npz").replace(path)
    elif damage == "no count":
        kept.save(part).replace(path)
    else:
        rewrite(path, lambda text: text | {"schema": store.SCHEMA + 1})
    assert kept.kept(part.key) is None
    assert not path.exists()


def rewrite(path: Path, change) -> None:
    """Replace the header in a cell's file."""
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["header"] = np.frombuffer(json.dumps(change(json.loads(arrays["header"].tobytes()))).encode(), np.uint8)
    path.write_bytes(npz(**arrays))


# Failures


def test_failures_are_recorded_until_the_cell_is_saved(tmp_path):
    kept, lost = Store(tmp_path), cell()
    assert kept.failures() == {}
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        kept.fail(lost.key, "rooms eps 4", error, {"host": "h"})
    assert kept.failures() == {lost.key: "rooms eps 4: ValueError: two"}
    text = json.loads((tmp_path / "failures" / f"{lost.key}.json").read_text())
    assert text["reason"] == "ValueError: two"
    assert "test_failures_are_recorded" in text["traceback"]
    assert text["host"] == "h"
    kept.save(lost)
    assert kept.failures() == {}
    assert list((tmp_path / "failures").iterdir()) == []


def test_a_damaged_record_is_still_a_failure(tmp_path):
    (tmp_path / "failures").mkdir()
    for number, content in enumerate((b"", b"{", b"[1]", b"{}", b"\xff", b"1")):
        (tmp_path / "failures" / f"{number}.json").write_bytes(content)
    found = Store(tmp_path).failures()
    assert len(found) == 6
    assert all("cannot be read" in text for text in found.values())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a\nb"), "ValueError: a"),
        (ValueError(), "ValueError"),
        (MemoryError(), "MemoryError"),
        (SystemExit(0), "sys.exit(0) was called"),
        (SystemExit(), "sys.exit() was called"),
        (SystemExit("why"), "sys.exit('why') was called"),
    ],
    ids=repr,
)
def test_reasons(error, text):
    assert errors.reason(error) == text


# Older and newer forms


@pytest.mark.usefixtures("result_version_1")
def test_a_cell_of_schema_1(tmp_path):
    """A file as the code of schema 1 wrote it."""
    kept = Store(tmp_path)
    key = OLD.stem
    kept.path(key).write_bytes(OLD.read_bytes())
    with np.load(OLD) as archive:
        assert json.loads(archive["header"].tobytes())["schema"] == 1
        losses = archive["losses"]
    found = kept.load(key)
    assert found.provenance["config"] is found.provenance["recipe"] is None
    assert found.provenance["commit"]
    assert np.array_equal(found.arrays["losses"], losses)
    assert [one.key for one in kept.readable(lambda error: pytest.fail(str(error)))] == [found.key]
    assert kept.adopt() == 1
    assert kept.keys() == [found.key]
    assert equal(kept.load(found.key), found)


def test_every_older_form_can_be_read():
    assert sorted(store.UPGRADES) == list(range(1, store.SCHEMA))


def test_a_cell_of_a_newer_mtlbench_is_refused_but_not_damaged(tmp_path):
    kept, saved = Store(tmp_path), cell()
    rewrite(kept.save(saved), lambda text: text | {"schema": store.SCHEMA + 1})
    with pytest.raises(DataError, match="written by a newer mtlbench") as caught:
        kept.load(saved.key)
    assert not isinstance(caught.value, DamagedCellError)
    with pytest.raises(DataError, match="written by a newer mtlbench"):
        list(kept.readable(lambda error: pytest.fail("nobody may move it aside")))


# Sweeping


def test_tidy(tmp_path):
    kept, done, part = Store(tmp_path), cell(), cell(eps=8.0)
    code = "from mtlbench.storage import owner; print(owner.me())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    kept.keep(done, 3)
    (tmp_path / "partial" / "x").write_bytes((tmp_path / "partial" / f"{done.key}.npz").read_bytes())
    kept.save(done)
    (tmp_path / "partial" / "x").rename(tmp_path / "partial" / f"{done.key}.npz")
    kept.keep(part, 3)
    kept.fail(part.key, "label", ValueError(), {})
    for folder in (".", "partial", "failures"):
        (tmp_path / folder / f".left.npz.{ended}.tmp").touch()
    claim = tmp_path / f".{part.key}.npz.claim"
    claim.mkdir()
    (claim / ended).touch()
    kept.tidy()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {f"{done.key}.npz", f"partial/{part.key}.npz", f"failures/{part.key}.json"}
    assert not claim.exists()
    Store(tmp_path / "nowhere").tidy()
