"""Objectives: what an attack climbs. To add one, write a class here and a yaml in conf/attack."""

from mtlbench.attacks.objectives.auto import Auto
from mtlbench.attacks.objectives.base import LOSSES, METRICS, Ascent, Losses, Objective, Potential
from mtlbench.attacks.objectives.bounded import Bounded
from mtlbench.attacks.objectives.dgba import DGBA
from mtlbench.attacks.objectives.floor import Floor
from mtlbench.attacks.objectives.power import Power
from mtlbench.attacks.objectives.sea import SEA, OneOfSEA
from mtlbench.attacks.objectives.sign_sum import SignSum
from mtlbench.attacks.objectives.single import Single
from mtlbench.attacks.objectives.smooth_arp import SmoothARP
from mtlbench.attacks.objectives.smooth_log import SmoothLog
from mtlbench.attacks.objectives.static import Static
from mtlbench.attacks.objectives.total import Total
from mtlbench.attacks.objectives.weighted_total import Weighted, WeightedTotal
from mtlbench.attacks.objectives.worst_task import WorstTask

__all__ = [
    "DGBA",
    "LOSSES",
    "METRICS",
    "SEA",
    "Ascent",
    "Auto",
    "Bounded",
    "Floor",
    "Losses",
    "Objective",
    "OneOfSEA",
    "Potential",
    "Power",
    "SignSum",
    "Single",
    "SmoothARP",
    "SmoothLog",
    "Static",
    "Total",
    "Weighted",
    "WeightedTotal",
    "WorstTask",
]
