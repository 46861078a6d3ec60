"""Step rules: how an attack moves. To add one, write a file here and a yaml in conf/attack/step."""

from mtlbench.attacks.steps.base import Step
from mtlbench.attacks.steps.fgsm import FGSM
from mtlbench.attacks.steps.noise import Noise
from mtlbench.attacks.steps.pgd import PGD

__all__ = ["FGSM", "PGD", "Noise", "Step"]
