"""Every kind of damage to every kind of file: refused by its name, with what was found and what would be right."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.files import MAX_BYTES
from mtlbench.data.fingerprint import fingerprint
from mtlbench.data.generated import make
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.data.rooms import FORMS
from mtlbench.data.taxonomy_lists import LIST_FILE
from mtlbench.data.tiny_taxonomy import WEIGHTS_FILE, TinyTaxonomy
from mtlbench.engine.training import Recipe, train
from mtlbench.errors import CheckpointError, DataError
from mtlbench.models.checkpoint import load_weights, read_pickle, save_weights
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.storage.archive import MAX_UNPACKED
from mtlbench.storage.checkpoints import Checkpoint, find
from mtlbench.storage.files import checksum
from mtlbench.storage.store import Cell, Store
from mtlbench.tasks import three_tasks
from tests.fakes import FakeDataset, Trivial

Damage = Callable[[Path], object]
PAGE = b"<!DOCTYPE html><html><title>404 Not Found</title></html>" * 10


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.canary),)


def cut(keep: float) -> Damage:
    """Keep a share of the file, or a number of bytes."""

    def damage(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])

    return damage


def decoded(file: Path) -> np.ndarray:
    found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


def replaced(content: bytes) -> Damage:
    return lambda file: file.write_bytes(content) and None


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(file: Path) -> None:
    """Reading it would wait for ever."""
    file.unlink()
    os.mkfifo(file)


def enormous(file: Path) -> None:
    """A file with a hole: large without taking room."""
    os.truncate(file, MAX_BYTES + 1)


def link_out(file: Path) -> None:
    root = next(parent for parent in file.parents if parent.name in ("nyu", "taxonomy", "mtan"))
    outside = root.parent / "outside"
    outside.mkdir()
    file.rename(outside / file.name)
    file.symlink_to(outside / file.name)


def unreadable(file: Path) -> None:
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read everything")  # root: modes refuse it nothing


def pickled(file: Path) -> None:
    np.save(file, np.array([[Bomb(file.parent / "canary")]], object), allow_pickle=True)


def image(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Decode a PNG, change its values, encode it again."""

    def damage(file: Path) -> None:
        assert cv2.imwrite(str(file), change(decoded(file)))

    return damage


def values(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """The same with a .npy file."""
    return lambda file: np.save(file, change(np.load(file)))


def one(value: float) -> Damage:
    """Put `value` at one place of a .npy file."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float32)
        array.flat[5] = value
        return array

    return values(change)


def claiming(width: int, height: int) -> Damage:
    """A PNG whose header claims another size, checksum right."""

    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        file.write_bytes(content)

    return damage


def npy_claiming(*shape: int) -> bytes:
    """A few bytes whose header claims an array of this shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(100)


def giant(file: Path) -> None:
    shape = np.load(file).shape
    file.write_bytes(npy_claiming(*(70_000, 90_000, *shape[2:])[: len(shape)]))


def flipped(position: int) -> Damage:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[position] ^= 0x55
        file.write_bytes(content)

    return damage


def jpeg(file: Path) -> None:
    file.write_bytes(cv2.imencode(".jpg", decoded(file))[1].tobytes())


ANY: dict[str, tuple[Damage, str]] = {
    "empty": (replaced(b""), "empty file"),
    "one byte": (cut(1), "not a (PNG|.npy file) but something that begins with"),
    "web page": (replaced(PAGE), "not a (PNG|.npy file) but an HTML page"),
    "pointer": (replaced(b"version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
    "zip": (replaced(b"PK\x03\x04" + bytes(40)), "a zip archive"),
    "missing": (Path.unlink, "no such file"),
    "directory": (directory, "not a regular file"),
    "pipe": (pipe, "not a regular file"),
    "unreadable": (unreadable, r"cannot be read \(Permission denied\)"),
    "enormous": (enormous, f"{MAX_BYTES + 1} bytes; expected at most {MAX_BYTES}"),
    "link out of the root": (link_out, "leads by a symbolic link to .*, outside the root"),
    "flipped at the start": (flipped(1), "not a (PNG|.npy file) but"),
}
OF_PNG: dict[str, tuple[Damage, str]] = {
    "header only": (cut(30), "PNG without a header"),
    "half": (cut(0.5), "PNG cut short after"),
    "without its end": (cut(-1), "PNG cut short after"),
    "flipped in the middle": (flipped(60), "damaged PNG, chunk .* fails its checksum|PNG cut short"),
    "flipped at the end": (flipped(-1), "damaged PNG, chunk b'IEND' at byte"),
    "jpeg": (jpeg, "not a PNG but a JPEG"),
    "alpha": (
        image(lambda a: np.dstack([a] * (4 if a.ndim == 2 else 1) + [a[..., 0]] * (a.ndim - 2))),
        "alpha PNG; exp",
    ),
    "other size": (image(lambda a: a[:-1]), r"\d+x\d+ pixels, but its image .* has \d+x\d+"),
    "60000x60000 pixels": (claiming(60000, 60000), "header claims 60000x60000 pixels; expected 1 to 64000000 in all"),
    "no pixels": (claiming(0, 0), "header claims 0x0 pixels"),
    "too many pixels for its bytes": (claiming(4000, 4000), "damaged PNG, its pixel data cannot be decoded"),
}
EIGHT = {"16 bit": (image(lambda a: a.astype(np.uint16)), "16-bit .* PNG; expected 8-bit")}
SIXTEEN = {"8 bit": (image(lambda a: a.astype(np.uint8)), "8-bit grey-scale PNG; expected 16-bit")}
COLOUR = EIGHT | {"grey": (image(lambda a: a[..., 0]), "8-bit grey-scale PNG; expected 8-bit RGB")}
GREY = {"colour": (image(lambda a: np.dstack([a] * 3)), "RGB PNG; expected .*-bit grey-scale")}
OF_NPY: dict[str, tuple[Damage, str]] = {
    "header only": (cut(60), "damaged .npy header"),
    "half": (cut(0.5), r"cut short while copying\?"),
    "without its end": (cut(-1), r"cut short while copying\?"),
    "flipped in the header": (flipped(14), "damaged .npy header"),
    "code": (pickled, "holds pickled Python objects; expected real numbers"),
    "text": (values(lambda a: a.astype(str)), "holds values of type <U32; expected real numbers"),
    "complex": (values(lambda a: a.astype(complex)), "holds values of type complex128; expected real numbers"),
    "axes": (values(lambda a: a[None]), r"array of shape \(1, .*; expected \d axes"),
    "nothing": (values(lambda a: a[:0]), r"array of shape \(0,.*; expected \d axes"),
    "shape of a giant": (giant, r"expected at most 64000000 pixels|needs 280000 \(cut short"),
    "NaN": (one(np.nan), "1 of [0-9]+ values are NaN or infinite; expected none"),
    "infinite": (one(np.inf), "1 of [0-9]+ values are NaN or infinite; expected none"),
    "other size": (values(lambda a: a[:-1]), r"\d+x\d+ pixels, but its image .* has \d+x\d+"),
}
CHANNELS = {"channels": (values(lambda a: a[..., :2] if a.shape[-1] == 3 else a.repeat(2, -1)), "the last of length")}
WHOLE = {"whole numbers": (values(lambda a: a.astype(np.int32)), "of type int32; expected (float32 metres|floating)")}
NEGATIVE = {"negative": (one(-3), "depth down to -3; expected metres")}

NYUV2 = {
    0: OF_PNG | COLOUR,
    1: OF_PNG | EIGHT | GREY | {"class 77": (image(lambda a: a * 0 + 77), r"class ids \[77\]; expected 0..12 or 255")},
    2: OF_PNG | COLOUR,
    3: OF_NPY | WHOLE | NEGATIVE,
}
TAXONOMY = {
    0: OF_PNG | COLOUR,
    1: OF_PNG
    | EIGHT
    | GREY
    | {"class 99": (image(lambda a: a * 0 + 99), r"class ids \[99\]; expected 0 .* to 17, one")},
    2: OF_PNG | COLOUR,
    **dict.fromkeys((3, 4, 5), OF_PNG | SIXTEEN | GREY),
}
MTAN = {
    0: OF_NPY | CHANNELS | WHOLE | {"bright": (one(1.5), r"image values 0.*\.\.1\.5; expected 0\.\.1")},
    1: OF_NPY
    | {"class": (one(13), r"labels \[13.0\]; expected whole"), "half": (one(0.5), r"labels \[0.5\]; expected")},
    2: OF_NPY | CHANNELS | WHOLE,
    3: OF_NPY | CHANNELS | WHOLE | NEGATIVE,
}
CASES = [
    (form, position, name)
    for form, kinds in (("nyuv2", NYUV2), ("taxonomy", TAXONOMY), ("mtan", MTAN))
    for position, damages in kinds.items()
    for name in ANY | damages
]


@pytest.fixture
def sound(make_nyuv2: Callable, make_taxonomy: Callable, make_mtan: Callable) -> Callable[[str], MultiTaskDataset]:
    """A dataset of one form without a fault."""

    def opened(form: str) -> MultiTaskDataset:
        if form == "nyuv2":
            return NYUv2(make_nyuv2(images=1), "test", (24, 32), classes=13)
        if form == "taxonomy":
            return TinyTaxonomy(make_taxonomy({"ihlen": ["point_1_view_0"]}), "test", (32, 32), base=None)
        return NYUv2MTAN(make_mtan(images=1), "test", (24, 32))

    return opened


@pytest.mark.parametrize(("form", "position", "case"), CASES, ids=lambda value: str(value))
def test_files_of_an_image(sound: Callable, tmp_path: Path, form: str, position: int, case: str) -> None:
    dataset = sound(form)
    dataset.sample(0)
    file = dataset.files(0)[position]
    damage, message = (ANY | {"nyuv2": NYUV2, "taxonomy": TAXONOMY, "mtan": MTAN}[form][position])[case]
    damage(file)
    with pytest.raises(DataError, match=message) as caught:
        dataset.sample(0)
    # A picture of another size is noticed at the first file that differs from it.
    if case != "other size":
        assert file.name in str(caught.value)
    assert caught.value.status == 3
    assert not list(tmp_path.rglob("canary"))


def test_the_canary_would_sing(tmp_path: Path) -> None:
    pickled(tmp_path / "x.npy")
    np.load(tmp_path / "x.npy", allow_pickle=True)
    assert (tmp_path / "canary").is_dir()


# Lists of images, class weights, manifests

OF_LISTS: dict[str, tuple[Damage, str]] = {
    "empty": (replaced(b""), "not valid JSON"),
    "cut": (cut(0.7), "not valid JSON"),
    "web page": (replaced(PAGE), "not valid JSON"),
    "bytes": (replaced(b"\xff\xfe\x00"), "not valid JSON"),
    "deep": (replaced(b"[" * 200_000), "not valid JSON"),
    "long number": (replaced(b"1" * 10_000), "not valid JSON|holds a int"),
    "enormous": (enormous, "bytes; expected at most 500000000"),
    "unreadable": (unreadable, r"cannot be read \(Permission denied\)"),
    "link out of the root": (link_out, "leads by a symbolic link to .*, outside the root"),
}


@pytest.mark.parametrize("case", OF_LISTS)
@pytest.mark.parametrize("form", ["nyuv2", "taxonomy"])
def test_lists(make_nyuv2: Callable, make_taxonomy: Callable, form: str, case: str) -> None:
    if form == "nyuv2":
        root = make_nyuv2(images=1)
        file = root / "nyu_v2_3task.json"
    else:
        root = make_taxonomy({"ihlen": ["point_1_view_0"]})
        file = root / LIST_FILE
        file.write_text(json.dumps({"test": [["x.png"] * 6]}))
    damage, message = OF_LISTS[case]
    damage(file)
    with pytest.raises(DataError, match=message) as caught:
        NYUv2(root, "test") if form == "nyuv2" else TinyTaxonomy(root, "test")
    assert str(file) in str(caught.value)


WAYS_OUT = ["../a.png", "/etc/passwd", "img/../../a.png", "a\\b.png", "", "a\0b", "a\nb", "\udcff.png", "\x1b[2J.png"]


@pytest.mark.parametrize("entry", WAYS_OUT)
@pytest.mark.parametrize("position", [0, 3])
def test_entries_that_lead_out(make_nyuv2: Callable, entry: str, position: int) -> None:
    root = make_nyuv2(images=1)
    file = root / "nyu_v2_3task.json"
    lists = json.loads(file.read_text())
    lists["test"][0][position] = entry
    file.write_text(json.dumps(lists))
    with pytest.raises(DataError, match=r"may leave the root .*expected a relative path of printable char") as caught:
        NYUv2(root, "test")
    assert f"{file}: entry {entry!r}" in str(caught.value)


@pytest.mark.parametrize("case", [case for case in ANY | OF_NPY if case not in ("missing", "other size")])
def test_class_weights(make_taxonomy: Callable, tmp_path: Path, case: str) -> None:
    root = make_taxonomy({"ihlen": ["point_1_view_0"]})
    np.save(root / WEIGHTS_FILE, np.linspace(1, 2, 20))
    damage, message = (ANY | OF_NPY)[case]
    damage(root / WEIGHTS_FILE)
    with pytest.raises(DataError, match=message):
        TinyTaxonomy(root, "test")
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0] * 255])
def test_class_weights_out_of_range(make_taxonomy: Callable, weights: list[float]) -> None:
    root = make_taxonomy({"ihlen": ["point_1_view_0"]})
    np.save(root / WEIGHTS_FILE, np.array(weights))
    with pytest.raises(DataError, match="expected one above 0 for each class"):
        TinyTaxonomy(root, "test")


@pytest.mark.parametrize("case", [*(case for case in OF_LISTS if "link" not in case), "directory", "pipe", "missing"])
def test_manifest_of_rooms(tmp_path: Path, case: str) -> None:
    rooms: dict[str, Any] = {"form": FORMS["nyuv2"], "images": 2, "resolution": 16, "seed": 0}
    make(tmp_path / "rooms", **rooms)
    damage, message = (ANY | OF_LISTS)[case]
    damage(tmp_path / "rooms" / "rooms.json")
    message = message.replace("holds a int", "not valid JSON|the folder holds rooms with")
    with pytest.raises(
        DataError, match=rf"rooms: not a generated dataset \(.*({message})|the folder holds rooms"
    ) as caught:
        make(tmp_path / "rooms", **rooms)
    assert "remove the folder or choose another dataset.root" in str(caught.value)


@pytest.mark.parametrize("damage", [replaced(b""), replaced(b"[" * 200_000), replaced(PAGE), pipe])
def test_damaged_memory_of_hashes_is_rebuilt(make_nyuv2: Callable, tmp_path: Path, damage: Damage) -> None:
    dataset, cache = NYUv2(make_nyuv2(images=1), "test", (24, 32)), tmp_path / "hashes.json"
    cache.write_text("{}")
    damage(cache)
    assert fingerprint(dataset, cache) == fingerprint(dataset)
    assert len(json.loads(cache.read_text())) == 4 + 1, "the files of the image, and a checksum"


def test_a_hash_that_is_none_is_not_believed(make_nyuv2: Callable, tmp_path: Path) -> None:
    dataset, cache = NYUv2(make_nyuv2(images=1), "test", (24, 32)), tmp_path / "hashes.json"
    right = fingerprint(dataset, cache)
    known = json.loads(cache.read_text())
    del known["sha256"]
    for entry in known.values():
        entry[3] = "\ud800" * 64
    cache.write_text(json.dumps({**known, "sha256": checksum(known)}))
    assert fingerprint(dataset, cache) == right


# Cells


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def bomb() -> bytes:
    """A few kilobytes that claim to unpack to more than a cell may."""
    content = bytearray(archive(x=bytes(5_000_000)))
    start = content.index(b"PK\x01\x02")
    content[start + 24 : start + 28] = struct.pack("<I", MAX_UNPACKED + 1)
    return bytes(content)


OF_CELLS = {
    "empty": (replaced(b""), "damaged cell"),
    "cut at the start": (cut(4), "damaged cell"),
    "half": (cut(0.5), "damaged cell"),
    "without its end": (cut(-1), "damaged cell"),
    "web page": (replaced(PAGE), "damaged cell"),
    "array": (replaced(npy(np.zeros(3))), "damaged cell"),
    "directory": (directory, r"not a regular file"),
    "unreadable": (unreadable, r"cannot be read \(Permission denied\)"),
    "bomb": (replaced(bomb()), f"unpacks to {MAX_UNPACKED + 1} bytes, expected at most {MAX_UNPACKED}"),
    "giant": (
        replaced(archive(x=npy_claiming(10**9, 10**9))),
        r"damaged cell \(\d+ bytes for an array that takes 4000000000000000128",
    ),
    "no array": (replaced(archive(header=b"text")), "damaged cell"),
    "code": (lambda file: replaced(archive(x=pickle.dumps(Bomb(file.parent / "canary"))))(file), "damaged cell"),
}


@pytest.mark.parametrize("case", OF_CELLS)
def test_cells(tmp_path: Path, case: str) -> None:
    kept = Store(tmp_path)
    cell = Cell({"eps": 4.0}, {}, {"depth": ["abs_err"]}, {"losses": np.ones((7, 2))})
    file = kept.save(cell)
    damage, message = OF_CELLS[case]
    damage(file)
    with pytest.raises(DataError, match=message) as caught:
        kept.load(cell.key)
    assert str(file) in str(caught.value)
    if case not in ("directory", "unreadable"):
        assert "the attack that made it computes it again" in str(caught.value)
    assert not (tmp_path / "canary").exists()


# Weights, recipes, states


DATASET = FakeDataset(classes=40)


def model(seed: int = 0) -> TreeModel:
    return build(Trivial(), level(3, 2), three_tasks(), seed)


def state_with(value: object) -> dict[str, torch.Tensor]:
    state = {name: tensor.clone() for name, tensor in model().state_dict().items()}
    first = next(name for name in state if state[name].dtype.is_floating_point)
    if isinstance(value, torch.dtype):
        state[first] = state[first].to(value)
    else:
        state[first].view(-1)[0] = value
    return state


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.int64, torch.complex64], ids=str)
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_that_are_no_numbers(tmp_path: Path, value: object, suffix: str) -> None:
    file, loaded = tmp_path / f"model.{suffix}", model(1)
    before = weights_hash(loaded)
    (save_file if suffix == "safetensors" else torch.save)(state_with(value), file)
    with pytest.raises(CheckpointError, match="holds values that are NaN, infinite or no real numbers; exp") as caught:
        load_weights(loaded, file)
    assert str(file) in str(caught.value)
    assert weights_hash(loaded) == before


def test_packed_weights_are_not_unpacked(tmp_path: Path) -> None:
    """PyTorch unpacks compressed files: one of a thousandth of its size on disk would fill the memory."""
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save({"x": torch.zeros(1_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert torch.load(packed, weights_only=True)["x"].shape == (1_000_000,), "PyTorch by itself reads it"
    with pytest.raises(CheckpointError, match=r"packed\.pt: not a file of plain tensors \(unpacks to \d+ bytes, more"):
        load_weights(model(), packed)


@pytest.mark.parametrize("damage", [directory, pipe, unreadable])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_weights_that_cannot_be_opened(tmp_path: Path, name: str, damage: Damage) -> None:
    save_weights(model(), tmp_path / name)
    damage(tmp_path / name)
    with pytest.raises((CheckpointError, PermissionError), match=r"no such file; expected a weights file|Permission"):
        load_weights(model(), tmp_path / name)


def bomb_of_references(file: Path) -> None:
    """Each line merges the one before twice: forty lines, a million million values."""
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40)]
    file.write_text("\n".join(lines))


OF_RECIPES: dict[str, tuple[Damage, str]] = {
    "cut": (replaced(b"dataset: {name: 'roo"), "not valid YAML"),
    "bytes": (replaced(b"\xff\xfe\x00"), "not valid YAML"),
    "references": (bomb_of_references, "refers to 'a0', another part of itself; expected plain values"),
    "deep": (replaced(b"[" * 5_000 + b"]" * 5_000), "nested more than 20 deep; expected plain values"),
    "date": (replaced(b"when: 2024-99-99"), "not valid YAML"),
    "enormous": (enormous, "bytes; expected at most 100000"),
    "unreadable": (unreadable, "Permission denied"),
    "code": (
        lambda file: file.write_text(f"a: !!python/object/apply:os.mkdir [{file.parent / 'canary'}]") and None,
        "not valid YAML",
    ),
}


@pytest.mark.parametrize("case", OF_RECIPES)
def test_recipes(tmp_path: Path, case: str) -> None:
    checkpoint = find(tmp_path / "checkpoints", "name", {"lr": 1})
    checkpoint.write_recipe()
    file = checkpoint.folder / "recipe.yaml"
    damage, message = OF_RECIPES[case]
    damage(file)
    with pytest.raises(CheckpointError, match=message) as caught:
        find(tmp_path / "checkpoints", "name", {"lr": 1})
    assert f"{file}: not a readable recipe (" in str(caught.value)
    assert "delete its folder to train again" in str(caught.value)
    assert not (checkpoint.folder / "canary").exists()
    if case == "code":
        yaml.unsafe_load(file.read_text())
        assert (checkpoint.folder / "canary").exists(), "the canary would sing"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"training_seconds": "1", "times_clean": 1}', "[" * 200_000, "<html>"]
)
def test_costs(tmp_path: Path, text: str) -> None:
    (tmp_path / "cost.json").write_text(text)
    with pytest.raises(
        CheckpointError, match=r"cost\.json: (not valid JSON|expected training_seconds and times_clean)"
    ):
        assert Checkpoint(tmp_path, {}).cost


RECIPE = Recipe(iterations=6, batch_size=3, lr=1e-3)


class Killed(BaseException):
    pass


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """The state of a training that was killed after its first save."""

    def kill(done: int, total: int, note: str) -> None:
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        train(
            model(),
            DATASET,
            RECIPE,
            torch.device("cpu"),
            tmp_path / "state.pt",
            save_every=2,
            progress=kill,
        )
    return tmp_path / "state.pt"


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}},
        {"model": None},
        {"model": {"x": torch.zeros(1)}},
        {"optimiser": {}},
        {"optimiser": {"state": {}, "param_groups": []}},
        {"rows": 3},
    ],
    ids=str,
)
def test_states_with_something_else_inside(interrupted: Path, change: dict[str, object]) -> None:
    torch.save(read_pickle(interrupted) | change, interrupted)
    with pytest.raises(CheckpointError, match=r"state\.pt: damaged \(.*; delete it to train from the beginning"):
        train(model(), DATASET, RECIPE, torch.device("cpu"), interrupted)


def in_a_tensor(file: Path) -> None:
    """One bit of one weight: nothing shows it but a checksum."""
    with zipfile.ZipFile(file) as archive:
        largest = archive.read(max(archive.infolist(), key=lambda entry: entry.file_size))
    flipped(file.read_bytes().index(largest) + len(largest) // 2)(file)


@pytest.mark.parametrize("damage", [replaced(b""), cut(0.5), replaced(PAGE), directory, in_a_tensor])
def test_damaged_states_begin_again(interrupted: Path, caplog: pytest.LogCaptureFixture, damage: Damage) -> None:
    damage(interrupted)
    curve = train(model(), DATASET, RECIPE, torch.device("cpu"), interrupted)
    assert len(curve.rows) == 6
    assert f"{interrupted}: " in caplog.text
    assert "the training starts from the beginning" in caplog.text


@pytest.mark.parametrize(
    "identity", [{}, {"n_images": 7}, {"n_images": "x", "attack": "none"}, {"n_images": -1}], ids=str
)
def test_a_report_of_a_cell_that_says_nothing(call: Callable, tmp_path: Path, identity: dict[str, object]) -> None:
    """Sound in itself, by its checksum, but nothing that mtlbench computed."""
    file = Store(tmp_path / "outputs" / "store").save(Cell(identity, {}, {"depth": ["abs_err"]}, {"x": np.ones(3)}))
    done = call("report")
    assert (done.status, "Traceback" in done.err) == (3, False), done.err
    assert str(file.name) in done.err
