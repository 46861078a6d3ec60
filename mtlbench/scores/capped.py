"""Capped damage and ARP: no metric counts for more than all of its clean value, so that crushing one task wins little.

A metric that is better when higher has lost all of it at 0, so its relative drop stays below 100 % anyway. An error
has no upper limit, and a clean cross-entropy of .3 that becomes 3 is a drop of 900 %: one task then outweighs all
others. In the capped scores the drop of each metric counts for at most 100 %: an error up to twice its clean value.

The limit needs nothing but the stored statistics. What a constant prediction scores would be another one, but it
depends on the targets, which results do not hold, and lies anywhere: as a limit it would let a capped ARP exceed 100,
and divided by it ARP would change even where nothing is capped. docs/scores.md compares them.
"""

import numpy as np
import pandas as pd

from mtlbench.scores.damage import damage
from mtlbench.scores.wide import block, levels

LIMIT = 1.0
"""Largest relative drop of a metric that counts."""


def capped(drops: pd.DataFrame) -> pd.DataFrame:
    """Relative drops, each at most `LIMIT`, in every replicate; undefined ones stay so."""
    return pd.DataFrame(np.minimum(block(drops), LIMIT), drops.index, drops.columns)


def capped_damage(drops: pd.DataFrame) -> pd.DataFrame:
    """`damage` of capped drops, at most 100 %. Its `arp` is the capped ARP, equal to ARP if none is above that."""
    return damage(capped(drops))


def capped_metrics(drops: pd.DataFrame) -> pd.DataFrame:
    """Columns cell, scores, task, and ``capped_metrics``: the names of capped metrics, joined by ``+``."""
    keys = levels(drops)[["cell", "scores", "task", "metric"]]
    keys["capped_metrics"] = np.where(block(drops)[:, 0] > LIMIT, keys.pop("metric"), "")
    groups = keys.groupby(["cell", "scores", "task"], sort=False, as_index=False)
    return groups.agg({"capped_metrics": _joined})


def _joined(names: pd.Series) -> str:
    return "+".join(name for name in names if name)
