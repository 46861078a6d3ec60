"""From metrics to relative drops, task damage, ARP and transferability (arXiv 2305.12066).

Everything here takes and returns *wide* frames (see `wide`), except `tables`, which makes the result tables
from them. Positive values mean damage. An undefined value is NaN, never infinite, and its ``status`` gives the reason.
"""

from mtlbench.scores.accuracy import accuracy_lost
from mtlbench.scores.bootstrap import bootstrap_weights, interval, paired_difference
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.holm import holm
from mtlbench.scores.quotient import quotient
from mtlbench.scores.seeds import over_seeds
from mtlbench.scores.tables import tables
from mtlbench.scores.transferability import normalised_ratios, ratios, transferability

__all__ = [
    "accuracy_lost",
    "arp",
    "bootstrap_weights",
    "damage",
    "holm",
    "interval",
    "normalised_ratios",
    "over_seeds",
    "paired_difference",
    "quotient",
    "ratios",
    "relative_drops",
    "tables",
    "transferability",
]
