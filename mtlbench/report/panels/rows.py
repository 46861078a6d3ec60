"""The rows of a panel's table: image and perturbation, then prediction and error of each task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mtlbench.constants import GREY_LEVELS
from mtlbench.report.panels.encode import exact, photograph
from mtlbench.report.panels.scale import Bar, Swatch
from mtlbench.report.panels.views import VIEWS
from mtlbench.report.panels.words import Words, said_of, truth_of
from mtlbench.storage.images import SavedImages


@dataclass(frozen=True)
class Tile:
    """One cell of the table: a picture, words, or nothing.

    Attributes:
        src: data URI of the picture; empty = none.
        name: what it shows, plain text; the alternative text of the picture.
        words: shown instead of a picture.
        loss: of this image and task.
        before: whether a slider may show the clean counterpart of the row instead.
    """

    src: str = ""
    name: str = ""
    words: Sequence[Words] = ()
    loss: str = ""
    before: bool = False


@dataclass(frozen=True)
class Row:
    """A row: ground truth, clean, one tile for each attack.

    Attributes:
        title: plain text.
        tiles: one a column.
        bar: colour bar of numbers.
        swatches: colours of classes.
        note: plain text.
    """

    title: str
    tiles: Sequence[Tile]
    bar: Bar | None = None
    swatches: Sequence[Swatch] = ()
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Rows that belong together: those of the image, or of one task."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Rows:
    """All rows of a panel, and by what factor perturbations are amplified."""

    groups: list[Group] = field(default_factory=list)
    factor: float = 1.0


def rows(index: int, clean: SavedImages, attacked: Sequence[SavedImages]) -> Rows:
    """The rows of one image.

    Args:
        index: of the image in the set.
        clean: the images of the clean cell.
        attacked: those of each attack.
    """
    before = clean.arrays["image"][index]
    moved = [one.arrays["image"][index] - before for one in attacked]
    largest = max((float(np.abs(part).max(initial=0)) for part in moved), default=0.0)
    factor = 0.5 / largest if largest > 0 else 1.0
    images = [photograph(_bytes(one.arrays["image"][index])) for one in attacked]
    pictures = [Tile(src, "attacked image", before=True) for src in images]
    size = f"at most {largest * GREY_LEVELS:.3g} of 255 grey levels here"
    image = Group(
        "image",
        [
            Row("image", [Tile(), Tile(photograph(_bytes(before)), "clean image"), *pictures]),
            Row(
                f"perturbation, amplified {factor:.3g} times",
                [Tile(), Tile(), *(Tile(photograph(_bytes(0.5 + factor * part)), "perturbation") for part in moved)],
                note=f"mid-grey is unchanged; {size}",
            ),
        ],
    )
    tasks = clean.about["tasks"]
    return Rows([image, *(_of_task(index, t, task, clean, attacked) for t, task in enumerate(tasks))], factor)


def _of_task(index: int, t: int, task: dict[str, Any], clean: SavedImages, attacked: Sequence[SavedImages]) -> Group:
    name = task["name"]
    target, mask = (clean.arrays[f"{kind}/{name}"][index] for kind in ("target", "mask"))
    predictions = [one.arrays[f"prediction/{name}"][index] for one in (clean, *attacked)]
    losses = [_loss(one.about["losses"][index][t]) for one in (clean, *attacked)]
    if task["per_image"]:
        known = bool(mask.any())
        said = [said_of(task, p[:, 0, 0], target[:, 0, 0], known) for p in predictions]
        tiles = [Tile(words=one, loss=loss) for one, loss in zip(said, losses, strict=True)]
        return Group(name, [Row("prediction", [Tile(words=truth_of(task, target[:, 0, 0], known)), *tiles])])
    view = VIEWS[task["holds"]](task, target, mask[0], predictions)
    shown = [
        Tile(exact(view.prediction(p)), f"{name}: prediction", loss=loss, before=number > 0)
        for number, (p, loss) in enumerate(zip(predictions, losses, strict=True))
    ]
    wrong = [
        Tile(exact(view.error(p)), f"{name}: {view.error_name}", before=number > 0)
        for number, p in enumerate(predictions)
    ]
    truth = Tile(exact(view.truth()), f"{name}: ground truth")
    note = (
        view.note if mask.all() else "; ".join(filter(None, (view.note, "striped: no ground truth, does not count")))
    )
    return Group(
        name,
        [
            Row("prediction", [truth, *shown], view.bar, view.swatches, note),
            Row(view.error_name, [Tile(), *wrong], view.error_bar, view.error_swatches),
        ],
    )


def _bytes(image: np.ndarray) -> np.ndarray:
    """[3, H, W] in [0, 1] -> [H, W, 3] uint8."""
    return np.round(np.clip(np.nan_to_num(image), 0, 1).transpose(1, 2, 0) * GREY_LEVELS).astype(np.uint8)


def _loss(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"
