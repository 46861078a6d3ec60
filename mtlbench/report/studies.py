"""Study tables for the terminal: constant columns move to a line below, intervals follow their values."""

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table as Grid

from mtlbench.report.terminal import console, show_remarks
from mtlbench.studies import Table

KEYS = frozenset(
    {
        *(
            "dataset",
            "model",
            "training",
            "sharing",
            "shared_path",
            "tree",
            "attack",
            "step",
            "steps",
            "eps",
            "seeds",
            "n_images",
        ),
        *("source", "destination", "objective", "task", "alpha", "method", "seeds_needed", "over"),
    }
)
"""Columns that are omitted if they are constant."""
ALWAYS_OUT = ("scores", "shared_blocks", "status")
WHERE_KNOWN = "shared_path"
"""Omitted if no row has it, as in results from before it was measured."""


def show_study(table: Table, scores: str) -> None:
    """Print the rows of one score set."""
    frame = table.frame
    frame = frame[frame["scores"] == scores] if "scores" in frame else frame
    if WHERE_KNOWN in frame and frame[WHERE_KNOWN].isna().all():
        frame = frame.drop(columns=WHERE_KNOWN)
    out = console()
    out.print(f"\n{table.title}")
    if frame.empty:
        out.print("nothing to show: some of the cells that it compares are missing")
        return
    constant = [name for name in frame if name in KEYS and frame[name].nunique(dropna=False) == 1 and len(frame) > 1]
    grid = Grid(box=SIMPLE, pad_edge=False)
    texts = _side_by_side(_texts(frame.drop(columns=[name for name in frame if name in (*constant, *ALWAYS_OUT)])))
    for name in texts:
        grid.add_column(name, justify="left" if name in KEYS - {"eps", "alpha"} else "right", overflow="fold")
    for row in zip(*texts.values(), strict=True):
        grid.add_row(*row)
    out.print(grid)
    if constant:
        shared = {name: _text(frame[name].iloc[0]) for name in constant}
        out.print(", ".join(f"{name} {text}" for name, text in shared.items() if text), markup=False)
    show_remarks(out, sorted(set(frame["status"]) - {"ok"}) if "status" in frame else [])


def _side_by_side(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """A column for every epsilon if rows have only one value each; otherwise `texts` unchanged."""
    values = [name for name in texts if name not in KEYS]
    if len(values) != 1 or "eps" not in texts:
        return texts
    names = [name for name in texts if name in KEYS - {"eps"}]
    epsilons = list(dict.fromkeys(texts["eps"]))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for eps, value, *keys in zip(*(texts[name] for name in ("eps", *values, *names)), strict=True):
        rows.setdefault(tuple(keys), {})[eps] = value
    columns = {name: [keys[i] for keys in rows] for i, name in enumerate(names)}
    return columns | {f"eps {eps}": [row.get(eps, "") for row in rows.values()] for eps in epsilons}


def _texts(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Column -> texts. An interval is merged into the column before it as ``value [low, high]``."""
    texts: dict[str, list[str]] = {}
    last = ""
    for name in map(str, frame):
        if name.endswith("_high"):
            continue
        if name.endswith("_low"):
            highs = frame[name.removesuffix("_low") + "_high"]
            bounds = [
                f" [{_text(a)}, {_text(b)}]" if pd.notna(a) else "" for a, b in zip(frame[name], highs, strict=True)
            ]
            texts[last] = [value + bound for value, bound in zip(texts[last], bounds, strict=True)]
            continue
        texts[name] = [_text(value) for value in frame[name]]
        last = name
    return texts


def _text(value: object) -> str:
    if isinstance(value, float):
        if pd.isna(value):
            return "-"
        return (
            f"{value:.0f}"
            if value == round(value) and abs(value) < 1e6
            else f"{value:.3g}"
            if abs(value) < 10
            else f"{value:.1f}"
        )
    return str(value)
