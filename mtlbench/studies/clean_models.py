"""Which attack is strongest: ARP of every attack, and DGBA against the best of the baselines."""

import numpy as np
import pandas as pd

from mtlbench.scores import paired_difference
from mtlbench.scores.wide import OK, SEARCH, WEIGHTING, block, levels
from mtlbench.studies.base import (
    MODEL,
    Evidence,
    Study,
    Table,
    arranged,
    attack_settings,
    labels,
    of_other_seeds,
    tidy,
    units,
)
from mtlbench.studies.plot import ARP, Axis, Plot

BASELINES = ("single", "total", SEARCH, WEIGHTING, "sign_sum")
SETTING = (*MODEL, "step", "steps", "eps")


def clean_models(evidence: Evidence) -> Study:
    """ARP of each attack with its step rule, and the gain of dgba over the best baseline with the same one.

    The best baseline is the one with the highest mean ARP on these very images, among every target of `single`,
    `total`, `sign_sum`, and `weighted_total` both as the best weighting per image and as the best one of the run.
    Choosing it after the fact favours the baselines.
    """
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["attack_settings"], keys["label"] = attack_settings(keys), labels(keys)
    keep = _best_weighting(keys)
    shown = tidy(arps[keep], "arp_percent", label=keys["label"][keep]).drop(columns="attack")
    table = arranged(
        shown.rename(columns={"label": "attack"}),
        ["dataset", "model", "training", "sharing", "step", "steps", "attack", "eps", "seeds", "n_images", "scores"],
        ["arp_percent", "ci_low", "ci_high"],
    )
    gains = gain_over_baselines(arps, keys)
    plot = Plot(
        "clean_models", "ARP by attack and step rule", table, "dot",
        Axis("step", "step rule"), ARP, "attack", panel=("training", "sharing", "eps"),
    )  # fmt: skip
    return Study(
        (
            Table("clean_models", "ARP of every attack, percent", table),
            Table(
                "clean_models_gain", "DGBA against the best baseline with the same step rule, ARP in percent", gains
            ),
        ),
        (plot,),
    )


def gain_over_baselines(arps: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """One row for each dgba row of `arps` that has baselines: the best of them and the paired difference.

    Where a baseline is there with other seeds only, nothing says which is the best: the status names it.
    """
    same = keys.assign(units=units(keys), row=range(len(keys)))
    same = same[(same["attack"] == "dgba") | (same["attack"].isin(BASELINES) & same["arp_percent"].notna())]
    setting = [*SETTING, "attack_settings", "units"]
    same = same.assign(why=of_other_seeds(same, setting, "label"))
    own: list[int] = []
    best: list[int] = []
    for _, group in same.groupby(setting, dropna=False, sort=False):
        rivals = group[group["attack"] != "dgba"].sort_values("arp_percent", ascending=False, kind="stable")
        for _, row in group[group["attack"] == "dgba"].iterrows():
            if len(rivals) or row["why"]:
                own.append(row["row"])
                best.append(row["row"] if row["why"] else rivals["row"].iloc[0])
    why = same.set_index("row")["why"].reindex(own).to_numpy()
    found = paired_difference(arps.iloc[own], arps.iloc[best]).reset_index(drop=True)
    values = block(arps)[:, 0]
    table = keys.iloc[own].reset_index(drop=True)
    table["attack"] = table["label"]
    table["dgba"], table["best_baseline"] = values[own], keys["label"].iloc[best].to_numpy()
    table["baseline"] = values[best]
    table = table.join(found.rename(columns={"diff": "difference"}))
    table["gain_percent"] = 100 * table["difference"] / np.where(table["baseline"] > 0, table["baseline"], np.nan)
    missing = why != ""
    table.loc[missing, ["baseline", "difference", "ci_low", "ci_high", "p_value", "gain_percent"]] = np.nan
    table.loc[missing, ["best_baseline", "seeds_needed"]] = ""
    return arranged(
        table.assign(status=np.where(missing, why, OK)),
        ["dataset", "model", "training", "sharing", "attack", "step", "steps", "eps", "seeds", "n_images", "scores"],
        ["dgba", "best_baseline", "baseline", "difference", "ci_low", "ci_high", "p_value", "gain_percent"],
    )


def _best_weighting(keys: pd.DataFrame) -> np.ndarray:
    """Mask of the rows to show: of the weightings of weighted_total only the one with the highest ARP."""
    tried = keys["attack"] == WEIGHTING
    order = keys[tried].sort_values("arp_percent", ascending=False, kind="stable")
    best = order.assign(units=units(order).to_numpy()).drop_duplicates([*SETTING, "attack_settings", "units"]).index
    return (~tried | keys.index.isin(best)).to_numpy()
