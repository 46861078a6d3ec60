"""Figures of studies, drawn from their tidy tables; nothing is computed here."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.storage.files import write_atomically
from mtlbench.studies import Plot

MOST_COLUMNS = 3
PANEL_INCHES = (4.2, 3.2)
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000", "#8c564b", "#bcbd22"),
)
"""The colour-blind-safe palette of Okabe and Ito, and two more colours."""
MARKERS = "osD^vP*Xh<>"


def write_plot(plot: Plot, scores: str, folder: Path) -> Path | None:
    """Draw one score set of a plot as ``<name>.png``; returns its path, or None if there is nothing to draw."""
    frame = plot.frame[(plot.frame["scores"] == scores) & plot.frame[[plot.x, plot.y]].notna().all(axis=1)]
    if frame.empty:
        return None
    path = folder / f"{plot.name}.png"
    buffer = BytesIO()
    # Without a date or version in the file, the same numbers give the same bytes.
    draw(plot, frame).savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    write_atomically(path, buffer.getvalue())
    return path


def draw(plot: Plot, frame: pd.DataFrame) -> Figure:
    """One panel for each value of the columns in `plot.panel`, one colour for each series."""
    varying = [name for name in plot.panel if frame[name].nunique() > 1]
    panels = list(frame.groupby(varying, sort=False)) if varying else [((), frame)]
    # The column that varies fastest, usually eps, is laid out side by side.
    columns = min(frame[varying[-1]].nunique() if len(varying) > 1 else len(panels), MOST_COLUMNS)
    rows = ceil(len(panels) / columns)
    series = list(dict.fromkeys(frame[plot.series]))
    width, height = PANEL_INCHES
    # Names need more space than numbers; the legend is placed below all panels.
    legend_rows = ceil(len(series) / 4)
    figure = Figure((max(columns * width, 6.5), rows * height + 0.28 * legend_rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=plot.kind != "point").ravel()
    for ax, (values, part) in zip(axes, panels, strict=False):
        ax.set_title(", ".join(_named(n, v) for n, v in zip(varying, values, strict=True)), fontsize=9)
        _panel(plot, ax, part, series)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    names = [str(name) for name in series if str(name) in handles]
    look: dict[str, Any] = {"ncols": 4, "fontsize": 8, "frameon": False}
    figure.legend([handles[name] for name in names], names, loc="outside lower center", **look)
    figure.suptitle(plot.title, fontsize=11)
    return figure


def _panel(plot: Plot, ax: Axes, frame: pd.DataFrame, series: Sequence[str]) -> None:
    names = list(dict.fromkeys(frame[plot.x])) if plot.kind == "bar" else []
    present = [name for name in series if name in set(frame[plot.series])]
    for number, name in enumerate(series):
        part = frame[frame[plot.series] == name]
        if part.empty:
            continue
        errors = _errors(plot, part)
        style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "label": str(name)}
        if plot.kind == "bar":
            width = 0.8 / len(present)
            at = np.array([names.index(x) for x in part[plot.x]]) - 0.4 + width * (present.index(name) + 0.5)
            ax.bar(at, part[plot.y], width, yerr=errors, error_kw={"lw": 0.7}, **style)
        else:
            part, errors = _in_order(part, plot.x, errors)
            line = "-" if plot.kind == "line" else ""
            marker = MARKERS[number % len(MARKERS)]
            ax.errorbar(part[plot.x], part[plot.y], errors, fmt=line + marker, ms=4, lw=1.2, elinewidth=0.7, **style)
    if plot.kind == "bar":
        ax.set_xticks(
            range(len(names)), [str(name) for name in names], rotation=0 if len(names) < 4 else 20, fontsize=8
        )
    elif plot.log:
        ax.set_xscale("log")
    ax.set_xlabel(plot.labels[0], fontsize=9)
    ax.set_ylabel(plot.labels[1], fontsize=9)
    ax.tick_params(labelsize=8)
    ax.grid(axis="y", alpha=0.3)


def _in_order(part: pd.DataFrame, x: str, errors: np.ndarray | None) -> tuple[pd.DataFrame, np.ndarray | None]:
    order = np.argsort(part[x].to_numpy(), kind="stable")
    return part.iloc[order], None if errors is None else errors[:, order]


def _errors(plot: Plot, part: pd.DataFrame) -> np.ndarray | None:
    """Error bars: distances from the value down and up to its interval [2, n]; None without intervals."""
    if "ci_low" not in part or part[["ci_low", "ci_high"]].isna().any(axis=None):
        return None
    value = part[plot.y]
    return np.array([value - part["ci_low"], part["ci_high"] - value]).clip(min=0)


def _named(name: str, value: object) -> str:
    return f"{name} {value:g}" if isinstance(value, float) else str(value) if name != "eps" else f"eps {value}"
