"""Strict decoding and safe paths: a file is exactly what its format says, or a `DataError` says what it is.

Decoders elsewhere are lenient in ways that corrupt a benchmark silently: a grey-scale read turns 16-bit
depth into 8 bits and palette labels into luminance, a cut PNG may come back with its lower half blank.
"""

import os
import re
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import DataError
from mtlbench.storage.bounded import read_bytes

Array = NDArray[Any]

MAX_PIXELS = 64_000_000
MAX_BYTES = 2_000_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_COLOURS = {0: "grey-scale", 2: "RGB", 3: "palette", 4: "grey-scale + alpha", 6: "RGB + alpha"}
_OTHER_FORMATS = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a zip archive (or .npz)",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself with `git lfs pull`)",
    _PNG: "a PNG",
}

# Matched, not evaluated: NumPy's own parser lets many kinds of exception out of a damaged header.
_NPY_FIELDS = (
    rb"'descr': *'([<>|=]?[A-Za-z]\d{0,4})'",
    rb"'fortran_order': *(True|False)",
    rb"'shape': *\(([\dL, ]{0,100})\)",
)

# Decoding is parallel over images, in worker processes; OpenCV's own threads do not survive a fork.
cv2.setNumThreads(0)


def check_relative(relative: str, root: Path, listed_in: Path) -> None:
    """Refuse a listed path that could leave its root, by its spelling alone (no disk access).

    Raises:
        DataError: the path is empty, absolute, or holds ``..``, a backslash or what cannot be printed.
    """
    # What cannot be printed (a NUL byte, half of a surrogate pair) would raise other errors from the file system.
    if (
        not relative.isprintable()
        or not relative
        or relative.startswith("/")
        or ".." in relative.split("/")
        or "\\" in relative
    ):
        raise DataError(
            f"{listed_in}: entry {relative!r} may leave the root {root}; "
            "expected a relative path of printable characters, with forward slashes and without '..'"
        )


def inside(root: Path, relative: str, listed_in: Path, follow_links: bool = False) -> Path:
    """The absolute path of `relative` below `root`, symbolic links checked.

    Args:
        root: the dataset's folder.
        relative: an entry of a list file.
        listed_in: that list file, for the message.
        follow_links: symbolic links may lead out of the root. Its owner has made them; the spelling of an entry, which
            anybody may have written, must stay below the root in any case.

    Raises:
        DataError: the path leaves the root, by its spelling or through a symbolic link.
    """
    check_relative(relative, root, listed_in)
    path = root / relative
    if follow_links:
        return path
    real, real_root = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(real_root.rstrip("/") + "/"):
        raise DataError(
            f"{listed_in}: entry {relative!r} leads by a symbolic link to {real}, outside the root {root}; "
            "dataset.follow_links=true follows links"
        )
    return path


def read_rgb(path: Path) -> Array:
    """Decode an 8-bit RGB PNG to uint8 [H, W, 3] in RGB order.

    Raises:
        DataError: missing, not a PNG, damaged, above `MAX_PIXELS`, or of another depth or colour type.
    """
    return cv2.cvtColor(_decode_png(path, bits=8, colour=2), cv2.COLOR_BGR2RGB)


def read_gray8(path: Path) -> Array:
    """Decode an 8-bit grey-scale PNG to uint8 [H, W]; raises as `read_rgb`."""
    return _decode_png(path, bits=8, colour=0)


def read_gray16(path: Path) -> Array:
    """Decode a 16-bit grey-scale PNG to uint16 [H, W]; raises as `read_rgb`."""
    return _decode_png(path, bits=16, colour=0)


def read_npy(path: Path, ndim: int, channels: int | None = None) -> Array:
    """Read a .npy file of real numbers, in either memory order.

    Args:
        path: the file.
        ndim: the number of axes that is right.
        channels: length of the last axis, where it matters.

    Returns:
        The array in its own data type, every value finite.

    Raises:
        DataError: missing, not a .npy file, cut short, pickled, not numeric, of other axes, above
            `MAX_PIXELS`, or holding NaN or infinity.
    """
    data = _read(path)
    shape, fortran, dtype, start = _npy_header(path, data)
    if len(shape) != ndim or (channels is not None and shape[-1] != channels) or min(shape, default=0) < 1:
        wanted = f"{ndim} axes" + ("" if channels is None else f", the last of length {channels}")
        raise DataError(f"{path}: array of shape {shape}; expected {wanted}")
    if prod(shape[:2]) > MAX_PIXELS:
        raise DataError(f"{path}: array of shape {shape}; expected at most {MAX_PIXELS} pixels")
    if len(data) - start != prod(shape) * dtype.itemsize:
        raise DataError(
            f"{path}: holds {len(data) - start} bytes of values; "
            f"shape {shape} of {dtype} needs {prod(shape) * dtype.itemsize} (cut short while copying?)"
        )
    values = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    invalid = values.size - int(np.count_nonzero(np.isfinite(values)))
    if invalid:
        raise DataError(f"{path}: {invalid} of {values.size} values are NaN or infinite; expected none")
    return values


def _npy_header(path: Path, data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, data type and offset of the values."""
    if not data.startswith(b"\x93NUMPY"):
        raise DataError(f"{path}: not a .npy file but {_what(data)}")
    width = 2 if data[6:7] == b"\x01" else 4  # bytes of the length field, by the version of the format
    start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    header = data[8 + width : start]
    fields = [re.search(pattern, header) for pattern in _NPY_FIELDS]
    if None in fields or start > len(data):
        raise DataError(f"{path}: damaged .npy header {header[:80]!r}")
    descr, order, shape = (field[1].decode() for field in fields if field)
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise DataError(f"{path}: unknown data type {descr!r} in the .npy header") from error
    if dtype.kind not in "fiu":
        kind = "pickled Python objects" if dtype.hasobject else f"values of type {dtype}"
        raise DataError(f"{path}: holds {kind}; expected real numbers")
    return tuple(map(int, re.findall(r"\d+", shape))), order == "True", dtype, start


def _decode_png(path: Path, bits: int, colour: int) -> Array:
    data = _read(path)
    if not data.startswith(_PNG):
        raise DataError(f"{path}: not a PNG but {_what(data)}")
    if len(data) < 33 or data[8:16] != b"\0\0\0\x0dIHDR":
        raise DataError(f"{path}: PNG without a header ({len(data)} bytes)")
    width, height, found_bits, found_colour = struct.unpack_from(">IIBB", data, 16)
    if (found_bits, found_colour) != (bits, colour):
        found = _COLOURS.get(found_colour, f"colour type {found_colour}")
        raise DataError(f"{path}: {found_bits}-bit {found} PNG; expected {bits}-bit {_COLOURS[colour]}")
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path}: header claims {width}x{height} pixels; expected 1 to {MAX_PIXELS} in all")
    image = cv2.imdecode(np.frombuffer(_checked_chunks(path, data), np.uint8), cv2.IMREAD_UNCHANGED)
    shape = (height, width, 3) if colour == 2 else (height, width)
    if image is None or image.shape != shape or image.itemsize * 8 != bits:
        raise DataError(f"{path}: damaged PNG, its pixel data cannot be decoded")
    return image


def _checked_chunks(path: Path, data: bytes) -> bytes:
    """The PNG reduced to its pixels, after every chunk's length and checksum have been verified.

    Dropped chunks (colour profiles, transparency, text) change no pixel here and only provoke warnings.
    """
    view, position, kept = memoryview(data), len(_PNG), [_PNG]
    while True:
        if position + 12 > len(data):
            raise DataError(f"{path}: PNG cut short after {len(data)} bytes (no end marker)")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise DataError(f"{path}: PNG cut short after {len(data)} bytes (inside chunk {kind!r})")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise DataError(f"{path}: damaged PNG, chunk {kind!r} at byte {position} fails its checksum")
        if kind in _NEEDED_CHUNKS:
            kept.append(bytes(view[position:end]))
        if kind == b"IEND":
            return b"".join(kept)
        position = end


def _read(path: Path) -> bytes:
    """The bytes of a regular, non-empty file."""
    data = read_bytes(path, MAX_BYTES)
    if not data:
        raise DataError(f"{path}: empty file")
    return data


def _what(data: bytes) -> str:
    """Name a format by its first bytes."""
    if data[:256].lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "an HTML page (a failed download?)"
    for magic, name in _OTHER_FORMATS.items():
        if data.startswith(magic):
            return name
    return f"something that begins with {data[:12]!r}"
