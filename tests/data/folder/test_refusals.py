"""What is ambiguous or wrong is refused: the message names the file, the key, the value, and what would be right."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mtlbench.data.folder.dataset import FolderDataset
from mtlbench.data.folder.decode import convert
from mtlbench.data.folder.description import read_description
from mtlbench.errors import DataError, MissingSplitError, UsageError
from tests.data.conftest import save, vectors

SIZE = (12, 16)
TEXT = """
image: {file: "images/{id}.png"}
splits: {test: {list: ids.txt}}
tasks:
  segmentation: {kind: classes, file: "seg/{id}.png", classes: 5, ignore: [255]}
  normals: {kind: normals, file: "normals/{id}.npy"}
  depth: {kind: depth, file: "depth/{id}.npy"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images with three tasks, and their description."""
    random, folder = np.random.default_rng(0), tmp_path / "data"
    for name in ("a", "b"):
        save(folder / f"images/{name}.png", random.integers(0, 256, (*SIZE, 3), np.uint8))
        save(folder / f"seg/{name}.png", random.integers(0, 5, SIZE, np.uint8))
        save(folder / f"normals/{name}.npy", vectors(random, SIZE, away=2).astype(np.float32))
        save(folder / f"depth/{name}.npy", random.uniform(1, 5, SIZE).astype(np.float32))
    (folder / "ids.txt").write_text("a\nb\n")
    return folder


def opened(root: Path, *changes: tuple[str, str], split: str = "test") -> FolderDataset:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = root.parent / "mine.yaml"
    file.write_text(text)
    return FolderDataset(root, split, file, SIZE)


def test_the_unchanged_one_is_read(root: Path) -> None:
    assert [sample.name for sample in (opened(root).sample(i) for i in range(2))] == ["a", "b"]


DESCRIPTIONS = {
    "misspelled key": (
        ("ignore: [255]", "ingore: [255]"),
        "tasks.segmentation.ingore=[255]: no such key; did you mean ignore?",
    ),
    "key of another kind": (
        ("kind: normals", "kind: normals, inverse: true"),
        "tasks.normals.inverse=True: no such key",
    ),
    "misspelled part": (
        ("splits:", "split:"),
        "mine.yaml: split={'test': {'list': 'ids.txt'}}: no such key; did you mean splits?",
    ),
    "unknown kind": (
        ("kind: depth", "kind: dept"),
        "tasks.depth.kind=dept: expected classes or normals or depth or regression or attributes; did you mean depth?",
    ),
    "no kind": (
        ("kind: depth, ", ""),
        "tasks.depth.kind=null: expected classes, normals, depth, regression, attributes",
    ),
    "unknown layout": (
        ("kind: depth", "kind: depth, layout: wch"),
        "tasks.depth.layout=wch: expected hwc or chw; did you mean",
    ),
    "unknown palette": (("ignore: [255]", "palette: rgb"), "tasks.segmentation.palette=rgb: expected index"),
    "bits": (("ignore: [255]", "bits: 12"), "tasks.segmentation.bits=12: expected 8 or 16"),
    "scale in words": (
        ("kind: depth", "kind: depth, scale: mm"),
        "tasks.depth.scale=mm: expected a number, or a fraction such as 2/255",
    ),
    "scale as a formula": (("kind: depth", "kind: depth, scale: 2*3"), "tasks.depth.scale=2*3: expected a number"),
    "division by zero": (("kind: depth", "kind: depth, scale: 1/0"), "tasks.depth.scale=1/0: expected a number"),
    "empty range": (
        ("kind: depth", "kind: depth, valid: [5, 5]"),
        "tasks.depth.valid=[5, 5]: expected a lower and an upper bound",
    ),
    "one class": (
        ("classes: 5", "classes: 1"),
        "tasks.segmentation.classes=1: expected their number, or a list of their names, each once; 2 to 254",
    ),
    "class twice": (
        ("classes: 5", "classes: [a, b, a]"),
        "tasks.segmentation.classes=['a', 'b', 'a']: expected their number",
    ),
    "map to no class": (
        ("ignore: [255]", "map: {3: 7}"),
        "tasks.segmentation.map={3: 7}: 3: 7 is no class; expected 0 to 4, a name, or ignore",
    ),
    "map and offset": (("ignore: [255]", "map: {3: 1}, offset: 1"), "tasks.segmentation={"),
    "two places": (
        ("kind: depth", "kind: depth, column: 2"),
        "expected one of file (a path with {id}) and column (of the list)",
    ),
    "no id": (("depth/{id}", "depth/id"), "tasks.depth.file=depth/id.npy: expected a path with {id}"),
    "other placeholder": (
        ("depth/{id}", "depth/{id}{x}"),
        "tasks.depth.file=depth/{id}{x}.npy: expected a path with {id}",
    ),
    "absolute": (
        ("depth/{id}", "/etc/{id}"),
        "tasks.depth.file=/etc/{id}.npy: may leave the root; expected a relative path",
    ),
    "upwards": (("depth/{id}", "../{id}"), "tasks.depth.file=../{id}.npy: may leave the root"),
    "list elsewhere": (("ids.txt", "../ids.txt"), "splits.test.list=../ids.txt: may leave the root"),
    "list of another kind": (
        ("ids.txt", "ids.parquet"),
        "splits.test.list=ids.parquet: expected a file that ends in .txt, .json, .csv, .tsv",
    ),
    "glob and list": (("list: ids.txt", "list: ids.txt, glob: 'a/{id}'"), "expected one of list and glob"),
    "inverse with rel_err": (
        ("kind: depth", "kind: depth, inverse: true, metrics: [rel_err]"),
        "tasks.depth.metrics=['rel_err']: rel_err and the deltas of inverse depth are other quantities",
    ),
    "inverse with a delta": (
        ("kind: depth", "kind: depth, inverse: true, metrics: [abs_err, delta_1.25]"),
        "rel_err and the deltas of inverse depth are other quantities",
    ),
    "unknown metric": (
        ("kind: depth", "kind: depth, metrics: [abserr]"),
        "tasks.depth.metrics=['abserr']: expected abs_err, rel_err, delta_1.25",
    ),
    "missing": (("kind: depth", "kind: depth, missing: 0"), "tasks.depth.missing=0: expected a mapping with value"),
    "flag": (("kind: depth", "kind: depth, inverse: maybe"), "tasks.depth.inverse=maybe: expected true or false"),
    "order of an image": (
        ('images/{id}.png"', 'images/{id}.png", order: [0, 1]'),
        "image.order=[0, 1]: expected positions of red, green and blue",
    ),
    "colours of a palette": (
        ('images/{id}.png"', 'images/{id}.png", palette: index'),
        "image.palette=index: indices of a palette are no image",
    ),
    "whole image from a folder and a file": (
        ("ignore: [255]", "from: folder"),
        "from and csv give one value for the whole image",
    ),
    "name of a task": (("  depth:", "  ../depth:"), "tasks={"),
    "a task called image": (("  depth:", "  image:"), "image is the image; expected another name"),
}
"""Case -> change of the description, part of the message."""


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_descriptions(root: Path, case: str) -> None:
    change, message = DESCRIPTIONS[case]
    with pytest.raises(UsageError) as error:
        opened(root, change)
    assert str(error.value).startswith(f"{root.parent / 'mine.yaml'}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected a mapping with root, image, splits, tasks"),
        ("image: {file: 'a/{id}'}", "no splits; expected image, splits and tasks"),
        ("image: {file: 'a/{id}'}\nsplits: {}\ntasks: {}", "splits={}: expected a mapping of names"),
        ("image: &a {file: 'a/{id}'}\nsplits: *a\ntasks: *a", "refers to 'a', another part of itself"),
        ("image: [", "not valid YAML"),
        ("a: " + "[" * 50 + "]" * 50, "nested more than 20 deep"),
        ("#" * 200_000, "200000 bytes; expected at most 100000"),
    ],
)
def test_files_that_are_no_description(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_description(tmp_path / "mine.yaml")
    assert str(tmp_path / "mine.yaml") in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [{canary}]", "!!python/name:os.system ''"])
@pytest.mark.parametrize("key", ["root", "image", "splits", "tasks"])
def test_a_description_runs_nothing(tmp_path: Path, tag: str, key: str) -> None:
    canary, file = tmp_path / "canary", tmp_path / "mine.yaml"
    parts = {"root": "/data", "image": "{file: 'a/{id}'}", "splits": "{test: a}", "tasks": "{a: b}"}
    parts[key] = tag.replace("{canary}", str(canary))
    file.write_text("".join(f"{name}: {text}\n" for name, text in parts.items()))
    with pytest.raises(UsageError, match=r"not valid YAML.*python"):
        read_description(file)
    assert not canary.exists()


@pytest.mark.filterwarnings("ignore")
def test_the_canary_would_sing(tmp_path: Path) -> None:
    import yaml

    yaml.unsafe_load(f"!!python/object/apply:os.mkdir [{tmp_path / 'canary'}]")
    assert (tmp_path / "canary").is_dir()


def test_a_description_is_called_as_its_file(root: Path) -> None:
    """In letters that any file name may have: checkpoints and tables are called so."""
    for file, name in {"shop.yaml": "shop", "my parts (2).yaml": "my_parts__2_", "...yaml": "folder"}.items():
        (root.parent / file).write_text(TEXT)
        assert FolderDataset(root, "test", root.parent / file, SIZE).name == name
    assert FolderDataset(root, "test", root.parent / "shop.yaml", SIZE, name="own").name == "own"


def test_names_of_ready_descriptions() -> None:
    for wrong, message in {
        "cityscape": "did you mean cityscapes?",
        None: "expected a yaml file of yours, or one of celeba, cityscapes, cityscapes_mtan, mvtec_ad, nyud_mt",
        "mine.json": "expected a file that ends in .yaml",
        "absent.yaml": "absent.yaml: no such file",
    }.items():
        with pytest.raises(UsageError) as error:
            read_description(wrong)
        assert message in str(error.value)


def palette(path: Path) -> None:
    """A palette PNG with 2-bit indices 0..3 in rows, written by hand."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([0b00011011] * 4) for _ in range(SIZE[0]))  # 0, 1, 2, 3 four times
    header = struct.pack(">IIBBBBB", SIZE[1], SIZE[0], 2, 3, 0, 0, 0)
    colours = bytes([9, 9, 9, 0, 255, 0, 40, 50, 60, 255, 0, 0])
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", colours)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def npy(name: str, make: Callable[[], np.ndarray]) -> Callable[[Path], None]:
    return lambda root: np.save(root / name, make())


def png(name: str, make: Callable[[], np.ndarray]) -> Callable[[Path], None]:
    return lambda root: save(root / name, make())


def uncentred() -> np.ndarray:
    """Bytes / 255 of vectors whose components sum to about 0: the length alone cannot tell."""
    random = np.random.default_rng(1)
    found = random.normal(size=(*SIZE, 3))
    found -= found.mean(axis=2, keepdims=True)
    return ((found / np.linalg.norm(found, axis=2, keepdims=True) + 1) / 2).astype(np.float32)


def depth_of(value: float) -> np.ndarray:
    return np.full(SIZE, value, np.float32)


NONE = ("kind: depth", "kind: depth")
FILES: dict[str, tuple[Callable[[Path], Any], tuple[str, str], str]] = {
    "class out of range": (
        png("seg/a.png", lambda: np.full(SIZE, 7, np.uint8)),
        NONE,
        "seg/a.png: class ids [7]; {key}.segmentation.classes has 0 to 4; ignore: [..] takes stored ids out",
    ),
    "class below zero after the offset": (
        png("seg/a.png", lambda: np.full(SIZE, 0, np.uint8)),
        ("ignore: [255]", "offset: -1"),
        "seg/a.png: class ids [-1] after offset: -1; {key}.segmentation.classes has 0 to 4",
    ),
    "class that is not mapped": (
        png("seg/a.png", lambda: np.full(SIZE, 3, np.uint8)),
        ("ignore: [255]", "map: {0: 1, 2: 2}"),
        "seg/a.png: class ids [3]; {key}.segmentation.map has 0, 2; '*': ignore takes all others out",
    ),
    "class between two": (
        npy("seg/a.npy", lambda: np.full(SIZE, 1.5, np.float32)),
        ("seg/{id}.png", "seg/{id}.npy"),
        "seg/a.npy: class ids [1.5, 1.5, 1.5]; {key}.segmentation: expected whole numbers",
    ),
    "palette": (
        lambda root: palette(root / "seg/a.png"),
        NONE,
        "seg/a.png: 2-bit palette PNG; expected 8-bit grey-scale or 8-bit RGB; bits: 16 for 16-bit files, palette:",
    ),
    "no palette": (
        lambda root: None,
        ("ignore: [255]", "palette: index"),
        "seg/a.png: 8-bit grey-scale PNG; expected 8-bit palette",
    ),
    "colours as classes": (
        png("seg/a.png", lambda: np.zeros((*SIZE, 3), np.uint8)),
        NONE,
        "seg/a.png: 3 channels; expected 1 (channel: N takes one of them",
    ),
    "16 bits where 8 are read": (
        png("seg/a.png", lambda: np.zeros(SIZE, np.uint16)),
        NONE,
        "seg/a.png: 16-bit grey-scale PNG; expected 8-bit grey-scale or 8-bit RGB; bits: 16 for 16-bit files",
    ),
    "depth that became 8 bits": (
        png("depth/a.png", lambda: np.full(SIZE, 99, np.uint8)),
        ("depth/{id}.npy", "depth/{id}.png"),
        "depth/a.png: 8-bit grey-scale PNG; expected 16-bit grey-scale or 16-bit RGB; bits: 8 for 8-bit files",
    ),
    "normals of another scale": (
        npy("normals/a.npy", lambda: np.full((*SIZE, 3), 128, np.uint8)),
        NONE,
        "normals/a.npy: normals of median length 222 with scale=1, offset=0; expected 1. {key}.normals: bytes v stand",
    ),
    "uncentred normals": (
        npy("normals/a.npy", uncentred),
        NONE,
        "normals/a.npy: normals without a negative component with scale=1, offset=0",
    ),
    "depth in millimetres": (
        npy("depth/a.npy", lambda: depth_of(2500)),
        NONE,
        "depth/a.npy: depth has a median of 2500; expected 0.05 to 200 metres. {key}.depth: scale: 0.001 makes metres",
    ),
    "depth in kilometres": (
        npy("depth/a.npy", lambda: depth_of(0.0025)),
        NONE,
        "depth/a.npy: depth has a median of 0.0025; expected 0.05 to 200",
    ),
    "negative depth": (
        npy("depth/a.npy", lambda: depth_of(-1)),
        NONE,
        "depth/a.npy: depth down to -1; {key}.depth: ignore: [..] names the stored values that are no depth",
    ),
    "floats as an image": (
        npy("images/a.npy", lambda: np.ones((*SIZE, 3), np.float32)),
        ('images/{id}.png"', 'images/{id}.npy"'),
        "images/a.npy: image values 1 to 1 of type float32; which are black and white? {source}: image.range: [0, 1]",
    ),
    "image beyond its range": (
        npy("images/a.npy", lambda: np.full((*SIZE, 3), 3.5, np.float32)),
        ('images/{id}.png"', 'images/{id}.npy", range: [0, 1]'),
        "images/a.npy: image values 3.5 to 3.5 of type float32; {source}: image.range=[0.0, 1.0]; expected values",
    ),
    "image that is all but black": (
        npy("images/a.npy", lambda: np.linspace(0, 1, 3 * SIZE[0] * SIZE[1]).reshape(*SIZE, 3)),
        ('images/{id}.png"', 'images/{id}.npy", range: [0, 255]'),
        "image values 0 to 1 of type float64, all but black; {source}: image.range=[0.0, 255.0] seems to be another",
    ),
    "channels first": (
        npy("normals/a.npy", lambda: np.ones((3, *SIZE), np.float32)),
        NONE,
        "normals/a.npy: array of shape (3, 12, 16), whose channels seem to stand first; layout: chw",
    ),
    "channel that is not there": (
        lambda root: None,
        ("ignore: [255]", "channel: 1"),
        "seg/a.png: 1 channels; expected more than channel: 1",
    ),
    "file of another kind": (
        lambda root: (root / "depth/a.mat").touch(),
        ("depth/{id}.npy", "depth/{id}.mat"),
        "depth/a.mat: a file of another kind; expected .png, .jpg, .jpeg or .npy",
    ),
    "other size": (
        npy("depth/a.npy", lambda: np.ones((4, 4), np.float32)),
        NONE,
        "depth/a.npy: 4x4 pixels, but its image ",
    ),
}
"""Case -> what is done to the files, change of the description, part of the message."""


@pytest.mark.parametrize("case", FILES)
def test_files(root: Path, case: str) -> None:
    damage, change, message = FILES[case]
    damage(root)
    dataset = opened(root, change)
    with pytest.raises(DataError) as error:
        dataset.sample(0)
    source = str(root.parent / "mine.yaml")
    expected = message.replace("{key}", f"{source}: tasks").replace("{source}", source)
    assert expected in str(error.value)
    assert str(root) in str(error.value)


def test_what_the_remedies_say_works(root: Path) -> None:
    np.save(root / "normals/a.npy", uncentred())
    centred = opened(root, ("kind: normals", "kind: normals, scale: 2, offset: -1")).sample(0)
    np.testing.assert_allclose(centred.targets["normals"].norm(dim=0), 1, atol=1e-6)
    np.save(root / "normals/a.npy", np.load(root / "normals/b.npy"))
    np.save(root / "depth/a.npy", depth_of(2500))
    assert opened(root, ("kind: depth", "kind: depth, scale: 0.001")).sample(0).targets["depth"].unique().item() == 2.5
    assert opened(root, ("kind: depth", "kind: depth, unit: mm")).sample(0).targets["depth"].unique().item() == 2500
    save(root / "depth/a.png", np.full(SIZE, 2500, np.uint16))
    read = opened(root, ('depth/{id}.npy"', 'depth/{id}.png", scale: 1/1000')).sample(0)
    assert read.targets["depth"].unique().item() == 2.5
    np.save(root / "depth/a.npy", depth_of(2))
    palette(root / "seg/a.png")
    ids = opened(root, ("ignore: [255]", "palette: index")).sample(0).targets["segmentation"]
    assert ids[0, 0].tolist() == [0, 1, 2, 3] * 4
    save(root / "seg/a.png", np.full(SIZE, 4, np.uint16))
    assert opened(root, ("ignore: [255]", "bits: 16")).sample(0).targets["segmentation"].unique().item() == 4


def test_a_flat_wall_is_no_mistake() -> None:
    """All of its normals are (0, 0, 1): no negative component, and nothing wrong."""
    text = {"image": {"file": "{id}"}, "splits": {"test": "a"}, "tasks": {"n": {"kind": "normals", "file": "{id}"}}}
    (target,) = read_description(text).targets
    wall = np.zeros((*SIZE, 3))
    wall[..., 2] = 1
    np.testing.assert_array_equal(convert(wall, target, Path("x"), "key"), wall)


LISTS: dict[str, tuple[Callable[[Path], Any], tuple[str, str], str]] = {
    "id twice": (
        lambda root: (root / "ids.txt").write_text("a\nb\na\n"),
        NONE,
        "ids.txt: ids of split 'test' occur more than once: ['a']; expected each once",
    ),
    "id that leads out": (
        lambda root: (root / "ids.txt").write_text("a\n../../../etc/passwd\n"),
        NONE,
        "ids.txt: entry 'images/../../../etc/passwd.png' may leave the root",
    ),
    "empty list": (lambda root: (root / "ids.txt").write_text("\n"), NONE, "ids.txt: holds no ids"),
    "no text": (lambda root: (root / "ids.txt").write_bytes(b"\xff\xfe"), NONE, "ids.txt: not text in UTF-8"),
    "NUL bytes": (lambda root: (root / "ids.txt").write_bytes(b"a\0b"), NONE, "ids.txt: holds NUL bytes"),
    "no list": (lambda root: (root / "ids.txt").unlink(), NONE, "ids.txt: no such file; "),
    "unequal rows": (
        lambda root: (root / "ids.txt").write_text("a 1\nb\n"),
        ("list: ids.txt", "list: ids.txt, column: 0"),
        "ids.txt: line 2 has 1 columns, the first row has 2",
    ),
    "no such column": (
        lambda root: (root / "ids.csv").write_text("name,part\na,1\n"),
        ("list: ids.txt", "list: ids.csv, column: nam"),
        "ids.csv: no column 'nam'; did you mean name?; it has name, part",
    ),
    "no row fits": (
        lambda root: (root / "ids.csv").write_text("name,part\na,1\n"),
        ("list: ids.txt", "list: ids.csv, column: name, where: {part: 2}"),
        "ids.csv: no row has part: 2",
    ),
    "quotes that do not end": (
        lambda root: (root / "ids.csv").write_text('name\n"a\n'),
        ("list: ids.txt", "list: ids.csv, column: name"),
        "ids.csv: not a table of this kind",
    ),
    "JSON of another form": (
        lambda root: (root / "ids.json").write_text('{"test": ["a", ["b"]]}'),
        ("ids.txt", "ids.json"),
        "ids.json: entry 1 of 'test'",
    ),
    "JSON without the key": (
        lambda root: (root / "ids.json").write_text('{"train": ["a"]}'),
        ("ids.txt", "ids.json"),
        "ids.json: no 'test'; it has 'train'",
    ),
    "ids that differ": (
        lambda root: (root / "depth/b.npy").rename(root / "depth/c.npy"),
        ("{test: {list: ids.txt}}", "{test: all}"),
        "tasks.depth.file=depth/{id}.npy: 1 of 2 images of split 'test' have no such file: b; the ids of image",
    ),
    "files without an image": (
        lambda root: (root / "images/b.png").unlink(),
        ("{test: {list: ids.txt}}", "{test: all}"),
        "1 files of split 'test' belong to no image: b",
    ),
    "no files": (
        lambda root: None,
        ("images/{id}.png", "pictures/{id}.png"),
        "pictures/a.png: no such file",
    ),
    "no folder": (
        lambda root: None,
        ('images/{id}.png"}\nsplits: {test: {list: ids.txt}}', 'pictures/{id}.png"}\nsplits: {test: all}'),
        "pictures: no file is pictures/{id}.png for split 'test'",
    ),
    "no such split": (lambda root: None, ("test:", "train:"), "no split 'test'; splits has 'train'"),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_and_ids(root: Path, case: str) -> None:
    damage, change, message = LISTS[case]
    damage(root)
    with pytest.raises(DataError) as error:
        opened(root, change).sample(0)
    assert message in str(error.value)


def test_a_split_that_is_not_there_is_told_from_a_damaged_one(root: Path) -> None:
    (root / "ids.txt").unlink()
    with pytest.raises(MissingSplitError):
        opened(root)
    with pytest.raises(MissingSplitError):
        opened(root, split="train")


@pytest.mark.parametrize("follow", [False, True])
def test_links_out_of_the_root(root: Path, tmp_path: Path, follow: bool) -> None:
    (root / "depth").rename(tmp_path / "elsewhere")
    (root / "depth").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "mine.yaml").write_text(TEXT)
    dataset = FolderDataset(root, "test", tmp_path / "mine.yaml", SIZE, follow_links=follow)
    if follow:
        assert dataset.sample(0).masks["depth"].all()
        return
    with pytest.raises(DataError, match=r"outside the root .*dataset\.follow_links=true follows links"):
        dataset.sample(0)


def test_a_search_ends_in_a_circle_of_links(root: Path, tmp_path: Path) -> None:
    (root / "images/again").symlink_to(root / "images")
    (tmp_path / "mine.yaml").write_text(TEXT.replace("{list: ids.txt}", "all"))
    assert len(FolderDataset(root, "test", tmp_path / "mine.yaml", SIZE, follow_links=True)) == 2


TABLES = {
    "no row": (
        "id,label\na,good\n",
        "labels.csv: 1 of 2 images have no row: b; its ids, by {key}.key=0, are such as 'a'",
    ),
    "two rows": ("id,label\na,good\na,bad\nb,bad\n", "labels.csv: id 'a' occurs more than once; expected one row"),
    "unknown class": (
        "id,label\na,goood\nb,bad\n",
        "labels.csv: a 'goood' is none of {key}.classes: good, bad; did you mean good?",
    ),
    "no column": ("id,lable\na,good\nb,bad\n", "labels.csv: no column 'label'; did you mean lable?; it has id, lable"),
    "nothing": ("", "labels.csv: 0 lines; header: 1 names one that is not there"),
    "no rows": ("id,label\n", "labels.csv: holds no rows"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_classes(root: Path, case: str) -> None:
    text, message = TABLES[case]
    (root / "labels.csv").write_text(text)
    with pytest.raises(DataError) as error:
        opened(
            root,
            ("  depth:", "  defect: {kind: classes, csv: labels.csv, column: label, classes: [good, bad]}\n  depth:"),
        )
    assert message.replace("{key}", f"{root.parent / 'mine.yaml'}: tasks.defect") in str(error.value)


def test_values_of_tables(root: Path) -> None:
    (root / "labels.csv").write_text("id,glass,old,age\na,1,,31.5\nb,-1,true,?\n")
    tasks = "  traits: {kind: attributes, csv: labels.csv, columns: [glass, old]}\n"
    sample = opened(root, ("  depth:", f"{tasks}  depth:")).sample(0)
    assert sample.targets["traits"].flatten().isnan().tolist() == [False, True]
    assert sample.masks["traits"].shape == (1, 1, 1)
    age = "  age: {kind: regression, csv: labels.csv, columns: [age], unit: years}\n"
    with pytest.raises(DataError, match=r"labels\.csv: b: '\?' is no number; .*tasks\.age is of kind regression"):
        opened(root, ("  depth:", f"{age}  depth:"))
    (root / "labels.csv").write_text("id,glass,old,age\na,1,perhaps,31.5\nb,-1,true,\n")
    with pytest.raises(
        DataError, match=r"labels\.csv: a: 'perhaps' is no attribute of .*tasks\.traits; expected 1 or 0"
    ):
        opened(root, ("  depth:", f"{tasks}  depth:"))
    dataset = opened(root, ("  depth:", f"{age}  depth:"))
    assert [dataset.sample(i).targets["age"].item() for i in range(2)] == [31.5, 0]
    assert [dataset.sample(i).masks["age"].item() for i in range(2)] == [True, False]
    assert (dataset.tasks[2].per_image, dataset.tasks[2].unit) == (True, "years")


def test_a_folder_that_is_no_class(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"images/a\.png: folder 'images' is none of .*tasks\.segmentation\.classes: good"
    ):
        opened(root, ('file: "seg/{id}.png", classes: 5, ignore: [255]', "from: folder, classes: [good, bad]"))


def test_a_jpeg_that_is_cut_short_is_not_filled_with_grey(root: Path) -> None:
    for name in ("a", "b"):
        assert cv2.imwrite(
            str(root / f"images/{name}.jpg"), np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
        )
    change = ("images/{id}.png", "images/{id}.jpg")
    opened(root, change).sample(0)
    whole = (root / "images/a.jpg").read_bytes()
    for damage, message in {
        whole[: len(whole) // 2]: "JPEG cut short after",
        whole[:3]: "does not say how large it is",
        b"\x89PNG\r\n\x1a\n": "not a JPEG but a PNG",
        b"": "empty file",
        whole.replace(
            SIZE[0].to_bytes(2) + SIZE[1].to_bytes(2), b"\xff\xff\xff\xff", 1
        ): "header claims 65535x65535 pixels",
    }.items():
        (root / "images/a.jpg").write_bytes(damage)
        with pytest.raises(DataError, match=message):
            opened(root, change).sample(0)


def test_a_pickle_in_a_npy_is_not_opened(root: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "canary"),)

    np.save(root / "depth/a.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(DataError, match="holds pickled Python objects; expected real numbers"):
        opened(root).sample(0)
    assert not (tmp_path / "canary").exists()
    np.load(root / "depth/a.npy", allow_pickle=True)
    assert (tmp_path / "canary").is_dir(), "the door that stayed closed"
