"""Colour scales and their legends."""

from dataclasses import dataclass

import numpy as np

from mtlbench.report.panels.encode import exact
from mtlbench.report.panels.palette import CLASS_COLOURS, DISTINCT, of_classes, of_numbers


@dataclass(frozen=True)
class Bar:
    """A colour bar.

    Attributes:
        low: text at its left end.
        high: text at its right end.
        src: data URI of 64 x 1 pixels.
        note: what else there is to know.
    """

    low: str
    high: str
    src: str
    note: str = ""


def bar(low: float, high: float, unit: str, anchors: np.ndarray, note: str = "") -> Bar:
    """The bar of `palette.of_numbers`."""
    picture = of_numbers(np.linspace(low, high, 64)[None], low, high, anchors)
    return Bar(f"{low:.3g}", f"{high:.3g} {unit}".strip(), exact(picture), note)


@dataclass(frozen=True)
class Swatch:
    """A colour and its meaning.

    Attributes:
        colour: ``#rrggbb``.
        name: plain text.
    """

    colour: str
    name: str


def class_legend(ids: np.ndarray, labels: list[str]) -> tuple[list[Swatch], str]:
    """Swatches of the class `ids` that occur, and a note on colours that are hard to tell apart."""
    found = [int(one) for one in np.unique(ids)]
    colours = of_classes(np.array(found, np.int64))
    names = [class_name(one, labels) for one in found]
    swatches = [Swatch(f"#{bytes(colour).hex()}", name) for colour, name in zip(colours.tolist(), names, strict=True)]
    if max(found, default=0) >= len(CLASS_COLOURS):
        return swatches, f"beyond {len(CLASS_COLOURS)} classes the colours repeat"
    if max(found, default=0) >= DISTINCT:
        return swatches, f"beyond {DISTINCT} classes some colours are alike"
    return swatches, ""


def class_name(one: int, labels: list[str]) -> str:
    """The name of a class, or its number."""
    return labels[one] if 0 <= one < len(labels) else f"class {one}"
