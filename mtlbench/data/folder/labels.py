"""Values of whole images, from the name of a folder or a table: read once, looked up by id."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mtlbench.data.files import Array, inside
from mtlbench.data.folder.description import ATTRIBUTES, CLASSES, Target
from mtlbench.data.folder.tables import read_table
from mtlbench.errors import DataError
from mtlbench.options import near

ATTRIBUTE_VALUES = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "-1", "0.0", "-1.0", "false", "no"), 0.0),
    **dict.fromkeys(("", "nan", "null", "none", "?"), float("nan")),
}
"""Text of an attribute in lower case -> 1 (yes), 0 (no) or NaN (unknown)."""

Labels = Mapping[str, Array]
"""Id -> class id, int64 [1], -1 if ignored; or numbers, float32 [k], NaN if ignored."""


def from_folders(target: Target, images: Sequence[str], paths: Sequence[str], source: str) -> Labels:
    """The class of each image, from the name of its file's folder.

    Raises:
        DataError: a folder that is not a class.
    """
    found = {}
    for image, path in zip(images, paths, strict=True):
        folder = PurePosixPath(path).parent.name
        found[image] = _class(folder, target, f"{path}: folder", f"{source}: tasks.{target.name}")
    return found


def from_table(target: Target, images: Sequence[str], root: Path, source: str, follow_links: bool) -> Labels:
    """The values of each image, from the row with its id.

    Raises:
        DataError: a missing table, an image without a row, a repeated id, or a value of another kind.
    """
    table, key = target.table, f"{source}: tasks.{target.name}"
    assert table is not None
    path = root / table.file
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such file; {key}.csv={table.file}")
    rows = read_table(inside(root, table.file, path, follow_links), table.header)
    ids, columns = rows.column(table.key), [rows.column(column) for column in table.columns]
    wanted, found = set(images), {}
    for row in rows.rows:
        image = row[ids]
        if image in found:
            raise DataError(f"{path}: id {image!r} occurs more than once; expected one row for each image")
        if image in wanted:
            found[image] = _values([row[column] for column in columns], target, f"{path}: {image}", key)
    absent = [image for image in images if image not in found]
    if absent:
        example = rows.rows[0][ids]
        raise DataError(
            f"{path}: {len(absent)} of {len(images)} images have no row: {', '.join(absent[:3])}; its ids, by "
            f"{key}.key={table.key}, are such as {example!r}"
        )
    return found


def _values(texts: Sequence[str], target: Target, where: str, key: str) -> Array:
    if target.kind == CLASSES:
        return _class(texts[0], target, where, key)
    return np.asarray([_number(text, target.kind, where, key) for text in texts], np.float32)


def _class(text: str, target: Target, where: str, key: str) -> Array:
    """The class with this name or id."""
    meant = dict(target.map)
    if target.map:
        if text not in meant and "*" not in meant:
            raise DataError(f"{where} {text!r} is not in {key}.map: {', '.join(meant)}; '*': ignore takes others out")
        found = meant[text if text in meant else "*"]
        return np.asarray([-1 if found is None else found])
    if text not in target.classes:
        shown = ", ".join(target.classes[:10]) + (", ..." if len(target.classes) > 10 else "")
        raise DataError(f"{where} {text!r} is none of {key}.classes: {shown}{near(text, target.classes)}")
    return np.asarray([target.classes.index(text)])


def _number(text: str, kind: str, where: str, key: str) -> float:
    if kind == ATTRIBUTES:
        if text.lower() not in ATTRIBUTE_VALUES:
            raise DataError(f"{where}: {text!r} is no attribute of {key}; expected 1 or 0, 1 or -1, true or false")
        return ATTRIBUTE_VALUES[text.lower()]
    try:
        return float(text) if text else float("nan")
    except ValueError as error:
        raise DataError(f"{where}: {text!r} is no number; {key} is of kind {kind}") from error
