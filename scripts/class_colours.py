"""Prints the class colours of mtlbench/report/panels/palette.py, and how well they can be told apart.

The first 13 are kept. Each next one is the colour of an RGB grid whose smallest CIEDE2000 difference to all before it,
over normal sight and the three dichromacies (Machado, Oliveira and Fernandes 2009, severity 1), is largest.

    python scripts/class_colours.py
"""

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

from mtlbench.report.panels.palette import CLASS_COLOURS

KEPT, NUMBER, LEVELS = 13, 40, 18
SIGHTS = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def seen(rgb: np.ndarray) -> np.ndarray:
    """Lab of colours [n, 3] in [0, 1] under each sight: [4, n, 3]."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    views = [np.clip(linear @ matrix.T, 0, 1) for matrix in SIGHTS.values()]
    shown = [np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055) for v in views]
    return np.stack([rgb2lab(view[None])[0] for view in shown])


def differences(labs: np.ndarray, one: np.ndarray) -> np.ndarray:
    """CIEDE2000 of colours [4, n, 3] to one [4, 3]: [4, n]."""
    return deltaE_ciede2000(labs, one[:, None])


def main() -> None:
    """Choose greedily, then print."""
    axis = np.linspace(0, 1, LEVELS)
    grid = np.round(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3) * 255) / 255
    labs = seen(grid)
    chosen = [colour / 255 for colour in CLASS_COLOURS[:KEPT]]
    nearest = np.full(len(grid), np.inf)
    for colour in chosen:
        nearest = np.minimum(nearest, differences(labs, seen(colour[None])[:, 0]).min(0))
    while len(chosen) < NUMBER:
        best = int(nearest.argmax())
        chosen.append(grid[best])
        nearest = np.minimum(nearest, differences(labs, labs[:, best]).min(0))
    print(" ".join(bytes(np.round(colour * 255).astype(np.uint8)).hex() for colour in chosen))
    for number in (KEPT, NUMBER):
        views = seen(np.array(chosen[:number]))
        least = np.min([differences(views[:, :i], views[:, i]).min(1) for i in range(1, number)], axis=0)
        print(number, "  ".join(f"{name} {value:.1f}" for name, value in zip(SIGHTS, least, strict=True)))


if __name__ == "__main__":
    main()
