"""Descriptions, lists and tables that anybody may have written: read, or refused by their name, nothing else."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.folder.description import KINDS, read_description
from mtlbench.data.folder.places import Split
from mtlbench.data.folder.tables import read_json_rows, read_lines, read_table
from mtlbench.errors import DataError, UsageError
from tests.data.conftest import save

KEYS = sorted({key for keys in KINDS.values() for key in keys} | set(Split.__dataclass_fields__))
WORDS = (
    *KINDS,
    "folder",
    "index",
    "chw",
    "ignore",
    "none",
    "a/{id}.png",
    "{split}/{id}",
    "ids.txt",
    "1/2",
    "*",
    "../x",
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
    | st.dates()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | LEAVES, inner, max_size=5),
    max_leaves=12,
)


PLAUSIBLE: dict[str, tuple[object, ...]] = {
    "scale": (1, 0.001, "2/255"),
    "offset": (-1, 0, "-1/3"),
    "layout": ("chw", "hwc"),
    "channel": (0, 2),
    "order": ([0], [2, 1, 0]),
    "bits": (8, 16),
    "palette": ("index",),
    "ignore": ([0], [[0, 0, 0]], [float("nan")]),
    "any_ignore": (255,),
    "valid": ([0, 1],),
    "map": ({0: 0, "*": "ignore"},),
    "classes": (2, ["a", "b"]),
    "unit": ("m",),
    "inverse": (True, False),
    "mirror": (0, "none"),
    "missing": ("ignore", {"value": 0}),
    "metrics": (["abs_err"],),
    "from": ("folder",),
    "csv": ("ids.txt",),
    "key": (0,),
    "header": (0, 1),
    "column": (0, "id"),
    "columns": ([0], ["a", "b"]),
    "channels": (1, 3),
    "file": ("a/{id}.png", "b/{id}.npy"),
}
NEEDED = {"classes": {"file", "classes"}, "attributes": {"csv", "columns"}}
"""Kind -> the keys without which it cannot be; others need a file."""


@st.composite
def _tasks(draw: st.DrawFn) -> dict[str, object]:
    """A task that could be right but for, often, one value."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    needed = NEEDED.get(kind, {"file"})
    more = draw(st.sets(st.sampled_from(sorted({*KINDS[kind], "missing"} - needed)), max_size=3))
    task = {key: draw(st.sampled_from(PLAUSIBLE[key])) for key in sorted(needed | more)}
    if draw(st.booleans()):
        task[draw(st.sampled_from(sorted(task)))] = draw(VALUES)
    return {"kind": kind, **task}


IMAGES = st.sampled_from(({"file": "images/{id}.png"}, {"column": 0}, {"file": "images/{id}.png", "range": [0, 255]}))
SPLITS = st.sampled_from(({"test": "ids.txt"}, {"test": {"list": "ids.txt", "column": 0}}, {"test": "x"}))
DESCRIPTIONS = VALUES | st.fixed_dictionaries(
    {
        "image": IMAGES | IMAGES | VALUES,
        "splits": SPLITS | SPLITS | VALUES,
        "tasks": st.dictionaries(st.sampled_from(("a", "b")), _tasks(), min_size=1) | VALUES,
    }
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image, with a map and a table beside it."""
    folder = tmp_path_factory.mktemp("described")
    save(folder / "images/a.png", np.zeros((4, 6, 3), np.uint8))
    save(folder / "a/a.png", np.zeros((4, 6), np.uint8))
    (folder / "ids.txt").write_text("a\n")
    return folder


@given(value=DESCRIPTIONS)
def test_any_description_is_read_or_refused(root: Path, value: object) -> None:
    """From a mapping and from a file alike; what is read says of itself what it is, as plain data.

    Some of each kind are right, see `test_some_of_them_are_right`.
    """
    file = root / "any.yaml"
    file.write_text(yaml.safe_dump(value))
    for given_as in (value, file) if isinstance(value, dict) else (file,):
        try:
            found = read_description(given_as)
        except UsageError as error:
            assert str(error)
            continue
        json.dumps(found.settings(), sort_keys=True)
        with suppress(UsageError, DataError):
            FolderDataset(root, "test", given_as, (4, 6)).sample(0)


def test_some_of_them_are_right(root: Path) -> None:
    """Or the test above would show nothing."""
    task = {"kind": "classes", "file": PLAUSIBLE["file"][0], "classes": 2, "map": {0: 0, "*": "ignore"}}
    right = {"image": {"file": "images/{id}.png"}, "splits": {"test": "ids.txt"}, "tasks": {"a": task}}
    assert FolderDataset(root, "test", right, (4, 6)).sample(0).masks["a"].all()


@given(data=st.binary(max_size=200) | st.text(alphabet="a1,;\"'{}[]: \t\n\r", max_size=200).map(str.encode))
def test_any_list_or_table_is_read_or_refused(root: Path, data: bytes) -> None:
    for ending, readers in {
        ".txt": (read_lines, read_table),
        ".csv": (read_table,),
        ".tsv": (lambda path: read_table(path, 2),),
        ".json": (lambda path: read_json_rows(path, "test"),),
    }.items():
        file = root / f"any{ending}"
        file.write_bytes(data)
        for read in readers:
            try:
                read(file)
            except DataError as error:
                assert str(error).startswith(f"{file}: ")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\b", "a\0b", "a\nb", ""])
def test_an_id_cannot_leave_the_root(root: Path, name: str) -> None:
    """Neither in a list of ids nor in one of files."""
    (root / "bad.json").write_text(json.dumps({"test": [name]}))
    for image in ({"file": "{id}"}, {"column": 0}):
        text = {
            "image": image,
            "splits": {"test": {"list": "bad.json"}},
            "tasks": {"a": {"kind": "classes", "file": "a/{id}", "classes": 2}},
        }
        with pytest.raises(DataError, match=r"bad\.json: entry .* may leave the root"):
            FolderDataset(root, "test", text, (4, 6))
