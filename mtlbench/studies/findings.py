"""The numbers behind the sentences of the report's page: dgba against each baseline, and transfer against none shared.

Differences are paired: of the same images, and where there are several trainings of the same seeds.
"""

from dataclasses import dataclass

import pandas as pd

from mtlbench.scores import paired_difference
from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import Evidence, attack_settings, labels, units
from mtlbench.studies.clean_models import BASELINES, SETTING
from mtlbench.studies.transfer import transfer

SAME = (*SETTING, "attack_settings", "units")
"""In these an attack and the baseline that it is compared with agree."""


@dataclass(frozen=True)
class Findings:
    """Tidy frames, one row for each comparison.

    Attributes:
        baselines: columns of `SETTING`, attack, baseline, difference of the ARPs in points, ci_low, ci_high.
        sharing: columns source, sharing, eps, ratio, increase over the independent model, increase_low, increase_high.
    """

    baselines: pd.DataFrame
    sharing: pd.DataFrame


def findings(evidence: Evidence) -> Findings:
    """Both comparisons; a frame is empty where there is nothing to compare."""
    means = transfer(evidence).tables[0].frame
    return Findings(_against_each(evidence), means[means["increase"].notna() & (means["sharing"] != "independent")])


def _against_each(evidence: Evidence) -> pd.DataFrame:
    """A row for each ARP of dgba and each baseline with the same step rule on the same model."""
    arps = evidence.arps
    keys = levels(arps).assign(label=labels(levels(arps)), row=range(len(arps)), arp=block(arps)[:, 0])
    keys = keys.assign(attack_settings=attack_settings(keys), units=units(keys))
    keys = keys[keys["arp"].notna()]
    own = keys[keys["attack"] == "dgba"]
    others = keys[keys["attack"].isin(BASELINES)][[*SAME, "label", "row"]]
    pairs = own.merge(others, on=list(SAME), suffixes=("", "_other"))
    found = paired_difference(arps.iloc[pairs["row"]], arps.iloc[pairs["row_other"]]).reset_index(drop=True)
    table = pairs[list(SETTING)].assign(attack=pairs["label"], baseline=pairs["label_other"], difference=found["diff"])
    table = table.join(found[["ci_low", "ci_high"]])
    return table.sort_values([*SETTING, "attack", "baseline"], kind="stable", ignore_index=True)
