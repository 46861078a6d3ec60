"""What was measured on the saved images: how strong attacks are, how exact the pictures, what 8 bits do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

About = Mapping[str, Any]


def rise(clean: About, attacked: About) -> float:
    """How strong an attack was: the rise of a task's mean loss relative to the clean one, averaged over tasks."""
    before, after = _means(clean, "losses"), _means(attacked, "losses")
    if before.shape != after.shape:
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (after - before) / np.abs(before)
    return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else 0.0


def agreement(abouts: Sequence[About]) -> str:
    """How close the saved images are to those that the cells were computed from."""
    largest = 0.0
    for about in abouts:
        saved, stored = _losses(about, "losses"), _losses(about, "losses_of_cell")
        differences = np.abs(saved - stored) / np.maximum(np.abs(stored), 1e-6)
        largest = max(largest, float(np.nanmax(differences, initial=0)))
    same = "equal those stored" if largest == 0 else f"differ from those stored by at most {100 * largest:.2g} %"
    return f"They were attacked once more to be saved; their losses {same}."


def rounding_sentence(abouts: Sequence[About]) -> str:
    """By how much rounding to 8 bits changes a task's mean loss, over all attacks and tasks."""
    changes = []
    for about in abouts:
        exact, rounded = _means(about, "losses"), _means(about, "losses_rounded")
        with np.errstate(invalid="ignore", divide="ignore"):
            changes.append(100 * np.abs(rounded - exact) / np.abs(exact))
    found = np.concatenate(changes)
    found = found[np.isfinite(found)]
    if not found.size:
        return ""
    return (
        f"Rounding the attacked images to 8 bits changes the mean loss of a task under attack by "
        f"{np.median(found):.2g} % (median over attacks and tasks; at most {found.max():.2g} %)."
    )


def _losses(about: About, name: str) -> np.ndarray:
    """[n, T]; NaN where a loss was not finite."""
    return np.array(about[name], np.float64).reshape(len(about["names"]), -1)


def _means(about: About, name: str) -> np.ndarray:
    """Of each task the mean loss [T] over the images where it is finite; NaN without any."""
    losses = np.ma.masked_invalid(_losses(about, name))
    return np.ma.filled(losses.mean(axis=0), np.nan)
