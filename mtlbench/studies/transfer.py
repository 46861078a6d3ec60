"""How much an attack on one task transfers to the others, and how this grows with the shared part of the model."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mtlbench.scores import normalised_ratios, over_seeds, ratios
from mtlbench.scores.transferability import GAIN, gains, independent
from mtlbench.scores.wide import OK, levels
from mtlbench.studies.base import NETWORK, Evidence, Plot, Study, Table, arranged, compared, tidy

BLOCKS_LABEL = "blocks shared by all tasks"
NAMES = (
    *("dataset", "model", "training", "sharing", "shared_blocks", "shared_path", "step", "steps", "eps", "seeds"),
    *("n_images", "scores"),
)


def transfer(evidence: Evidence) -> Study:
    """Transferability matrix and ratios over the sharing levels, their increase and gain against independent models.

    The increase is the difference of two ratios, the gain their quotient. Over seeds the ratios are averaged first:
    a mean of quotients with a denominator near zero would say nothing. The same for the normalised ratio, which may be
    compared between sources too.
    """
    evidence = evidence.of(attack="single")
    made = [
        _of(evidence, ratios, "ratio", "transfer", "Transferability ratio", "Transferability"),
        _of(
            evidence, normalised_ratios, "normalised_ratio", "transfer_normalised", "Normalised transfer",
            "Normalised transfer",
        ),
    ]  # fmt: skip
    return Study(tuple(table for tables, _ in made for table in tables), tuple(plot for _, plot in made))


def _of(
    evidence: Evidence, score: Callable[[pd.DataFrame], pd.DataFrame], value: str, name: str, title: str, matrix: str
) -> tuple[tuple[Table, Table], Plot]:
    """The two tables and the plot of a ratio, which `score` makes of damages."""
    table = _compared(evidence, over_seeds(score(evidence.damages)), value)
    measured = bool(table["shared_path"].notna().all())
    mean = table["destination"] == "mean"
    values = [value, "ci_low", "ci_high", "increase", "increase_low", "increase_high", "p_value", *GAIN]
    means = arranged(table[mean], [*NAMES, "source"], values)
    pairs = arranged(table[~mean], [*NAMES, "source", "destination"], values)
    x, label = ("shared_path", "shared part of a task's path") if measured else ("shared_blocks", BLOCKS_LABEL)
    plot = Plot(
        name, means, "line", x, value, "source", ("training", "eps"),
        f"{title} of each attacked task", (label, value.replace("_", " ")),
    )  # fmt: skip
    return (
        Table(name, f"{title} by sharing level", means),
        Table(f"{name}_matrix", f"{matrix} from source to destination", pairs),
    ), plot


def _compared(evidence: Evidence, wide: pd.DataFrame, value: str) -> pd.DataFrame:
    """The ratios beside those of the independent models."""
    keys = levels(wide)
    base = independent(keys)
    known = base >= 0
    table = tidy(wide, value)
    table = compared(table, known, wide[known], wide.iloc[base[known]], "increase")
    gained = gains(wide, base)
    table = table.join(gained[list(GAIN)])
    networks = zip(*(keys[name].astype(str) for name in NETWORK), strict=True)
    table["shared_path"] = [evidence.shared_paths.get(network, np.nan) for network in networks]
    table["status"] = table["status"].where(table["status"] != OK, gained["status"])
    return table
