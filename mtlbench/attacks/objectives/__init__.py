"""Objectives: what an attack climbs. To add one, write a class here and a yaml in conf/attack."""

from mtlbench.attacks.objectives.base import Ascent, Losses, Objective, Potential
from mtlbench.attacks.objectives.dgba import DGBA
from mtlbench.attacks.objectives.power import Power
from mtlbench.attacks.objectives.sign_sum import SignSum
from mtlbench.attacks.objectives.single import Single
from mtlbench.attacks.objectives.static import Static
from mtlbench.attacks.objectives.total import Total
from mtlbench.attacks.objectives.weighted_total import Weighted, WeightedTotal

__all__ = [
    "DGBA",
    "Ascent",
    "Losses",
    "Objective",
    "Potential",
    "Power",
    "SignSum",
    "Single",
    "Static",
    "Total",
    "Weighted",
    "WeightedTotal",
]
