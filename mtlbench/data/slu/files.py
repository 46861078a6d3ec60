"""The files of a split: ``seq.in`` words, ``seq.out`` BIO tags, ``label`` intents, one sentence a line.

The form of SlotGated-SLU (Goo et al. 2018) and JointBERT (Chen et al. 2019, arXiv 1902.10909); the latter calls the
folder ``valid`` ``dev``. Of several intents joined by ``#`` (ATIS) the first counts, as there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtlbench.data.files import inside
from mtlbench.errors import DataError, MissingSplitError
from mtlbench.storage.bounded import read_bytes

WORDS, TAGS, LABEL = "seq.in", "seq.out", "label"
FILES = (WORDS, TAGS, LABEL)
FOLDERS = {"train": ("train",), "valid": ("valid", "dev"), "test": ("test",)}
"""Split -> the names that its folder may have."""

MAX_BYTES = 200_000_000
"""Of a file; that of SNIPS has one million."""

MOST_WORDS = 1000
"""In a sentence: every input of a split is as long as its longest sentence."""

TAG = re.compile(r"O|[BI]-\S+")
OUTSIDE = "O"


@dataclass(frozen=True)
class Sentence:
    """A sentence with its labels.

    Attributes:
        words: as written.
        tags: one a word: ``O``, ``B-<slot>`` or ``I-<slot>``.
        intent: of the sentence.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str


def folder_of(root: Path, split: str) -> str:
    """The name of a split's folder in `root`.

    Raises:
        MissingSplitError: there is none.
    """
    names = FOLDERS.get(split, (split,))
    for name in names:
        if (root / name).is_dir():
            return name
    raise MissingSplitError(f"{root}: no folder {' or '.join(names)}, which would hold {', '.join(FILES)}")


def files_of(root: Path, split: str, follow_links: bool = False) -> tuple[Path, ...]:
    """The files of a split, in the order of `FILES`; they need not exist.

    Raises:
        MissingSplitError: there is no folder for it.
        DataError: one of them is a symbolic link that leads out of the root and may not be followed.
    """
    folder = folder_of(root, split)
    return tuple(inside(root, f"{folder}/{name}", root, follow_links) for name in FILES)


def read(files: Sequence[Path]) -> tuple[Sentence, ...]:
    """The sentences of the files of a split.

    Raises:
        MissingSplitError: there are no sentences.
        DataError: a file is missing or no UTF-8, the files do not fit each other, or a line is wrong; the message
            names file and line.
    """
    words, tags, labels = (_lines(path) for path in files)
    for path, lines in zip(files[1:], (tags, labels), strict=True):
        if len(lines) != len(words):
            raise DataError(f"{path}: {len(lines)} lines, but {files[0]} has {len(words)}; expected one a sentence")
    if not words:
        raise MissingSplitError(f"{files[0]}: empty; expected one sentence a line")
    return tuple(
        Sentence(
            _words(files[0], number, line),
            _tags(files, number, tag, line),
            _intent(files[2], number, label),
        )
        for number, (line, tag, label) in enumerate(zip(words, tags, labels, strict=True), start=1)
    )


def _lines(path: Path) -> list[str]:
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from error
    lines = text.split("\n")  # not splitlines(): a word may hold other characters that end a line
    if not lines[-1].strip():
        lines.pop()
    return lines


def _split(line: str) -> tuple[str, ...]:
    """What spaces separate; lines may end in one."""
    return tuple(part for part in line.rstrip("\r").split(" ") if part)


def _words(path: Path, number: int, line: str) -> tuple[str, ...]:
    words = _split(line)
    if not words:
        raise DataError(f"{path}: line {number} is empty; expected a sentence")
    if len(words) > MOST_WORDS:
        raise DataError(f"{path}: line {number} has {len(words)} words; expected at most {MOST_WORDS}")
    return words


def _tags(files: Sequence[Path], number: int, line: str, sentence: str) -> tuple[str, ...]:
    tags, words = _split(line), _split(sentence)
    if len(tags) != len(words):
        raise DataError(
            f"{files[1]}: line {number} has {len(tags)} tags, but its sentence in {files[0]} has {len(words)} words"
        )
    for tag in tags:
        if not TAG.fullmatch(tag):
            raise DataError(f"{files[1]}: line {number} has the tag {tag!r}; expected {OUTSIDE}, B-<slot> or I-<slot>")
    return tags


def _intent(path: Path, number: int, line: str) -> str:
    intent = line.strip().partition("#")[0]
    if not intent:
        raise DataError(f"{path}: line {number} is {line.strip()!r}; expected an intent")
    return intent
