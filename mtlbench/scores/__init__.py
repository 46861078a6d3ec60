"""From metrics to relative drops, task damage, ARP and transferability (arXiv 2305.12066).

Everything here takes and returns *wide* frames (see `wide`), except `tables`, which makes the result tables
from them. Positive is damage. What cannot be computed is NaN, never infinite, and a ``status`` says why.
"""

from mtlbench.scores.bootstrap import bootstrap_weights, interval, paired_difference
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.tables import tables
from mtlbench.scores.transferability import transferability

__all__ = [
    "arp",
    "bootstrap_weights",
    "damage",
    "interval",
    "paired_difference",
    "relative_drops",
    "tables",
    "transferability",
]
