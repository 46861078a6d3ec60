"""A file is decoded exactly, or refused with its name and what it is."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtlbench.data.files import inside, read_gray8, read_gray16, read_npy, read_rgb
from mtlbench.errors import DataError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 7, 3), np.uint8)
GRAY8 = RNG.integers(0, 256, (9, 7), np.uint8)
GRAY16 = RNG.integers(0, 65536, (9, 7), np.uint16)
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)


def encode(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG_RGB, PNG_8, PNG_16 = encode(RGB[..., ::-1]), encode(GRAY8), encode(GRAY16)
PALETTE = png(2, 1, 8, 3, b"\0\0\1", chunk(b"PLTE", bytes(range(6))))
FOUR_BIT = png(2, 1, 4, 0, b"\0\x12")
BOMB = png(60000, 60000, 8, 2, b"\0")
SHORT = png(7, 9, 8, 2, b"\0" * 20)


def test_each_reader_returns_the_stored_values(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[Path], np.ndarray], bytes, np.ndarray]] = [
        (read_rgb, PNG_RGB, RGB),
        (read_gray8, PNG_8, GRAY8),
        (read_gray16, PNG_16, GRAY16),
    ]
    for read, data, array in cases:
        (tmp_path / "a.png").write_bytes(data)
        found = read(tmp_path / "a.png")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


@pytest.mark.parametrize(
    ("read", "data", "message"),
    [
        (read_rgb, b"", "empty file"),
        (read_rgb, b"  <!DOCTYPE html><html>", "HTML page"),
        (read_rgb, cv2.imencode(".jpg", RGB)[1].tobytes(), "a JPEG"),
        (read_rgb, b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (read_rgb, b"nonsense", "begins with b'nonsense'"),
        (read_rgb, PNG_RGB[:20], "without a header"),
        (read_rgb, PNG_RGB[:-13], "cut short"),
        (read_rgb, PNG_8, "8-bit grey-scale PNG; expected 8-bit RGB"),
        (read_rgb, encode(RGB.astype(np.uint16)), "16-bit RGB PNG; expected 8-bit RGB"),
        (read_rgb, encode(np.dstack([RGB, GRAY8])), r"8-bit RGB \+ alpha PNG"),
        (read_rgb, PALETTE, "8-bit palette PNG"),
        (read_rgb, BOMB, "60000x60000 pixels; expected 1 to 64000000"),
        (read_gray8, PNG_16, "16-bit grey-scale PNG; expected 8-bit grey-scale"),
        (read_gray8, PALETTE, "8-bit palette PNG"),
        (read_gray8, FOUR_BIT, "4-bit grey-scale PNG"),
        (read_gray8, PNG_RGB, "8-bit RGB PNG"),
        (read_gray16, PNG_8, "8-bit grey-scale PNG; expected 16-bit grey-scale"),
    ],
)
def test_other_files_are_named_and_refused(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    read: Callable[[Path], np.ndarray],
    data: bytes,
    message: str,
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "a.png")
    assert str(error.value).startswith(f"{tmp_path / 'a.png'}: ")
    assert capfd.readouterr().err == ""


def test_too_few_pixels_behind_a_valid_checksum_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SHORT)
    with pytest.raises(DataError, match="cannot be decoded"):
        read_rgb(tmp_path / "a.png")


def test_missing_files_and_folders_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_rgb(tmp_path / "absent.png")
    with pytest.raises(DataError, match="not a regular file"):
        read_rgb(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="not a regular file"):
        read_rgb(tmp_path / "pipe.png")


@reuse
@given(length=st.integers(0, len(PNG_RGB) - 1))
def test_every_truncation_of_a_png_is_noticed(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.png").write_bytes(PNG_RGB[:length])
    with pytest.raises(DataError):
        read_rgb(tmp_path / "a.png")


@reuse
@given(position=st.integers(0, len(PNG_16) - 1), change=st.integers(1, 255))
def test_every_changed_byte_of_a_png_is_noticed(tmp_path: Path, position: int, change: int) -> None:
    data = bytearray(PNG_16)
    data[position] ^= change
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError):
        read_gray16(tmp_path / "a.png")


def npy(array: np.ndarray, folder: Path) -> Path:
    np.save(folder / "a.npy", array)
    return folder / "a.npy"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "i1", "<u2"])
def test_npy_of_either_order_and_any_number_type(tmp_path: Path, order: str, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    path = npy(np.asarray(array, order=order), tmp_path)  # type: ignore[call-overload]
    np.testing.assert_array_equal(read_npy(path, ndim=2), array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1.0, np.nan]]), "1 of 2 values are NaN or infinite"),
        (np.array([[1.0, np.inf], [-np.inf, 0]]), "2 of 4 values"),
        (np.zeros(3), r"shape \(3,\); expected 2 axes"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.array([[{}, 1]], dtype=object), "pickled Python objects"),
        (np.array([["a", "b"]]), "values of type"),
        (np.zeros((2, 2), complex), "values of type complex128"),
    ],
)
def test_unusable_npy_files_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_npy(npy(array, tmp_path), ndim=2)


def test_npy_with_other_channels_or_a_huge_claimed_shape(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 axes, the last of length 3"):
        read_npy(npy(np.zeros((2, 2, 4)), tmp_path), ndim=3, channels=3)
    path = npy(np.zeros((2, 2)), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"(2, 2), }      ", b"(2000000, 2), }"))
    with pytest.raises(DataError, match=r"holds 32 bytes of values; shape \(2000000, 2\) of float64 needs 32000000"):
        read_npy(path, ndim=2)
    path.write_bytes(path.read_bytes().replace(b"(2000000, 2)", b"(2000000, 9)").replace(b"9)", b"99)", 1))
    with pytest.raises(DataError, match="expected at most 64000000 pixels"):
        read_npy(path, ndim=2)


@reuse
@given(data=st.data())
def test_damaged_npy_headers_never_raise_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(npy(np.arange(12, dtype=np.float32).reshape(3, 4), tmp_path).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(whole)))
    (tmp_path / "a.npy").write_bytes(whole[:length])
    try:
        values = read_npy(tmp_path / "a.npy", ndim=2)
    except DataError as error:
        assert str(error).startswith(str(tmp_path / "a.npy"))
    else:
        assert values.ndim == 2


@pytest.mark.parametrize("entry", ["/etc/passwd", "../a.png", "img/../../a.png", "", "img\\a.png", "a\0.png"])
def test_entries_that_spell_a_way_out_are_refused(tmp_path: Path, entry: str) -> None:
    with pytest.raises(DataError, match="may leave the root") as error:
        inside(tmp_path, entry, tmp_path / "list.json")
    assert str(tmp_path / "list.json") in str(error.value)
    assert repr(entry) in str(error.value)


def test_symbolic_links_may_stay_inside_but_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "img").mkdir(parents=True)
    (tmp_path / "root2").mkdir()
    (root / "link").symlink_to(root / "img")
    (root / "out").symlink_to(tmp_path / "root2")
    assert inside(root, "link/a.png", root / "list.json") == root / "link" / "a.png"
    with pytest.raises(DataError, match=r"symbolic link to .*root2/a.png, outside the root"):
        inside(root, "out/a.png", root / "list.json")
    (tmp_path / "alias").symlink_to(root)
    assert inside(tmp_path / "alias", "img/a.png", root / "list.json").name == "a.png"
