"""What storing attacked images in 8 bits does to the damage, measured on the saved images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def change(about: Mapping[str, Any]) -> np.ndarray:
    """Of each task by how much rounding changes its mean loss over the saved images, relative to that loss: [T]."""
    exact, rounded = (np.array(about[name], np.float64) for name in ("losses", "losses_rounded"))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanmean(rounded - exact, axis=0) / np.abs(np.nanmean(exact, axis=0))


def rounding_sentence(abouts: Sequence[Mapping[str, Any]]) -> str:
    """Over all attacks and tasks of the saved images."""
    found = np.concatenate([change(about) for about in abouts])
    sizes = 100 * np.abs(found[np.isfinite(found)])
    if not sizes.size:
        return ""
    return (
        f"Rounding the attacked images to 8 bits changes the mean loss of a task under attack by "
        f"{np.median(sizes):.2g} % (median over attacks and tasks; at most {sizes.max():.2g} %)."
    )
