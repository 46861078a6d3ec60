"""What a report wrote last: files of which nothing has changed, neither what they are made of nor they, are kept.

The note beside the tables holds a digest of everything that the files are made of, and one of each file. It can be
deleted at any time.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlbench import __version__
from mtlbench.errors import DataError
from mtlbench.report.csv_text import csv_text
from mtlbench.report.index import CHANGING, digest_of
from mtlbench.storage.bounded import read_json
from mtlbench.storage.files import write_atomically

if TYPE_CHECKING:
    from mtlbench.report import Report

PACKAGE = Path(__file__).parents[1]
MADE_BY = ("metrics", "report", "scores", "studies")
THERE = ""
"""In place of a digest of a file that only has to be there."""

OF_CELLS = (
    'SELECT "cell", content, description, checks, details FROM cell ORDER BY "cell", file',
    "SELECT name, problem FROM file WHERE problem IS NOT NULL ORDER BY name",
    *(
        f"SELECT {table}.* FROM {table} JOIN cell ON cell.id = {table}.cell JOIN file ON file.name = cell.file "
        f"WHERE size = {CHANGING} ORDER BY file.name, 2"
        for table in ("metric", "arp")
    ),
)
"""What says of an index everything that is shown of it."""


class Written:
    """The files that a report writes together.

    Args:
        folder: of the outputs.
        note: path of the note.
        stamp: names everything that the files are made of, see `stamp_of`.
        options: what was asked for, beside.
    """

    def __init__(self, folder: Path, note: Path, stamp: str, options: Sequence[str] = ()) -> None:
        self.folder, self.note, self.stamp = folder, note, json.dumps([stamp, *options])
        self.files: dict[str, str] = {}

    def holds(self) -> bool:
        """Whether files of the same stamp were written, and are there as they were written."""
        try:
            known: Any = read_json(self.note)
            return known["stamp"] == self.stamp and all(self._is(*file) for file in known["files"].items())
        except (AttributeError, DataError, LookupError, OSError, TypeError, ValueError):  # none, or not what we write
            return False

    def write(self, path: Path, content: str | Iterable[bytes]) -> None:
        """Write a file, see `write_atomically`, and take it down."""
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for piece in [content.encode()] if isinstance(content, str) else content:
                digest.update(piece)
                yield piece

        write_atomically(path, pieces())
        self.files[str(path.relative_to(self.folder))] = digest.hexdigest()

    def there(self, paths: Iterable[Path]) -> None:
        """Take files down that only have to be there."""
        self.files |= {str(path.relative_to(self.folder)): THERE for path in paths}

    def keep(self) -> None:
        """Write the note."""
        write_atomically(self.note, json.dumps({"stamp": self.stamp, "files": self.files}))

    def _is(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return path.is_file() and digest in (THERE, digest_of(path))


def stamp_of(report: "Report") -> str:
    """A digest of all that the files of a report are made of: what is stored, and our code."""
    digest = hashlib.sha256(source().encode())
    images = sorted((name, *sorted(keys)) for name, keys in report.outputs.images.sets().items())
    digest.update(json.dumps([report.paper_batch, report.alarms, images, len(report.failures)]).encode())
    db = report.gathered.index.db
    for query in OF_CELLS:
        for row in db.execute(query):
            digest.update(repr(row).encode())
    if db.execute("SELECT count(*) FROM file WHERE size = ?", (CHANGING,)).fetchone()[0]:
        digest.update(csv_text(report.checks).encode())
    return digest.hexdigest()


@cache
def source() -> str:
    """A digest of the code that gives a report its numbers and its look."""
    digest = hashlib.sha256(__version__.encode())
    for folder in MADE_BY:
        for path in sorted((PACKAGE / folder).rglob("*.*")):
            if path.suffix in (".py", ".css", ".js", ".html"):
                digest.update(path.read_bytes())
    return digest.hexdigest()
