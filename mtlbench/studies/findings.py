"""The numbers behind the sentences of the report's page: dgba against each baseline, and transfer against none shared.

Differences are paired: of the same images, and where there are several trainings of the same seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mtlbench.scores import paired_difference
from mtlbench.scores.transferability import INDEPENDENT
from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import Evidence, attack_settings, labels, of_other_seeds, units
from mtlbench.studies.clean_models import BASELINES, SETTING
from mtlbench.studies.transfer import mean_ratios

SAME = (*SETTING, "attack_settings", "units")
"""In these an attack and the baseline that it is compared with agree."""

MODEL_AND_IMAGES = ("dataset", "fingerprint", "n_images", "model", "training", "recipe", "step", "steps", "eps")
"""What is compared is read for all that agree in these, or for none."""

MOST_CELLS = 100
"""Cells that are read for the comparisons: a page of a large store must not take minutes."""


@dataclass(frozen=True)
class Findings:
    """Tidy frames, one row for each comparison.

    Attributes:
        baselines: columns of `SETTING`, attack, baseline, difference of the ARPs in points, ci_low, ci_high.
        sharing: columns source, sharing, eps, ratio, increase over the independent model, increase_low, increase_high.
        left_out: how many results could have been compared, too.
    """

    baselines: pd.DataFrame
    sharing: pd.DataFrame
    left_out: int = 0


def findings(evidence: Evidence) -> Findings:
    """Both comparisons; a frame is empty where there is nothing to compare."""
    points = evidence.points
    strong, strong_left = _some(points, ("dgba", *BASELINES))
    sent, sent_left = _some(points, ("single",))
    means = mean_ratios(evidence.some(sent))
    grows = means[means["increase"].notna() & (means["sharing"] != INDEPENDENT)]
    return Findings(_against_each(evidence.some(strong)), grows, strong_left + sent_left)


def _some(points: pd.DataFrame, attacks: Sequence[str]) -> tuple[list[str], int]:
    """Keys of the results of these attacks, of at most `MOST_CELLS`, and how many are left out."""
    mine = points[points["attack"].isin(attacks)].drop_duplicates("cell")
    names = [name for name in MODEL_AND_IMAGES if name in mine]
    order = mine.sort_values([*names, "cell"], kind="stable")
    until = order.groupby(names, dropna=False, sort=False)["cell"].transform("size")
    group = order.groupby(names, dropna=False, sort=False).ngroup()
    ends = until[~group.duplicated()].cumsum().to_numpy()
    kept = order["cell"][ends[group.to_numpy()] <= MOST_CELLS].tolist() if len(order) else []
    kept = kept or order["cell"].head(MOST_CELLS).tolist()
    return kept, len(order) - len(kept)


def _against_each(evidence: Evidence) -> pd.DataFrame:
    """A row for each ARP of dgba and each baseline with the same step rule on the same model."""
    arps = evidence.arps
    keys = levels(arps).assign(label=labels(levels(arps)), row=range(len(arps)), arp=block(arps)[:, 0])
    keys = keys.assign(attack_settings=attack_settings(keys), units=units(keys))
    keys = keys[keys["arp"].notna() & keys["attack"].isin(("dgba", *BASELINES))]
    own = keys[(keys["attack"] == "dgba") & (of_other_seeds(keys, SAME, "label") == "")]
    others = keys[keys["attack"].isin(BASELINES)][[*SAME, "label", "row"]]
    pairs = own.merge(others, on=list(SAME), suffixes=("", "_other"))
    found = paired_difference(arps.iloc[pairs["row"]], arps.iloc[pairs["row_other"]]).reset_index(drop=True)
    table = pairs[list(SETTING)].assign(attack=pairs["label"], baseline=pairs["label_other"], difference=found["diff"])
    table = table.join(found[["ci_low", "ci_high"]])
    return table.sort_values([*SETTING, "attack", "baseline"], kind="stable", ignore_index=True)
