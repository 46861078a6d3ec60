"""The on-disk format of parts: like one category of MVTec AD, with additions.

    train/good/train_00000.png         as in MVTec AD; the names of its files are numbers
    train/scratch/train_00001.png      MVTec AD's training images are all good: its task is to know them only
    test/scratch/test_00001.png        as in MVTec AD
    ground_truth/scratch/test_00001_mask.png   0 or 255, none for good; here of training images as well
    parts.csv                          id, split and severity of each image, the classes taking turns

Bergmann et al., MVTec AD: A comprehensive real-world dataset for unsupervised anomaly detection, CVPR 2019.
"""

import csv
from pathlib import Path

import numpy as np

from mtlbench.data.generated import Entries, Form
from mtlbench.data.parts.picture import Picture, render
from mtlbench.data.write import write_png

VERSION = 1
"""Increment it whenever the same parameters give different files."""

TABLE = "parts.csv"
COLUMNS = ("id", "split", "severity")


class MVTecForm(Form[Picture]):
    """Images, masks and a table."""

    name, folder = "mvtec_ad", "parts"
    version = VERSION
    manifest = "parts.json"

    def render(self, seed: int, split: str, index: int, height: int, width: int) -> Picture:
        """See `render`."""
        return render(seed, split, index, height, width)

    def write(self, root: Path, split: str, index: int, picture: Picture) -> list[str]:
        """File names start with the split, so they depend neither on the other split nor on its size."""
        name = f"{picture.defect}/{split}_{index:05d}"
        write_png(root / split / f"{name}.png", picture.rgb)
        if picture.mask.any():
            write_png(root / "ground_truth" / f"{name}_mask.png", np.where(picture.mask, np.uint8(255), np.uint8(0)))
        return [name, split, f"{picture.severity:.3f}"]

    def finish(self, root: Path, entries: Entries) -> None:
        """The table is a list of the images too."""
        with (root / TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(row for rows in entries.values() for row in rows)


FORMS: dict[str, Form[Picture]] = {form.name: form for form in (MVTecForm(),)}
