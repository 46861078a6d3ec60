"""How much an attack on one task transfers to the others, and how this grows with the shared part of the model."""

import numpy as np
import pandas as pd

from mtlbench.scores import interval, over_seeds, paired_difference, ratios
from mtlbench.scores.transferability import MIN_RATIO
from mtlbench.scores.wide import OK, SHARING, block, levels
from mtlbench.studies.base import NETWORK, Evidence, Plot, Study, Table, arranged, tidy

BLOCKS_LABEL = "blocks shared by all tasks"
SMALL = f"gain undefined: the independent ratio is below {MIN_RATIO}"


def transfer(evidence: Evidence) -> Study:
    """Transferability matrix and ratios over the sharing levels, their increase and gain against independent models.

    The increase is the difference of two ratios, the gain their quotient. Over seeds the ratios are averaged first:
    a mean of quotients with a denominator near zero would say nothing.
    """
    wide = over_seeds(ratios(evidence.damages))
    keys = levels(wide)
    base = _independent(keys)
    known = base >= 0
    pairs = wide[known], wide.iloc[base[known]]
    table = tidy(wide, "ratio")
    increase = pd.DataFrame(np.nan, table.index[known], ["increase", "increase_low", "increase_high", "p_value"])
    increase[:] = paired_difference(*pairs).to_numpy()
    gain = pd.DataFrame(np.nan, table.index[known], ["gain", "gain_low", "gain_high"])
    gain[:] = _quotient(*pairs).to_numpy()
    table = table.join(increase).join(gain)
    small = known & (block(wide)[base, 0] < MIN_RATIO)
    networks = zip(*(keys[name].astype(str) for name in NETWORK), strict=True)
    table["shared_path"] = [evidence.shared_paths.get(network, np.nan) for network in networks]
    reason = np.select([~known, small], ["no independent result", SMALL], OK)
    table["status"] = table["status"].where(table["status"] != OK, reason)
    values = ["ratio", "ci_low", "ci_high", *increase, *gain]
    names = ["dataset", "model", "training", "sharing", "shared_blocks", "shared_path"]
    names += ["step", "steps", "eps", "seeds", "n_images"]
    table = arranged(table, [*names, "scores", "source", "destination"], values)
    mean = table["destination"] == "mean"
    measured = bool(table["shared_path"].notna().all())
    x, label = ("shared_path", "shared part of a task's path") if measured else ("shared_blocks", BLOCKS_LABEL)
    plot = Plot(
        "transfer", table[mean], "line", x, "ratio", "source", ("training", "eps"),
        "Transferability ratio of each attacked task", (label, "ratio"),
    )  # fmt: skip
    return Study(
        (
            Table("transfer", "Transferability ratio by sharing level", table[mean].drop(columns="destination")),
            Table("transfer_matrix", "Transferability from source to destination", table[~mean]),
        ),
        (plot,),
    )


def _independent(keys: pd.DataFrame) -> np.ndarray:
    """For each row, the position of the corresponding row of the independent model; -1 if there is none or several."""
    on = [name for name in keys if name not in (*SHARING, "status")]
    position = keys.assign(row=range(len(keys)))[keys["sharing"] == "independent"].drop_duplicates(on, keep=False)
    merged = keys[on].merge(position[[*on, "row"]], how="left", on=on)
    return merged["row"].fillna(-1).to_numpy(int)


def _quotient(rows: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """Quotient with its interval; NaN if the denominator, in the value or a replicate, is below `MIN_RATIO`."""
    below = block(base)
    values = block(rows) / np.where(below >= MIN_RATIO, below, np.nan)
    bounds = interval(pd.DataFrame(values))
    return bounds.assign(value=values[:, 0])[["value", "ci_low", "ci_high"]]
