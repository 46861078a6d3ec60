"""SEA's worst case for mIoU: of which loss to take the result for each image, so that the set's mIoU is lowest.

mIoU is of a set, so what is worst for one image depends on the others. The choice begins with the lowest pixel
accuracy of each image; then each image in turn takes what lowers the mIoU of the set most, until nothing changes. The
authors (arXiv 2306.12941) go through the images once, which is where ours may end at the earliest.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.metrics.base import divide
from mtlbench.storage.store import Cell

MEMBER = "one_of_sea"
COLUMNS = ("dataset", "model", "training", "sharing", "seed", "target", "step", "steps", "eps", "n_images")
MOST_ROUNDS = 100


def worst_of_set(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row for each set of cells that `sea` chose from.

    Returns:
        Columns `COLUMNS`, ``pixel_accuracy`` and ``miou`` where each image is that of lowest pixel accuracy, and
        ``worst_miou``; fractions, standard scores.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.identity.get("attack") == MEMBER:
            groups.setdefault(json.dumps(_without_part(cell.identity), sort_keys=True), []).append(cell)
    rows = [_row(found) for found in groups.values()]
    return pd.DataFrame(rows, columns=[*COLUMNS, "pixel_accuracy", "miou", "worst_miou"])


def _without_part(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {**identity, "objective": {k: v for k, v in identity["objective"].items() if k != "part"}}


def _row(cells: Sequence[Cell]) -> dict[str, Any]:
    identity = cells[0].identity
    counts = np.stack([cell.arrays[f"{identity['target']}/class_counts"] for cell in cells]).astype(float)
    accurate = lowest_accuracy(counts)
    correct, truth, _ = np.split(_chosen(counts, accurate).sum(0), 3)
    return {name: identity.get(name) for name in COLUMNS} | {
        "pixel_accuracy": float(divide(correct.sum(), truth.sum())),
        "miou": miou(_chosen(counts, accurate).sum(0)),
        "worst_miou": miou(_chosen(counts, lowest_miou(counts)).sum(0)),
    }


def miou(counts: NDArray[np.float64]) -> float:
    """Of counts [3 C] of a set: mean over the classes that occur in the ground truth."""
    correct, truth, predicted = np.split(counts, 3)
    return float(divide(correct, truth + predicted - correct)[truth != 0].mean()) if truth.any() else float("nan")


def lowest_accuracy(counts: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each image [N] the attack with the fewest right pixels, of counts [A, N, 3 C]; the first of equal ones."""
    found: NDArray[np.intp] = np.split(counts, 3, axis=2)[0].sum(2).argmin(0)
    return found


def lowest_miou(counts: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each image [N] the attack to take, of counts [A, N, 3 C]; no single change lowers the set's mIoU further."""
    choice = lowest_accuracy(counts)
    whole = _chosen(counts, choice).sum(0)
    for _ in range(MOST_ROUNDS):
        before = choice.copy()
        for image, taken in enumerate(choice):
            others = whole - counts[taken, image]
            values = [miou(others + attack[image]) for attack in counts]
            best = int(np.argmin(values))
            if values[best] < values[taken]:
                choice[image], whole = best, others + counts[best, image]
        if (choice == before).all():
            break
    return choice


def _chosen(counts: NDArray[np.float64], choice: NDArray[np.intp]) -> NDArray[np.float64]:
    """The counts [N, 3 C] of the attack taken for each image."""
    found: NDArray[np.float64] = counts[choice, np.arange(counts.shape[1])]
    return found
