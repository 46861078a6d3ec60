"""The places of an image's files (a pattern with its id, or a column of the list) and of the ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from mtlbench.data.folder.keys import Keys
from mtlbench.options import is_whole, near

ID, SPLIT = "{id}", "{split}"
LISTS = (".txt", ".json", ".csv", ".tsv")
PLACE = ("file", "column")


@dataclass(frozen=True)
class Place:
    """The place of one file: exactly one of `file` and `column`.

    Attributes:
        file: a path below the root with ``{id}``, and ``{split}`` for the folder of a split; or empty.
        column: position or name of the column of the split's list that holds the path.
    """

    file: str = ""
    column: int | str | None = None

    @classmethod
    def of(cls, keys: Keys) -> "Place":
        """The place in a mapping."""
        if ("file" in keys) == ("column" in keys):
            keys.refuse("", f"expected one of file (a path with {ID}) and column (of the list)", dict(keys.values))
        if "column" in keys:
            return cls(column=column(keys, "column"))
        return cls(file=pattern(keys, "file"))

    def path(self, image: str, folder: str, row: Mapping[int | str, str]) -> str:
        """The path of an image's file, relative to the root."""
        if self.column is not None:
            return row[self.column]
        return self.file.replace(SPLIT, folder).replace(ID, image)


@dataclass(frozen=True)
class Split:
    """The source of a split's ids: a list, or the names of the files that match a pattern.

    Attributes:
        folder: the value of ``{split}``.
        list: a .txt, .json, .csv or .tsv file below the root; empty if the files are searched.
        key: of a JSON object: the key of the list.
        column: of a table: the column of ids.
        header: the line of a table with its column names, from 1; 0 for none, None for the default.
        where: column -> text: only matching rows are used.
        glob: a pattern with ``{id}``; empty for the pattern of the image.
    """

    folder: str
    list: str = ""
    key: str = ""
    column: int | str | None = None
    header: int | None = None
    where: tuple[tuple[int | str, str], ...] = ()
    glob: str = ""

    @classmethod
    def of(cls, value: object, source: str, name: str) -> "Split":
        """A split from its description; a string is a list file or a folder."""
        at = f"splits.{name}"
        if isinstance(value, str):
            value = {"list": value} if PurePosixPath(value).suffix in LISTS else {"folder": value}
        keys = Keys(value, source, at, ("list", "key", "column", "header", "where", "glob", "folder"))
        if "list" in keys and "glob" in keys:
            keys.refuse("", "expected one of list and glob", value)
        if "list" not in keys and any(key in keys for key in ("key", "column", "header", "where")):
            keys.refuse("", "key, column, header and where belong to a list", value)
        listed = relative(keys, "list", "gt_sets/train.txt") if "list" in keys else ""
        if listed and PurePosixPath(listed).suffix not in LISTS:
            keys.refuse("list", f"expected a file that ends in {', '.join(LISTS)}")
        return cls(
            folder=relative(keys, "folder", "val") if "folder" in keys else name,
            list=listed,
            key=keys.text("key", "train") if "key" in keys else "",
            column=column(keys, "column") if "column" in keys else None,
            header=keys.whole("header", 0, 100) if "header" in keys else None,
            where=_where(keys),
            glob=pattern(keys, "glob") if "glob" in keys else "",
        )


@dataclass(frozen=True)
class Table:
    """Values of whole images in a text file, one row per image.

    Attributes:
        file: below the root.
        key: the column of the ids.
        columns: those of the values.
        header: as in `Split`.
    """

    file: str
    key: int | str
    columns: tuple[int | str, ...]
    header: int | None = None

    @classmethod
    def of(cls, keys: Keys, several: bool) -> "Table":
        """The table that a task names; `several` columns, or one."""
        if several:
            columns = keys.items("columns", "a list of columns such as [Smiling, Male]", _is_column)
            if not columns:
                keys.refuse("columns", "expected a list of columns such as [Smiling, Male]")
        else:
            columns = (column(keys, "column"),)
        if len(set(columns)) < len(columns):
            keys.refuse("columns", "expected each column once")
        return cls(
            file=relative(keys, "csv", "labels.csv"),
            key=column(keys, "key") if "key" in keys else 0,
            columns=columns,
            header=keys.whole("header", 0, 100) if "header" in keys else None,
        )


def relative(keys: Keys, key: str, example: str) -> str:
    """A path below the root, by its spelling."""
    text = keys.text(key, example)
    if text.startswith("/") or ".." in text.split("/") or "\\" in text:
        keys.refuse(key, f"may leave the root; expected a relative path without '..', such as {example}")
    return text


def pattern(keys: Keys, key: str) -> str:
    """A path below the root that holds the id."""
    text = relative(keys, key, "images/{id}.png")
    rest = text.replace(ID, "").replace(SPLIT, "")
    if ID not in text or "{" in rest or "}" in rest:
        keys.refuse(key, f"expected a path with {ID} for the id of the image, and {SPLIT} for the folder of its split")
    return text


def column(keys: Keys, key: str) -> int | str:
    """A column, by its position from 0 or its name."""
    value = keys.get(key)
    if not _is_column(value):
        keys.refuse(key, "expected the position of a column, from 0, or its name")
    found: int | str = value
    return found


def _is_column(value: object) -> bool:
    return is_whole(value, 0) or (isinstance(value, str) and bool(value))


def _where(keys: Keys) -> tuple[tuple[int | str, str], ...]:
    value: Any = keys.get("where")
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(_is_column(key) for key in value):
        keys.refuse("where", "expected column: value, such as {1: 0}")
    return tuple((key, str(one)) for key, one in value.items())


def unknown_column(which: int | str, names: tuple[str, ...], width: int) -> str:
    """The message about a missing column."""
    if isinstance(which, int):
        return f"no column {which}; it has {width}, 0 to {width - 1}"
    if not names:
        return f"no column {which!r}; it names none (header: N says in which line the names stand)"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"no column {which!r}{near(which, names)}; it has {shown}"
