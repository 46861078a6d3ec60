"""Objectives: what an attack climbs. To add one, write a class here and a yaml in conf/attack."""

from mtlbench.attacks.objectives.base import Ascent, Losses, Objective, Potential
from mtlbench.attacks.objectives.dgba import DGBA
from mtlbench.attacks.objectives.single import Single
from mtlbench.attacks.objectives.total import Total

__all__ = ["DGBA", "Ascent", "Losses", "Objective", "Potential", "Single", "Total"]
