"""Decodes one file of an image to an array of its kind, or raises an error with a guess of what the file is.

Class ids are uint8 [H, W], 255 if ignored; other targets are float32 [H, W, C], NaN if ignored.
"""

from pathlib import Path

import numpy as np

from mtlbench.data.files import Array
from mtlbench.data.folder.description import CLASSES, DEPTH, NORMALS, Image, Target
from mtlbench.data.folder.encoding import Encoding
from mtlbench.errors import DataError

IGNORE = 255
LENGTHS = (0.9, 1.1)
"""Plausible range of the median length of normals."""

METRES = (0.05, 200.0)
"""Plausible range of the median depth of an image, in metres."""

ZERO = 1e-3
BYTE = 255.0


def read_image(path: Path, image: Image, source: str) -> Array:
    """RGB [H, W, 3]: uint8, or float32 in 0..1 if the file holds other types.

    Raises:
        DataError: the values are outside the described range, or, without one, no bytes.
    """
    encoding = image.encoding
    try:
        stored = encoding.stored(path, channels=3)
    except DataError:
        if encoding.order:
            raise
        stored = encoding.stored(path, channels=1).repeat(3, axis=2)  # a grey-scale image
    is_bytes = stored.dtype == np.uint8
    if is_bytes and image.range in (None, (0, BYTE)):
        return np.ascontiguousarray(stored)
    low, high = float(stored.min()), float(stored.max())
    seen = f"{path}: image values {low:g} to {high:g} of type {stored.dtype}"
    if image.range is None:
        raise DataError(f"{seen}; which are black and white? {source}: image.range: [0, 1] or [0, 255] says it")
    black, white = image.range
    slack = 1e-3 * (white - black)
    if not black - slack <= low <= high <= white + slack:
        raise DataError(f"{seen}; {source}: image.range={list(image.range)}; expected values inside it")
    if high - black < (white - black) / 100 and high > low:
        raise DataError(f"{seen}, all but black; {source}: image.range={list(image.range)} seems to be another one")
    values = (stored.astype(np.float32) - np.float32(black)) / np.float32(white - black)
    return np.clip(values, 0, 1)


def read_target(path: Path, target: Target, source: str) -> Array:
    """Decode the target in a file; see the module."""
    channels = 1 if target.kind in (CLASSES, DEPTH) else target.channels
    stored = target.encoding.stored(path, channels)
    return convert(stored, target, path, f"{source}: tasks.{target.name}")


def absent(size: tuple[int, int], target: Target, source: str) -> Array:
    """The target of an image without a file, as defined by `Target.missing`."""
    channels = 1 if target.kind in (CLASSES, DEPTH) else target.channels
    if isinstance(target.missing, float):
        stored = np.full((*size, channels), target.missing)
        return convert(stored, target, Path("missing"), f"{source}: tasks.{target.name}")
    if target.kind == CLASSES:
        return np.full(size, IGNORE, np.uint8)
    return np.full((*size, channels), np.nan, np.float32)


def convert(stored: Array, target: Target, path: Path, key: str) -> Array:
    """Stored values [H, W, C] to the target."""
    if target.kind == CLASSES:
        return _classes(stored, target, path, key)
    values = target.encoding.values(stored)
    if target.kind == NORMALS:
        return _normals(values, target.encoding, path, key)
    return _depth(values, target, path, key) if target.kind == DEPTH else values


def _classes(stored: Array, target: Target, path: Path, key: str) -> Array:
    """uint8 [H, W]."""
    counts = ~target.encoding.ignored(stored)
    ids, last = stored[..., 0], len(target.classes) - 1
    if stored.dtype.kind == "f" and (ids[counts] != np.rint(ids[counts])).any():
        wrong = ids[counts & (ids != np.rint(ids))][:3].tolist()
        raise DataError(f"{path}: class ids {wrong}; {key}: expected whole numbers")
    ids = np.where(counts, ids, 0).astype(np.int64)
    if target.map:
        return _mapped(ids, counts, target, path, key)
    ids = ids + int(target.encoding.offset)
    wrong = counts & ((ids < 0) | (ids > last))
    if wrong.any():
        shift = f" after offset: {target.encoding.offset}" if target.encoding.offset else ""
        raise DataError(
            f"{path}: class ids {np.unique(ids[wrong])[:10].tolist()}{shift}; {key}.classes has 0 to {last}; "
            "ignore: [..] takes stored ids out, map: {..} and offset: move them"
        )
    return np.where(counts, ids, IGNORE).astype(np.uint8)


def _mapped(ids: Array, counts: Array, target: Target, path: Path, key: str) -> Array:
    meant = dict(target.map)
    out = np.full(ids.shape, IGNORE, np.uint8)
    unknown = []
    for stored in np.unique(ids[counts]).tolist():
        if str(stored) not in meant and "*" not in meant:
            unknown.append(stored)
            continue
        found = meant[str(stored) if str(stored) in meant else "*"]
        out[counts & (ids == stored)] = IGNORE if found is None else found
    if unknown:
        raise DataError(
            f"{path}: class ids {unknown[:10]}; {key}.map has {', '.join(meant)}; '*': ignore takes all others out"
        )
    return out


def _normals(values: Array, encoding: Encoding, path: Path, key: str) -> Array:
    """Unit vectors, float32 [H, W, 3]; zero vectors are ignored."""
    length = np.sqrt(np.einsum("hwc,hwc->hw", values, values))
    counts = length > ZERO  # false for NaN
    out = np.full(values.shape, np.nan, np.float32)
    if not counts.any():
        return out
    vectors, median = values[counts], float(np.median(length[counts]))
    low, high = LENGTHS
    given = f"scale={encoding.scale}, offset={encoding.offset}"
    if not low <= median <= high:
        raise DataError(
            f"{path}: normals of median length {median:.3g} with {given}; expected 1. {key}: bytes v stand for "
            "scale: 2/255, offset: -1; numbers -1..1 for scale: 1"
        )
    if vectors.min() >= 0 and low <= float(np.median(np.linalg.norm(2 * vectors - 1, axis=1))) <= high:
        raise DataError(
            f"{path}: normals without a negative component with {given}: they seem to be stored uncentred; {key}: "
            f"scale: {2 * encoding.scale}, offset: {2 * encoding.offset - 1} makes unit vectors of them"
        )
    # Like `nyuv2.unit_vectors`, bit for bit.
    scale = np.divide(1, length, out=np.zeros_like(length), where=counts)
    out[counts] = (values * scale[..., None])[counts]
    return out


def _depth(values: Array, target: Target, path: Path, key: str) -> Array:
    """Float32 [H, W, 1]; zero is ignored."""
    with np.errstate(invalid="ignore"):
        if (values < 0).any():
            raise DataError(
                f"{path}: depth down to {np.nanmin(values):g}; {key}: ignore: [..] names the stored values that are "
                "no depth (0 and NaN never are)"
            )
        values[values == 0] = np.nan
    counted = values[np.isfinite(values)]
    if counted.size and not target.unit and not target.inverse:
        median, (low, high) = float(np.median(counted)), METRES
        if not low <= median <= high:
            raise DataError(
                f"{path}: depth has a median of {median:.4g}; expected {low:g} to {high:g} metres. {key}: "
                "scale: 0.001 makes metres of millimetres, inverse: true says 1 / depth, unit: NAME keeps another unit"
            )
    return values
