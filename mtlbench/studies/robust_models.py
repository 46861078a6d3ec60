"""Benefit and cost of adversarial training: damage before and after, clean accuracy lost, time."""

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import accuracy_lost, over_seeds
from mtlbench.scores.frame import names
from mtlbench.scores.wide import block, levels
from mtlbench.studies.base import (
    DIFFERENCE,
    MODEL,
    Evidence,
    Study,
    Table,
    arranged,
    attack_settings,
    compared,
    labels,
    rows_of,
    tidy,
)
from mtlbench.studies.clean_models import gain_over_baselines
from mtlbench.studies.plot import ARP, Axis, Plot

NAMES = ("dataset", "model", "training", "sharing")
CONTROL = "clean-twice"
TRAINED = ("dataset", "model", "training", "tree", "recipe")


def robust_models(evidence: Evidence) -> Study:
    """ARP of the same attacks on clean and adversarially trained models; what the training costs; DGBA's gain."""
    arps = evidence.arps
    keys = levels(arps).assign(arp_percent=block(arps)[:, 0])
    keys["attack_settings"], keys["label"] = attack_settings(keys), labels(keys)
    table = _against_clean(arps, keys)
    accuracy = _costs(evidence)
    plot = Plot(
        "robust_models", "ARP of clean and adversarially trained models", table, "dot",
        Axis("training", "training"), ARP, "attack", panel=("sharing", "eps"),
    )  # fmt: skip
    return Study(
        (
            Table("robust_models", "ARP on clean and adversarially trained models, percent", table),
            Table("robust_models_cost", "What adversarial training costs", accuracy),
            Table(
                "robust_models_gain", "DGBA against the best baseline, ARP in percent", gain_over_baselines(arps, keys)
            ),
        ),
        (plot,),
    )


def _against_clean(arps: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """ARP of every attack on every model, and the paired difference to the cleanly trained one."""
    images = [name for name in MODEL if name not in ("training", "recipe")]
    on = [*images, "attack", "target", "step", "steps", "eps", "options"]
    base = rows_of(keys, keys["training"] == "clean", on)
    known = base.notna().to_numpy()
    table = tidy(arps, "arp_percent", label=keys["label"])
    table = compared(table, known, arps[known], arps.iloc[base[known].astype(int)], "difference")
    table = table.drop(columns="attack").rename(columns={"label": "attack"})
    columns = [*NAMES, "shared_blocks", "step", "steps", "eps", "seeds", "n_images", "scores", "attack"]
    return arranged(table, columns, ["arp_percent", "ci_low", "ci_high", *DIFFERENCE])


def _costs(evidence: Evidence) -> pd.DataFrame:
    """Clean accuracy lost against clean training, training time in seconds and in forward-backward passes.

    If there are models of clean_twice, also the accuracy lost against those.
    """
    lost = tidy(over_seeds(accuracy_lost(evidence.of(attack=NO_ATTACK).metrics, "clean")), "clean_lost_percent")
    spent = pd.DataFrame(
        [
            {name: found.get(name) for name in (*TRAINED, "seed")} | cell.provenance["trained"]
            for cell in evidence.cells
            if "trained" in cell.provenance
            for found in [names(cell)]
        ]
    )
    values = ["clean_lost_percent", "ci_low", "ci_high"]
    if (lost["training"] == CONTROL).any():
        columns = {"ci_low": "twice_low", "ci_high": "twice_high"}
        twice = tidy(
            over_seeds(accuracy_lost(evidence.of(attack=NO_ATTACK).metrics, CONTROL)), "twice_lost_percent"
        ).rename(columns=columns)
        added = ["twice_lost_percent", *columns.values()]
        lost = lost.merge(twice[[*MODEL, *added]], how="left", on=list(MODEL))
        values += added
    if len(spent):
        on = [*TRAINED]
        means = spent.drop_duplicates([*on, "seed"]).groupby(on, as_index=False).mean(numeric_only=True)
        lost = lost.merge(means.drop(columns="seed"), how="left", on=on)
        values += [str(name) for name in means if name not in (*on, "seed")]
    return arranged(lost, [*NAMES, "shared_blocks", "seeds", "n_images", "scores"], values)
