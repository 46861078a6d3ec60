"""The description in the header of a file of saved images, and its checks: a file may come from somebody else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from mtlbench.errors import DataError
from mtlbench.options import is_number
from mtlbench.tasks import Kind

SCHEMA = 1
ABOUT = "about"
LENGTH = 8
"""Bytes in front of the header of a safetensors file, which hold the header's length."""

MAX_HEADER = 10_000_000
REMEDY = "delete the file; the attack that saved it saves it again"
LOSSES = ("losses", "losses_rounded", "losses_of_cell")
NEEDED = ("cell", "clean", "names", "roles", "ranks", "over", "n_images", "tasks", *LOSSES)
TASK = {"name": str, "holds": str, "per_image": bool, "channels": int, "unit": str, "labels": list}
"""What is known of a task, and its type."""


def read_about(content: bytes, path: Path) -> dict[str, Any]:
    """The description in the first bytes of a file.

    Raises:
        DataError: it is damaged, makes no sense, or is of a newer version.
    """
    try:
        length = int.from_bytes(content[:LENGTH], "little")
        about = json.loads(json.loads(content[LENGTH : LENGTH + length])["__metadata__"][ABOUT])
        schema = int(about["schema"])
        fault = _fault(about) if schema <= SCHEMA else ""
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable ({error}); {REMEDY}") from error
    if schema > SCHEMA:
        raise DataError(f"{path}: of schema {schema}; this mtlbench reads up to {SCHEMA}")
    if fault:
        raise DataError(f"{path}: {fault}; {REMEDY}")
    return about


def _fault(about: Mapping[str, Any]) -> str:
    """What is wrong with a description, or nothing."""
    if missing := [name for name in NEEDED if name not in about]:
        return f"lacks {', '.join(missing)}"
    images, tasks = len(about["names"]), about["tasks"]
    for name, kind in {"names": str, "roles": str, "ranks": int}.items():
        if len(about[name]) != images or not all(isinstance(value, kind) for value in about[name]):
            return f"{name}: expected one {kind.__name__} for each of {images} images"
    for task in tasks:
        if any(not isinstance(task.get(name), kind) for name, kind in TASK.items()):
            return f"tasks: expected {', '.join(TASK)} of each"
        if task["holds"] not in get_args(Kind):
            return f"tasks: holds {task['holds']}; expected {', '.join(get_args(Kind))}"
    for name in LOSSES:
        rows = about[name]
        numbers = all(value is None or is_number(value) for row in rows for value in row)
        if [len(row) for row in rows] != [len(tasks)] * images or not numbers:
            return f"{name}: expected a number or null for each of {images} images and {len(tasks)} tasks"
    if any(not isinstance(about[name], int) for name in ("over", "n_images")) or not isinstance(about["clean"], str):
        return "over, n_images, clean: expected two whole numbers and a key"
    return ""


def lacking(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """The names of the arrays that are missing or of another shape, joined; nothing if all are there."""
    images = len(about["names"])

    def fits(name: str, channels: int) -> bool:
        array = arrays.get(name)
        if array is None or array.ndim != 4 or array.shape[:2] != (images, channels):
            return False
        return array.size > 0 or not images

    return ", ".join(name for name, channels in _wanted(about) if not fits(name, channels))


def _wanted(about: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and channels of every array."""
    yield "image", 3
    for task in about["tasks"]:
        ids = task["holds"] == "classes"
        yield f"prediction/{task['name']}", 1 if ids and not task["per_image"] else task["channels"]
        if about["cell"] == about["clean"]:
            yield f"target/{task['name']}", 1 if ids else task["channels"]
            yield f"mask/{task['name']}", 1
