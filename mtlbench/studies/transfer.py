"""How much an attack on one task transfers to the others, and how this grows with the shared part of the model."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mtlbench.scores import normalised_ratios, over_seeds, ratios
from mtlbench.scores.transferability import GAIN, gains, independent
from mtlbench.scores.wide import OK, levels
from mtlbench.studies.base import NETWORK, Evidence, Study, Table, arranged, compared, tidy
from mtlbench.studies.plot import Axis, Matrix, Plot

BLOCKS_LABEL, PATH_LABEL = "blocks shared by all tasks", "shared part of a task's path"
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
    return Study(
        tuple(table for tables, _ in made for table in tables), tuple(plot for _, plots in made for plot in plots)
    )


def _of(
    evidence: Evidence, score: Callable[[pd.DataFrame], pd.DataFrame], value: str, name: str, title: str, matrix: str
) -> tuple[tuple[Table, Table], tuple[Plot, Matrix]]:
    """The two tables and the two plots of a ratio, which `score` makes of damages."""
    means, pairs = _frames(evidence, score, value)
    measured = bool(means["shared_path"].notna().all())
    x, label = ("shared_path", PATH_LABEL) if measured else ("shared_blocks", BLOCKS_LABEL)
    shown = Axis(value, value.replace("_", " "), "", "ci_low", "ci_high")
    plot = Plot(
        name, f"{title} of each attacked task", means, "line", Axis(x, label), shown, "source",
        panel=("training", "eps"),
    )  # fmt: skip
    heat = Matrix(
        f"{name}_matrix", f"{matrix} from the attacked task to the others", pairs,
        Axis("source", "attacked task"), Axis("destination", "other task"), shown,
        panel=("training", "sharing", "eps"),
    )  # fmt: skip
    return (
        Table(name, f"{title} by sharing level", means),
        Table(f"{name}_matrix", f"{matrix} from source to destination", pairs),
    ), (plot, heat)


def mean_ratios(evidence: Evidence) -> pd.DataFrame:
    """The first table of `transfer`."""
    return _frames(evidence.of(attack="single"), ratios, "ratio")[0]


def _frames(
    evidence: Evidence, score: Callable[[pd.DataFrame], pd.DataFrame], value: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means over the destinations, and pairs of source and destination."""
    table = _compared(evidence, over_seeds(score(evidence.damages)), value)
    mean = table["destination"] == "mean"
    values = [value, "ci_low", "ci_high", "increase", "increase_low", "increase_high", "p_value", *GAIN]
    means = arranged(table[mean], [*NAMES, "source"], values)
    return means, arranged(table[~mean], [*NAMES, "source", "destination"], values)


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
