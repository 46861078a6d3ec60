"""NYUv2 as Hugging Face has it (tanganke/nyuv2): MTAN's arrays in Parquet files, channels first, a row an image."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.data.convert.result import Converted
from mtlbench.data.files import MAX_BYTES, MAX_PIXELS, Array
from mtlbench.data.write import new_folder, write_npy
from mtlbench.errors import DataError
from mtlbench.extras import library

SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "val"}
"""Prefix of a file's name -> MTAN's folder."""

COLUMNS = {"image": ("image", 3), "segmentation": ("label", 0), "depth": ("depth", 1), "normal": ("normal", 3)}
"""Column -> MTAN's folder, and its channels; 0 for none."""

ROWS = 4
"""Read at once; one of NYUv2 takes 4 MB."""


def convert_parquet(files: Sequence[Path], target: Path, progress: Callable[[int, int], None] | None) -> Converted:
    """Write the rows in MTAN's format, see `to_folder`."""
    pq = library("pyarrow.parquet", "parquet", f"source={files[0]}: a Parquet file")
    opened = [(path, _split(path), _open(pq, path)) for path in files]
    total = sum(file.metadata.num_rows for _, _, file in opened)
    done = dict.fromkeys(("train", "val"), 0)
    with new_folder(target) as folder:
        for path, split, file in opened:
            for image in _rows(path, file):
                for kind, array in image.items():
                    write_npy(folder / split / kind / f"{done[split]}.npy", array)
                done[split] += 1
                if progress is not None:
                    progress(sum(done.values()), total)
    images = {"train": done["train"], "test": done["val"]}
    return Converted({k: v for k, v in images.items() if v}, "nyuv2_mtan", {"root": target})


def _split(path: Path) -> str:
    found = re.match(r"[a-z]+", path.name)
    if found is None or found[0] not in SPLITS:
        raise DataError(f"{path}: of which split? Expected a name that begins with {', '.join(SPLITS)}")
    return SPLITS[found[0]]


def _open(pq: Any, path: Path) -> Any:
    """A file with checked columns and sizes, before any values are read."""
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        largest = max((file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)), default=0)
    except (OSError, ValueError) as error:  # pyarrow's own errors are kinds of these
        raise DataError(f"{path}: not a sound Parquet file ({_first_line(error)})") from error
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; it has {', '.join(names)}")
    if largest > MAX_BYTES:
        raise DataError(f"{path}: a group of rows of {largest} bytes; expected at most {MAX_BYTES}")
    return file


def _rows(path: Path, file: Any) -> Any:
    """Per row, MTAN's folder -> array."""
    number = 0
    try:
        for batch in file.iter_batches(batch_size=ROWS, columns=list(COLUMNS)):
            for index in range(batch.num_rows):
                yield {
                    folder: _arranged(_array(batch.column(name)[index]), channels, f"{path}: row {number}, {name}")
                    for name, (folder, channels) in COLUMNS.items()
                }
                number += 1
    except (OSError, ValueError, ArithmeticError) as error:
        raise DataError(f"{path}: row {number} cannot be read ({_first_line(error)})") from error


def _array(value: Any) -> Array:
    """Converts nested lists of numbers to an array.

    Raises:
        ValueError: they are something else, or of unequal lengths.
    """
    shape, inner = [], getattr(value, "values", None)
    if inner is None:
        raise ValueError(f"{value.type}; expected lists of numbers")
    shape.append(len(inner))
    while hasattr(inner, "flatten") and hasattr(inner, "value_lengths"):
        lengths = set(inner.value_lengths().unique().to_pylist())
        if len(lengths) != 1 or len(shape) > 3:
            raise ValueError(f"lists of lengths {sorted(map(str, lengths))[:4]}; expected one length")
        shape.append(lengths.pop())
        inner = inner.flatten()
    found: Array = inner.to_numpy(zero_copy_only=False).reshape(shape)
    if found.dtype.kind not in "fiu":
        raise ValueError(f"values of type {found.dtype}; expected numbers")
    return found


def _arranged(array: Array, channels: int, where: str) -> Array:
    """Channels last, in the types of MTAN's files."""
    if channels == 0 and array.ndim == 2 and array.size <= MAX_PIXELS:
        return array.astype(np.int16)
    if channels and array.ndim == 3 and array.shape[0] == channels and array.size <= MAX_PIXELS:
        return np.ascontiguousarray(array.transpose(1, 2, 0), np.float32)
    expected = f"[{channels}, height, width]" if channels else "[height, width]"
    raise DataError(f"{where}: array of shape {list(array.shape)}; expected {expected}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
