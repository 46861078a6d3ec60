"""Reading untrusted files: the size is checked before memory is allocated, and every defect raises one typed error."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

from mtlbench.errors import DataError, MtlbenchError

MAX_JSON = 500_000_000
"""Bytes. The list of images of the largest known dataset takes 200 million."""

MAX_YAML = 100_000
MAX_YAML_DEPTH = 20


def read_bytes(path: Path, most: int, error: type[MtlbenchError] = DataError) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file.
        most: a larger file is refused before any of it is read.
        error: the class to raise.

    Raises:
        MtlbenchError: `error`: missing, no regular file, unreadable or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{path}: not a regular file")
        if status.st_size > most:
            raise error(f"{path}: {status.st_size} bytes; expected at most {most}")
        return path.read_bytes()
    except FileNotFoundError as cause:
        raise error(f"{path}: {broken_link(path) or 'no such file'}") from cause
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from cause


def broken_link(path: Path) -> str | None:
    """The message if `path`, or a folder above it, is a broken symbolic link; else None."""
    for part in (path, *path.parents):
        if not part.is_symlink():
            continue
        try:
            part.stat()
        except OSError as cause:
            why = ", which is not there" if isinstance(cause, FileNotFoundError) else f" ({cause.strerror})"
            link = f"a symbolic link to {part.readlink()}{why}"
            return link if part == path else f"no such file; {part} is {link}"
    return None


def read_json(path: Path, error: type[MtlbenchError] = DataError, most: int = MAX_JSON) -> object:
    """The value of a JSON file; raises like `read_bytes`, and if it is not JSON."""
    try:
        return json.loads(read_bytes(path, most, error))
    except (ValueError, RecursionError) as cause:
        raise error(f"{path}: not valid JSON ({cause})") from cause


def read_yaml(path: Path, error: type[MtlbenchError] = DataError) -> object:
    """The value of a small YAML file without tags.

    Aliases (``*name``) are refused: a few lines of them can expand to more values than fit into memory.

    Raises:
        MtlbenchError: `error`, like `read_bytes`, and if it is not YAML of this kind.
    """
    data = read_bytes(path, MAX_YAML, error)
    try:
        text = data.decode()
        for problem in _yaml_problems(text):
            raise error(f"{path}: {problem}; expected plain values")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as cause:
        raise error(f"{path}: not valid YAML ({' '.join(str(cause).split())})") from cause


def _yaml_problems(text: str) -> Iterator[str]:
    """The reason why a YAML text must not be loaded, found without building values."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            yield f"refers to {event.anchor!r}, another part of itself"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_YAML_DEPTH:
            yield f"nested more than {MAX_YAML_DEPTH} deep"
