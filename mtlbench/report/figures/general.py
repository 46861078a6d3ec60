"""The figures of any store, from its tables."""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from mtlbench.scores.tables import eps_units
from mtlbench.scores.transferability import COLUMNS
from mtlbench.scores.wide import IDENTITY, WEIGHTING
from mtlbench.studies import ARP, Axis, Matrix, Plot
from mtlbench.studies.transfer import BLOCKS_LABEL, PATH_LABEL

MODEL = ("dataset", "model", "training", "sharing", "step", "steps")
RATIO = Axis("ratio", "ratio", "", "ratio_low", "ratio_high")
NORMALISED = Axis("normalised_ratio", "normalised ratio", "", "normalised_low", "normalised_high")
RATIO_TITLE = "Transferability ratio"
MOST_EPS = 3
"""Of more, damage is shown at the largest only."""

MEAN = "mean"
"""The destination that stands for all other tasks."""

CAPPED = ("capped_low", "capped_high")
VALUES = {
    "arp": ("arp_percent", "ci_low", "ci_high", "status", "arp_capped", *CAPPED, "capped_status"),
    "damage": ("task", "damage_percent", "ci_low", "ci_high", "damage_capped", *CAPPED, "capped_metrics"),
    "transferability": COLUMNS,
}
"""Table -> its columns that do not tell one cell from another."""


def general_plots(tables: Mapping[str, pd.DataFrame]) -> Iterator[Plot | Matrix]:
    """ARP over eps, damage of each task, and transfer, of all cells; a table that is missing or empty is none."""
    for name, plot in (("arp", arp), ("damage", damage)):
        if len(tables.get(name, ())):
            yield plot(tables[name])
    if len(tables.get("transferability", ())):
        yield from transfers(tables["transferability"])


def arp(table: pd.DataFrame) -> Plot:
    """ARP of each attack over eps; beside names if there is one eps only."""
    frame = _labelled(table, "arp")
    if frame["eps"].nunique() > 1:
        eps = Axis("eps", "eps", "; ".join(eps_units(frame)))
        return Plot("arp", "ARP of each attack", frame, "line", eps, ARP, "attack", panel=MODEL)
    return Plot(
        "arp", "ARP of each attack", frame, "dot", Axis("attack", "attack"), ARP, "sharing", panel=(*MODEL, "eps")
    )


def damage(table: pd.DataFrame) -> Plot:
    """Damage of each task under each attack; of more than three eps only at the largest."""
    shown = Axis("damage_percent", "damage", "%", "ci_low", "ci_high")
    frame, at = _labelled(table, "damage"), ""
    if frame["eps"].nunique() > MOST_EPS:
        frame, at = _at_largest(frame)
    attack = Axis("attack", "attack")
    return Plot("damage", f"Damage of each task{at}", frame, "dot", attack, shown, "task", panel=(*MODEL, "eps"))


def transfer(table: pd.DataFrame) -> Matrix:
    """The ratio of each pair of tasks, at the largest eps."""
    return _matrix(_labelled(table, "transferability"), "transferability", RATIO_TITLE, RATIO)


def transfers(table: pd.DataFrame) -> Iterator[Plot | Matrix]:
    """Both ratios: as a matrix at the largest eps, and over what the tasks share."""
    frame = _labelled(table, "transferability")
    shown = [
        ("transferability", RATIO_TITLE, RATIO),
        ("normalised_transfer", "Normalised transfer", NORMALISED),
    ]
    for name, title, value in shown:
        yield _matrix(frame, name, title, value)
        means = frame[frame["destination"] == MEAN]
        measured = "shared_path" in frame and bool(frame["shared_path"].notna().all())
        by_path, by_blocks = Axis("shared_path", PATH_LABEL), Axis("shared_blocks", BLOCKS_LABEL)
        shared = by_path if measured else by_blocks
        if means[shared.column].nunique() > 1:
            panel = (*(part for part in MODEL if part != "sharing"), "variant", "eps")
            yield Plot(f"{name}_sharing", f"{title} over sharing", means, "line", shared, value, "source", panel=panel)


ALONE: dict[str, tuple[str, Callable[[pd.DataFrame], Plot | Matrix]]] = {
    "arp": ("arp", arp),
    "damage": ("damage", damage),
    "transfer": ("transferability", transfer),
}
"""What can be drawn by itself -> the table it needs, and its plot."""


def _matrix(frame: pd.DataFrame, name: str, title: str, value: Axis) -> Matrix:
    pairs, at = _at_largest(frame[frame["destination"] != MEAN])
    axes = Axis("source", "attacked task"), Axis("destination", "other task")
    return Matrix(name, f"{title} from task to task{at}", pairs, *axes, value, panel=(*MODEL, "variant"))


def _at_largest(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the largest eps, and what to add to the title."""
    largest = frame["eps"].max()
    return frame[frame["eps"] == largest], f" at eps {largest:g}" if len(frame) else ""


def _labelled(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with whole names of attacks: with the target, and a ``variant``: the options in which rows differ."""
    more = [str(column) for column in table if column not in (*IDENTITY, *VALUES[name], "cell", "shared_path")]
    table = table[table["attack"] != WEIGHTING]  # the search that tried it is shown
    order = ["dataset", "model", "training", "shared_blocks"]
    table = table.sort_values(order, kind="stable", ignore_index=True)
    variant = pd.Series("", table.index)
    for column in more:
        told = table[column].astype(str)
        variant = variant.where(told.isin(("", "nan")), variant + f" {column}=" + told)
    attack = table["attack"].where(table["target"] == "all", table["attack"] + ":" + table["target"].astype(str))
    return table.assign(attack=attack + variant, variant=variant.str.strip())
