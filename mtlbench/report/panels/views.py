"""From floats to pictures: a prediction, its target and its error, for each kind of task that has maps.

Errors are computed at the size of the target; a prediction of another size is resampled as the metrics do it (nearest,
at floor(i * in / out)).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlbench.report.panels.palette import CIVIDIS, INFERNO, RIGHT, WRONG, hatched, of_classes, of_numbers
from mtlbench.report.panels.scale import Bar, Swatch, bar, class_legend

MOST_DEGREES, MOST_METRES = 90.0, 1.0
TINY = 1e-12


class View(ABC):
    """How one task is drawn in one panel.

    Args:
        task: as in `SavedImages.about`.
        target: [c, H, W].
        mask: [H, W] bool, where the target counts.
        predictions: all [C, h, w] of the panel, for what they have in common.
    """

    swatches: Sequence[Swatch] = ()
    bar: Bar | None = None
    note = ""
    error_bar: Bar | None = None
    error_swatches: Sequence[Swatch] = ()
    error_name = "error"

    def __init__(
        self, task: Mapping[str, Any], target: np.ndarray, mask: np.ndarray, predictions: Sequence[np.ndarray]
    ) -> None:
        self.task, self.target, self.mask = task, target, mask
        self.prepare(predictions)

    @abstractmethod
    def prepare(self, predictions: Sequence[np.ndarray]) -> None:
        """Set scale and legend."""

    @abstractmethod
    def drawn(self, values: np.ndarray) -> np.ndarray:
        """Predictions or targets [C, h, w] -> [h, w, 3] uint8."""

    @abstractmethod
    def difference(self, prediction: np.ndarray) -> np.ndarray:
        """The error of a prediction [C, H, W] -> [H, W], NaN where it has none."""

    @abstractmethod
    def drawn_error(self, error: np.ndarray) -> np.ndarray:
        """[H, W] -> [H, W, 3] uint8."""

    def truth(self) -> np.ndarray:
        """The target as a picture; hatched where it does not count."""
        return hatched(self.drawn(self.target), self.mask)

    def prediction(self, values: np.ndarray) -> np.ndarray:
        """A prediction [C, h, w] as a picture of its own size; hatched where it is not finite."""
        return hatched(self.drawn(values), np.isfinite(values).all(0))

    def error(self, values: np.ndarray) -> np.ndarray:
        """The error of a prediction [C, h, w] as a picture; hatched where there is none."""
        with np.errstate(invalid="ignore"):
            error = self.difference(at_size(values, self.mask.shape).astype(np.float64))
        return hatched(self.drawn_error(error), self.mask & np.isfinite(error))


class Classes(View):
    """One class a pixel."""

    error_name = "wrong pixels"

    def prepare(self, predictions: Sequence[np.ndarray]) -> None:
        """The classes that occur anywhere in the panel."""
        ids = np.concatenate([self.target[0][self.mask], *(values[0].ravel() for values in predictions)])
        self.swatches, self.note = class_legend(ids, self.task["labels"])
        self.error_swatches = [Swatch(f"#{bytes(c).hex()}", n) for c, n in ((RIGHT, "right"), (WRONG, "wrong"))]

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """By the class colours."""
        return of_classes(values[0])

    def difference(self, prediction: np.ndarray) -> np.ndarray:
        """1 where wrong."""
        return (prediction[0] != self.target[0]).astype(np.float64)

    def drawn_error(self, error: np.ndarray) -> np.ndarray:
        """Two colours."""
        return np.where(error[..., None] > 0, WRONG, RIGHT)


class Directions(View):
    """Surface normals: (n + 1) / 2 of the unit vector as red, green, blue."""

    note = "colour (n + 1) / 2 of the unit normal n"

    def prepare(self, predictions: Sequence[np.ndarray]) -> None:
        """The scale of angles."""
        self.error_bar = bar(0, MOST_DEGREES, "degrees", INFERNO)

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """The first three components."""
        three = np.zeros((3, *values.shape[1:]))
        three[: len(values)] = _unit(np.nan_to_num(values.astype(np.float64)))[:3]
        return np.round((three.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)

    def difference(self, prediction: np.ndarray) -> np.ndarray:
        """The angle in degrees: 2 atan2(|u - v|, |u + v|)."""
        u, v = _unit(prediction), _unit(self.target.astype(np.float64))
        return np.degrees(2 * np.arctan2(np.linalg.norm(u - v, axis=0), np.linalg.norm(u + v, axis=0)))

    def drawn_error(self, error: np.ndarray) -> np.ndarray:
        """Inferno, 0 to 90 degrees."""
        return of_numbers(error, 0, MOST_DEGREES, INFERNO)


class Values(View):
    """Depth and other numbers; the first of several outputs is drawn, the error is the mean over all."""

    def prepare(self, predictions: Sequence[np.ndarray]) -> None:
        """The range of the valid targets; the error up to 1 m, or to that range in other units."""
        first = self.target[0][self.mask].astype(np.float64)
        first = first[np.isfinite(first)]
        self.low, self.high = (float(first.min()), float(first.max())) if first.size else (0.0, 1.0)
        unit = self.task["unit"]
        self.most = MOST_METRES if unit == "m" else max(self.high - self.low, TINY)
        several = f"output 1 of {len(self.target)}" if len(self.target) > 1 else ""
        self.bar = bar(self.low, self.high, unit, CIVIDIS, several or "range of the ground truth; clipped beyond")
        self.error_bar = bar(0, self.most, unit, INFERNO, "clipped beyond")

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """Cividis over the range of the valid targets."""
        return of_numbers(values[0].astype(np.float64), self.low, self.high, CIVIDIS)

    def difference(self, prediction: np.ndarray) -> np.ndarray:
        """The mean absolute error over the outputs."""
        return np.abs(prediction - self.target.astype(np.float64)).mean(0)

    def drawn_error(self, error: np.ndarray) -> np.ndarray:
        """Inferno."""
        return of_numbers(error, 0, self.most, INFERNO)


class Attributes(Values):
    """Several yes-or-no questions a pixel: the probability of the first, the mean error of all."""

    def drawn(self, values: np.ndarray) -> np.ndarray:
        """The first attribute; targets are 0 or 1, predictions are logits."""
        share = values[0] if values is self.target else sigmoid(values[0])
        return of_numbers(share, self.low, self.high, CIVIDIS)

    def difference(self, prediction: np.ndarray) -> np.ndarray:
        """Of probabilities."""
        return super().difference(sigmoid(prediction))


VIEWS: dict[str, type[View]] = {
    "classes": Classes,
    "directions": Directions,
    "values": Values,
    "attributes": Attributes,
}
"""What a target holds (`mtlbench.tasks.Kind`) -> how it is drawn."""


def at_size(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """[C, h, w] -> [C, *size], nearest, sampling at floor(i * in / out)."""
    rows, columns = (np.arange(out) * given // out for out, given in zip(size, values.shape[1:], strict=True))
    return values[:, rows[:, None], columns]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities."""
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=0, keepdims=True), TINY)
