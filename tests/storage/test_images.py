"""Saved images: their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlbench.errors import DataError
from mtlbench.storage.files import temporary
from mtlbench.storage.images import Images, SavedImages, set_name

ABOUT: dict[str, Any] = {
    "clean": "c",
    "names": ["<b>.png"],
    "roles": ["worst"],
    "ranks": [1],
    "over": 1,
    "n_images": 3,
    "tasks": [],
    "losses": [[1.0]],
    "losses_rounded": [[None]],
    "losses_of_cell": [[1.0]],
}
NASTY = 'a/../"<b>\u2028'


TASKS = [{"name": NASTY, "holds": "values", "per_image": False, "channels": 3, "unit": "", "labels": []}]


def saved(key: str = "k") -> SavedImages:
    image = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 3, 2, 2)
    return SavedImages(
        key, ABOUT | {"tasks": TASKS}, {"image": image, f"prediction/{NASTY}": image[:, ::-1], "mask/x": image > 0.5}
    )


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    Images(tmp_path).save("set", saved())
    found = Images(tmp_path).load("set", "k")
    for name, array in saved().arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array)


def test_what_it_says_is_read_without_the_images(tmp_path: Path) -> None:
    Images(tmp_path).save("set", saved())
    assert saved().about.items() <= Images(tmp_path).about("set", "k").items()


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = Images(tmp_path).save("set", saved()).read_bytes()
    about, arrays = (dict(reversed([*part.items()])) for part in (saved().about, saved().arrays))
    turned = SavedImages("k", about, arrays)
    assert Images(tmp_path).save("set", turned).read_bytes() == first


def test_sets_list_their_cells(tmp_path: Path) -> None:
    images = Images(tmp_path)
    images.save("a", saved("one"))
    images.save("a", saved("two"))
    images.save("b", saved("one"))
    (tmp_path / "empty").mkdir()
    assert images.sets() == {"a": {"one", "two"}, "b": {"one"}}


def test_a_folder_that_is_not_there_has_no_sets(tmp_path: Path) -> None:
    assert Images(tmp_path / "images").sets() == {}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"k\.safetensors"):
        Images(tmp_path).load("set", "k")


@pytest.mark.parametrize("read", ["about", "load"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02" + b"\0" * 7 + b"{}", b"\x02" + b"\0" * 7 + b"[]"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, read: str) -> None:
    path = Images(tmp_path).save("set", saved())
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"k\.safetensors: not readable .* delete the file"):
        getattr(Images(tmp_path), read)("set", "k")


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = Images(tmp_path).save("set", saved())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="does not match its checksum"):
        Images(tmp_path).load("set", "k")


def test_every_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    path = Images(tmp_path).save("set", saved())
    content, whole = path.read_bytes(), Images(tmp_path).load("set", "k")
    silent = []
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            found = Images(tmp_path).load("set", "k")
        except DataError:
            continue
        same = found.arrays.keys() == whole.arrays.keys()
        if not same or any(found.arrays[name].tobytes() != whole.arrays[name].tobytes() for name in found.arrays):
            silent.append(position)
    assert silent == []


def test_images_of_another_cell_are_refused(tmp_path: Path) -> None:
    path = Images(tmp_path).save("set", saved())
    path.rename(path.with_stem("other"))
    with pytest.raises(DataError, match="does not match"):
        Images(tmp_path).load("set", "other")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ["a", "b"]}, "roles: expected one str for each of 2 images"),
        ({"names": [1]}, "names: expected"),
        ({"ranks": ["<b>"]}, "ranks: expected one int"),
        ({"tasks": [{**TASKS[0], "labels": "x"}]}, "tasks: expected name, holds"),
        ({"tasks": [{**TASKS[0], "holds": "<b>"}]}, "tasks: holds <b>; expected classes"),
        ({"tasks": ["x"]}, "not readable"),
        ({"losses": [["1"]]}, "losses: expected a number or null"),
        ({"losses": [[1.0, 2.0]]}, "losses: expected"),
        ({"over": "<b>"}, "over, n_images, clean: expected"),
        ({"names": None}, "not readable"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    Images(tmp_path).save("set", SavedImages("k", {**saved().about, **change}, saved().arrays))
    with pytest.raises(DataError, match=rf"k\.safetensors: {words}"):
        Images(tmp_path).about("set", "k")


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 3, 1, 1)), np.zeros((1, 3, 0, 1)), None])
def test_images_that_are_not_there_are_named(tmp_path: Path, array: np.ndarray | None) -> None:
    arrays = {**saved().arrays, "image": array}
    Images(tmp_path).save("set", SavedImages("k", saved().about, {k: v for k, v in arrays.items() if v is not None}))
    with pytest.raises(DataError, match="lacks image"):
        Images(tmp_path).load("set", "k")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = Images(tmp_path).save("set", saved())
    content = path.read_bytes()
    assert content.count(b'\\"schema\\": 1') == 1
    path.write_bytes(content.replace(b'\\"schema\\": 1', b'\\"schema\\": 9'))
    with pytest.raises(DataError, match="schema 9"):
        Images(tmp_path).about("set", "k")


def test_what_a_killed_writer_leaves_is_no_cell(tmp_path: Path) -> None:
    images = Images(tmp_path)
    whole = images.save("set", saved())
    temporary(whole).write_bytes(b"half")
    temporary(images.path("other", "k")).parent.mkdir()
    temporary(images.path("other", "k")).write_bytes(b"half")
    assert images.sets() == {"set": {"k"}}


def test_a_set_is_named_by_the_cells_that_decided_and_the_number() -> None:
    assert set_name(["b", "a"], 8) == set_name(["a", "b"], 8)
    assert len({set_name(["a"], 8), set_name(["a"], 7), set_name(["a", "b"], 8)}) == 3
