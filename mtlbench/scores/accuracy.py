"""Clean accuracy relative to a reference model: the cost of sharing or adversarial training without an attack."""

from collections.abc import Mapping

import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores.damage import arp, damage, drops_from
from mtlbench.scores.wide import SAME_MODEL, levels

OTHER: Mapping[str, tuple[str, ...]] = {
    "independent": ("sharing", "tree", "weights"),
    "clean": ("training", "weights"),
    "clean-twice": ("training", "weights"),
}
"""Reference -> levels of `SAME_MODEL` in which a model and its reference may differ."""


def accuracy_lost(metrics: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Clean accuracy lost relative to a reference model, in percent; negative if the model is better.

    The mean over tasks of the mean over metrics of s (r - c) / |r|, with c and r the clean values of the model and of
    its reference on the same images: the negative of the multi-task performance of Vandenhende et al.
    (arXiv 2004.13379).

    Args:
        metrics: wide frame.
        reference: ``independent``, the single-task models of the same training and seed, or ``clean`` or
            ``clean-twice``, the model of the same sharing tree and seed trained without attacks, by one or two
            steps an iteration.

    Returns:
        A wide frame, one row per clean cell, with the level ``status``.
    """
    clean = metrics[metrics.index.get_level_values("attack") == NO_ATTACK]
    keys = levels(clean)
    same = [name for name in (*SAME_MODEL, "task", "metric") if name not in OTHER[reference]]
    is_reference = keys["sharing" if reference == "independent" else "training"] == reference
    drops, _ = drops_from(clean, is_reference, same, (reference, "own"))
    return arp(damage(drops))
