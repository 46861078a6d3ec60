"""Strict decoding and safe paths: a file has exactly the expected format, or a `DataError` says what it is.

Common decoders are lenient in ways that silently corrupt a benchmark: reading as grey-scale turns 16-bit depth into 8
bits and palette labels into luminance, and a truncated PNG may be returned with a blank lower half.
"""

import os
import re
import struct
import zlib
from collections.abc import Sequence
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
GREY_SCALE, RGB, PALETTE = 0, 2, 3
_COLOURS = {GREY_SCALE: "grey-scale", RGB: "RGB", PALETTE: "palette", 4: "grey-scale + alpha", 6: "RGB + alpha"}
_OTHER_FORMATS = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a zip archive (or .npz)",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer (fetch the file itself with `git lfs pull`)",
    _PNG: "a PNG",
}

# Matched, not evaluated: NumPy's own parser raises many kinds of exceptions for a damaged header.
_NPY_FIELDS = (
    rb"'descr': *'([<>|=]?[A-Za-z]\d{0,4})'",
    rb"'fortran_order': *(True|False)",
    rb"'shape': *\(([\dL, ]{0,100})\)",
)

# Decoding is parallel over images, in worker processes; OpenCV's own threads do not survive a fork.
cv2.setNumThreads(0)


def check_relative(relative: str, root: Path, listed_in: Path) -> None:
    """Refuse a listed path whose spelling could leave the root (without disk access).

    Raises:
        DataError: the path is empty, absolute, or holds ``..``, a backslash or what cannot be printed.
    """
    # Unprintable characters (a NUL byte, a lone surrogate) would raise other errors in the file system.
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
    """The absolute path of `relative` below `root`, with symbolic links checked.

    Args:
        root: the dataset's folder.
        relative: an entry of a list file.
        listed_in: that list file, for the message.
        follow_links: symbolic links may lead out of the root. Links were made by the owner of the folder; the spelling
            of an entry, which is untrusted, must always stay below the root.

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
    return read_png(path, [(8, RGB)])


def read_gray8(path: Path) -> Array:
    """Decode an 8-bit grey-scale PNG to uint8 [H, W]; raises as `read_rgb`."""
    return read_png(path, [(8, GREY_SCALE)])


def read_gray16(path: Path) -> Array:
    """Decode a 16-bit grey-scale PNG to uint16 [H, W]; raises as `read_rgb`."""
    return read_png(path, [(16, GREY_SCALE)])


def read_png(path: Path, forms: Sequence[tuple[int, int]], remedy: str = "") -> Array:
    """Decode a PNG losslessly.

    Args:
        path: the file.
        forms: what is right: pairs of bits (8 or 16) and one of `GREY_SCALE`, `RGB`, `PALETTE`.
        remedy: what to do about any other format, for the message.

    Returns:
        uint8 or uint16 [H, W], or [H, W, 3] in RGB order. A palette gives its indices, uint8 [H, W], never its
        colours; any bit depth is accepted.

    Raises:
        DataError: missing, not a PNG, damaged, above `MAX_PIXELS`, or of another format.
    """
    data = _read(path)
    if not data.startswith(_PNG):
        raise DataError(f"{path}: not a PNG but {_what(data)}")
    if len(data) < 33 or data[8:16] != b"\0\0\0\x0dIHDR":
        raise DataError(f"{path}: PNG without a header ({len(data)} bytes)")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if (8 if colour == PALETTE else bits, colour) not in forms:
        expected = " or ".join(f"{b}-bit {_COLOURS[c]}" for b, c in forms)
        found = _COLOURS.get(colour, f"colour type {colour}")
        raise DataError(f"{path}: {bits}-bit {found} PNG; expected {expected}{remedy}")
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path}: header claims {width}x{height} pixels; expected 1 to {MAX_PIXELS} in all")
    pixels = _checked_chunks(path, data)
    if colour == PALETTE:
        pixels = _as_grey(pixels)
    image = cv2.imdecode(np.frombuffer(pixels, np.uint8), cv2.IMREAD_UNCHANGED)
    shape = (height, width, 3) if colour == RGB else (height, width)
    if image is None or image.shape != shape or image.itemsize * 8 != max(bits, 8):
        raise DataError(f"{path}: damaged PNG, its pixel data cannot be decoded")
    if colour == PALETTE:
        return image // (255 // (2**bits - 1))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if colour == RGB else image


def read_jpeg(path: Path) -> Array:
    """Decode a JPEG to uint8 [H, W, 3] in RGB order, as stored: the EXIF orientation is ignored.

    Raises:
        DataError: missing, not a JPEG, cut short, damaged, or above `MAX_PIXELS`.
    """
    data = _read(path)
    if not data.startswith(b"\xff\xd8\xff"):
        raise DataError(f"{path}: not a JPEG but {_what(data)}")
    width, height = _jpeg_size(path, data)
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f"{path}: header claims {width}x{height} pixels; expected 1 to {MAX_PIXELS} in all")
    # The decoder fills missing data with grey and only warns; a complete file has an end marker.
    if b"\xff\xd9" not in data[-1024:]:
        raise DataError(f"{path}: JPEG cut short after {len(data)} bytes (no end marker)")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape != (height, width, 3):
        raise DataError(f"{path}: damaged JPEG, its pixel data cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _jpeg_size(path: Path, data: bytes) -> tuple[int, int]:
    """Width and height from the header."""
    position = 2
    while position + 9 < len(data) and data[position] == 0xFF:
        kind = data[position + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        position += 1 if kind == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4])
    raise DataError(f"{path}: damaged JPEG, it does not say how large it is")


def _as_grey(png: bytes) -> bytes:
    """The same PNG declared as grey-scale, so that a decoder returns the palette indices."""
    header = png[12:25] + b"\0" + png[26:29]
    out = _PNG + b"\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header))
    position = len(out)
    while position < len(png):
        end = position + 12 + int.from_bytes(png[position : position + 4])
        if png[position + 4 : position + 8] != b"PLTE":
            out += png[position:end]
        position = end
    return out


def read_npy(path: Path, ndim: int | Sequence[int], channels: int | None = None, finite: bool = True) -> Array:
    """Read a .npy file of real numbers, in either memory order.

    Args:
        path: the file.
        ndim: the allowed number of axes, or several.
        channels: length of the last axis, if it is fixed.
        finite: whether NaN and infinity raise an error.

    Returns:
        The array in its own data type.

    Raises:
        DataError: missing, not a .npy file, cut short, pickled, not numeric, with other axes, above
            `MAX_PIXELS`, or holding NaN or infinity.
    """
    data = _read(path)
    shape, fortran, dtype, start = _npy_header(path, data)
    axes = [ndim] if isinstance(ndim, int) else list(ndim)
    if len(shape) not in axes or (channels is not None and shape[-1] != channels) or min(shape, default=0) < 1:
        wanted = f"{' or '.join(map(str, axes))} axes" + (
            "" if channels is None else f", the last of length {channels}"
        )
        raise DataError(f"{path}: array of shape {shape}; expected {wanted}")
    if prod(shape[:2]) > MAX_PIXELS:
        raise DataError(f"{path}: array of shape {shape}; expected at most {MAX_PIXELS} pixels")
    if len(data) - start != prod(shape) * dtype.itemsize:
        raise DataError(
            f"{path}: holds {len(data) - start} bytes of values; "
            f"shape {shape} of {dtype} needs {prod(shape) * dtype.itemsize} (cut short while copying?)"
        )
    values = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    invalid = values.size - int(np.count_nonzero(np.isfinite(values))) if finite else 0
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


def _checked_chunks(path: Path, data: bytes) -> bytes:
    """The PNG reduced to its pixel data, after the length and checksum of every chunk are verified.

    The dropped chunks (colour profiles, transparency, text) affect no pixel and only cause warnings.
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
