"""Converts a dataset distributed as one file to a folder of files: Parquet (`parquet`), MATLAB v7.3 (`mat`).

Each needs an optional library (an extra), which is imported only when needed.
"""

from collections.abc import Callable
from pathlib import Path

from mtlbench.data.convert.mat import convert_mat
from mtlbench.data.convert.parquet import convert_parquet
from mtlbench.data.convert.result import Converted
from mtlbench.data.listed import contents
from mtlbench.errors import DataError, UsageError


def to_folder(source: Path, target: Path, progress: Callable[[int, int], None] | None = None) -> Converted:
    """Write the files of a dataset to `target`, which is created atomically.

    Args:
        source: a .parquet file, a folder of them, or nyu_depth_v2_labeled.mat.
        target: a new or empty folder.
        progress: called with (images done, images in all).

    Raises:
        UsageError: an unsupported source.
        DataError: it is missing or damaged, or `target` holds something.
        MachineError: the library that reads it is not installed.
    """
    if not source.exists():
        raise DataError(f"source={source}: no such file or folder")
    if source.suffix.lower() == ".mat":
        return convert_mat(source, target, progress)
    files = sorted(source.rglob("*.parquet")) if source.is_dir() else [source]
    if not files:
        raise DataError(f"source={source}: no .parquet file in it; it holds {contents(source)}")
    if any(file.suffix.lower() != ".parquet" for file in files):
        raise UsageError(f"source={source}: expected .parquet files, their folder, or nyu_depth_v2_labeled.mat")
    return convert_parquet(files, target, progress)
