"""The record of a cell that could not be computed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlbench.storage.files import write_atomically


def failure_path(store: Path, key: str) -> Path:
    """The path of a cell's failure record in the folder `store`."""
    return store / "failures" / f"{key}.json"


def write_failure(
    store: Path, key: str, label: str, reason: str, traceback: str, origin: Mapping[str, Any] | None = None
) -> None:
    """Record why a cell could not be computed.

    Args:
        store: the folder of the store.
        key: of the cell.
        label: the cell's description.
        reason: one line.
        traceback: where it happened.
        origin: the configuration, versions and machine.
    """
    about = {"key": key, "cell": label, "reason": reason, "traceback": traceback, **(origin or {})}
    write_atomically(failure_path(store, key), json.dumps(about, indent=1, default=str) + "\n")
