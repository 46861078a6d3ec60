"""The images of a split, in order, from its list or from the existing files."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtlbench.data.files import check_relative, inside
from mtlbench.data.folder.description import Description, Target
from mtlbench.data.folder.places import ID, SPLIT, Place, Split
from mtlbench.data.folder.tables import Rows, read_json_rows, read_lines, read_table
from mtlbench.data.listed import contents
from mtlbench.errors import DataError, MissingSplitError

EXAMPLES = 3


@dataclass(frozen=True)
class Listing:
    """The images of a split.

    Attributes:
        source: the list, or the folder that was searched.
        images: ids, each once.
        rows: per image, column of the list -> text.
        folder: the value of ``{split}``.
    """

    source: Path
    images: Sequence[str]
    rows: Sequence[Mapping[int | str, str]]
    folder: str

    def path(self, place: Place, index: int, root: Path) -> str:
        """The path of a file of image `index`, relative to the root.

        Raises:
            DataError: its spelling may leave the root.
        """
        relative = place.path(self.images[index], self.folder, self.rows[index])
        check_relative(relative, root, self.source)
        return relative


def list_images(description: Description, name: str, root: Path, follow_links: bool) -> Listing:
    """The images of a split.

    Raises:
        MissingSplitError: the description has no such split, or the root has no list, folder or files of it.
        DataError: a malformed list, a repeated id, or ids that differ between image and tasks.
    """
    split = description.splits.get(name)
    if split is None:
        raise MissingSplitError(
            f"{description.source}: no split {name!r}; splits has {', '.join(map(repr, description.splits))}"
        )
    places = [description.image.place, *(target.place for target in description.targets if target.place)]
    if not split.list:
        listing = _found(description, name, split, root, follow_links)
    else:
        listing = _listed(description, name, split, places, root, follow_links)
    repeated = [image for image, count in Counter(listing.images).items() if count > 1]
    if repeated:
        raise DataError(
            f"{listing.source}: ids of split {name!r} occur more than once: {repeated[:EXAMPLES]}; expected each once"
        )
    return listing


def _listed(
    description: Description, name: str, split: Split, places: Sequence[Place], root: Path, follow_links: bool
) -> Listing:
    path = root / split.list
    if not os.path.lexists(path):
        raise MissingSplitError(
            f"{path}: no such file; {description.source}: splits.{name}.list={split.list}; "
            f"{root} holds {contents(root)}"
        )
    inside(root, split.list, path, follow_links)
    columns = [place.column for place in places if place.column is not None]
    first = split.column if split.column is not None else description.image.place.column
    if path.suffix == ".json":
        rows = read_json_rows(path, split.key or name)
    elif path.suffix == ".txt" and first is None and not split.where:
        return Listing(path, *_ids(path, read_lines(path)), split.folder)
    else:
        rows = read_table(path, split.header)
    ids = rows.column(0 if first is None else first)
    kept = [row for row in rows.rows if _is_wanted(rows, row, split)]
    if not kept:
        where = ", ".join(f"{column}: {text}" for column, text in split.where)
        raise MissingSplitError(f"{path}: no row has {where}; {description.source}: splits.{name}.where")
    at = {column: rows.column(column) for column in columns}
    return Listing(
        path, [row[ids] for row in kept], [{c: row[i] for c, i in at.items()} for row in kept], split.folder
    )


def _ids(path: Path, lines: list[str]) -> tuple[list[str], list[Mapping[int | str, str]]]:
    if not lines:
        raise DataError(f"{path}: holds no ids; expected one in each line")
    return lines, [{} for _ in lines]


def _is_wanted(rows: Rows, row: Sequence[str], split: Split) -> bool:
    return all(row[rows.column(column)] == text for column, text in split.where)


def _found(description: Description, name: str, split: Split, root: Path, follow_links: bool) -> Listing:
    """The images whose files match the pattern; the files of the tasks must have the same ids."""
    pattern = split.glob or description.image.place.file
    if not pattern:
        raise DataError(
            f"{description.source}: splits.{name}: image.column={description.image.place.column} is one "
            "of a list; expected list: FILE"
        )
    base, images = _search(pattern, split.folder, description.source, root, follow_links)
    if not images:
        there = f"{base} holds {contents(base)}" if base.is_dir() else f"{base}: no such folder"
        raise MissingSplitError(f"{base}: no file is {pattern} for split {name!r} of {description.source}; {there}")
    ordered = sorted(images, key=lambda image: (0, int(image), image) if _is_number(image) else (1, 0, image))
    for target in description.targets:
        if target.place is not None and target.place.file:
            _check_ids(description, name, target, ordered, root, follow_links)
    return Listing(base, ordered, [{} for _ in ordered], split.folder)


def _check_ids(
    description: Description, name: str, target: Target, images: Sequence[str], root: Path, follow_links: bool
) -> None:
    """Refuse a task whose files have ids that differ from those of the images.

    Raises:
        DataError: an image without a file, or a file without an image, of this split.
    """
    assert target.place is not None
    pattern, split = target.place.file, description.splits[name]
    given = f"{description.source}: tasks.{target.name}.file={pattern}"
    _, there = _search(pattern, split.folder, description.source, root, follow_links)
    absent = [image for image in images if image not in there] if target.missing is None else []
    if absent:
        raise DataError(
            f"{given}: {len(absent)} of {len(images)} images of split {name!r} have no such file: "
            f"{', '.join(absent[:EXAMPLES])}; the ids of image and task must agree, or missing: ignore says that "
            "there is none"
        )
    of_this_split = SPLIT in pattern or len(description.splits) == 1
    more = sorted(there - set(images)) if of_this_split and not split.glob else []
    if more:
        raise DataError(
            f"{given}: {len(more)} files of split {name!r} belong to no image: {', '.join(more[:EXAMPLES])}; "
            "the ids of image and task must agree"
        )


def _search(pattern: str, folder: str, source: str, root: Path, follow_links: bool) -> tuple[Path, set[str]]:
    """The folder to search, and the ids of the matching files in it."""
    filled = pattern.replace(SPLIT, folder)
    if filled.count(ID) != 1:
        raise DataError(f"{source}: {pattern} holds {ID} {filled.count(ID)} times; expected once, or a list")
    before, after = filled.split(ID)
    above, _, start = before.rpartition("/")
    base = inside(root, above, root, follow_links) if above else root
    return base, {
        name[len(start) : len(name) - len(after)]
        for name in _files(base, follow_links)
        if name.startswith(start) and name.endswith(after) and len(name) > len(start) + len(after)
    }


def _files(base: Path, follow_links: bool) -> Iterator[str]:
    """Paths below `base` of all files except hidden ones: macOS leaves ``._a.png`` beside every ``a.png``."""
    seen = set()
    for above, folders, files in os.walk(base, followlinks=follow_links):
        real = os.path.realpath(above)
        if real in seen:  # circular links
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = os.path.relpath(above, base)
        prefix = "" if relative == "." else f"{relative}/"
        yield from (prefix + name for name in files if not name.startswith("."))


def _is_number(image: str) -> bool:
    return image.isascii() and image.isdigit() and len(image) < 20
