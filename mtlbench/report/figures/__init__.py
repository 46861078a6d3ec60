"""Figures for the page and for paper: one definition each, drawn as SVG, PDF and PNG."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.report.figures import drawing
from mtlbench.report.figures.charts import chart
from mtlbench.report.figures.general import VALUES, general_plots
from mtlbench.report.figures.html import html
from mtlbench.storage.files import write_atomically
from mtlbench.studies import Matrix, Plot

__all__ = ["SUFFIXES", "Figure", "figure", "figures", "study_figures"]

SUFFIXES = (".pdf", ".png", ".svg")
"""Of the files of a figure. The SVG is the last, since it tells that the others are there."""


@dataclass(frozen=True)
class Figure:
    """A picture of numbers.

    Attributes:
        name: of its files, and of its ids in a page.
        title: what it shows, a line.
        description: what is in it, a few sentences: a caption, and with the title all that is said to the blind.
        chart: of Altair.
    """

    name: str
    title: str
    description: str
    chart: Any

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Its specification in Vega-Lite."""
        found: dict[str, Any] = self.chart.to_dict()
        return found

    @property
    def alternative(self) -> str:
        """Title and description."""
        return f"{self.title}. {self.description}"

    def svg(self) -> str:
        """SVG to stand in a page or a file; its text has the colour of the text around it."""
        return drawing.svg(self.spec, self.name, self.alternative)

    def html(self, picture: str | None = None) -> str:
        """A ``figure`` for a page that includes ``report/page/charts.js`` and ``charts.css``.

        Args:
            picture: what `svg` or `draw` returned; drawn anew unless given.
        """
        return html(self.svg() if picture is None else picture, self.name, self.title, self.description)

    def save(self, path: str | Path) -> None:
        """Write an SVG, PDF or PNG file, by the ending of its name."""
        path = Path(path)
        write_atomically(path, drawing.content(self.spec, self.name, self.alternative, path.suffix))

    def draw(self, folder: Path) -> str:
        """Write ``<name>.svg``, ``.pdf`` and ``.png`` unless they are there already; returns the SVG."""
        paths = {suffix: folder / f"{self.name}{suffix}" for suffix in SUFFIXES}
        if all(path.is_file() for path in paths.values()):
            there = paths[".svg"].read_text(encoding="utf-8", errors="replace")
            if drawing.is_of(there, self.spec):
                return there
        for path in paths.values():
            self.save(path)
        return paths[".svg"].read_text(encoding="utf-8")

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, str]:
        """For notebooks."""
        return {"image/svg+xml": self.svg(), "text/plain": self.alternative}


def figure(plot: Plot | Matrix, scores: str) -> Figure | None:
    """One score set of a plot; None if it has no number to draw."""
    made = chart(plot, scores)
    return None if made is None else Figure(plot.name, plot.title, made.description, made.chart)


def figures(tables: Mapping[str, pd.DataFrame], scores: str, paths: Mapping[str, float] | None = None) -> list[Figure]:
    """The general figures of a store.

    Args:
        tables: arp, damage and transferability, see `scores.tables`; what is missing or empty is not drawn.
        scores: the score set that is drawn.
        paths: cell -> shared part of a task's path, where it is known, see `scores.frame.shared_path`.
    """
    shown = {}
    for name in (name for name in VALUES if name in tables):
        table = tables[name]
        shown[name] = table[table["scores"] == scores] if len(table) else table
    if paths and len(shown.get("transferability", ())):
        table = shown["transferability"]
        shown["transferability"] = table.assign(shared_path=table["cell"].map(paths))
    return study_figures(general_plots(shown), scores)


def study_figures(plots: Iterable[Plot | Matrix], scores: str) -> list[Figure]:
    """Those of `plots` that have something to draw."""
    return [made for plot in plots if (made := figure(plot, scores)) is not None]
