"""The provenance of one cell: `mtlbench report cell=KEY`."""

from collections.abc import Mapping
from typing import Any

import yaml

from mtlbench.errors import UsageError
from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.store import RESULT_VERSION, Cell, Store

DIGITS = 6


def find(store: Store, wanted: object) -> Cell:
    """The cell whose key is or starts with `wanted`.

    Raises:
        UsageError: there is none, or more than one.
    """
    keys = store.keys()
    found = [key for key in keys if key.startswith(str(wanted))]
    if not found:  # a weighting may still be stored in the file of its search, see `Store.spread`
        held = [cell for cell in store.readable(lambda error: None) if cell.key.startswith(str(wanted))]
        if len(held) == 1:
            return held[0]
    if len(found) != 1:
        some = f"{len(found)} cells start so: {', '.join(found[:3])} ..." if found else f"none of {len(keys)} cells"
        raise UsageError(f"cell={wanted}: expected a key, or its beginning, as in checks.csv; {some}")
    return store.load(found[0])


def describe(cell: Cell, paper_batch: int, alarm: str | None, store: Store) -> str:
    """Everything known about a cell, as YAML.

    Args:
        cell: the cell.
        paper_batch: images per batch of the paper's batch means.
        alarm: text of the cell's alarms, or empty.
        store: the store that holds the cell.
    """
    of_cell = metrics_frame([cell], replicates=0, paper_batch=paper_batch).iloc[:, 0]
    scores: dict[str, Any] = {}
    for index, value in zip(of_cell.index.to_frame(index=False).to_dict("records"), of_cell, strict=True):
        scores.setdefault(index["scores"], {}).setdefault(index["task"], {})[index["metric"]] = _round(value)
    provenance = dict(cell.provenance)
    config = provenance.pop("config", None)
    sections = {
        "cell": {"key": cell.key, "file": str(store.path(cell.key)), "result_version": RESULT_VERSION},
        "identity": _plain(cell.identity),
        "alarms": alarm or "none",
        "metrics": scores,
        "made": _plain(provenance),
        "config": config or "not recorded by the version that made this cell",
    }
    return yaml.safe_dump(sections, sort_keys=False, allow_unicode=True, width=1000)


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (_plain(value) if isinstance(value, Mapping) else value) for key, value in values.items()}
