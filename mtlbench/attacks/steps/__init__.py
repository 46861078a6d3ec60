"""Step rules: how an attack updates the images. To add one, write a file here and a yaml in conf/attack/step."""

from mtlbench.attacks.steps.apgd import APGD
from mtlbench.attacks.steps.apgd_shrinking import ShrinkingAPGD
from mtlbench.attacks.steps.base import Step
from mtlbench.attacks.steps.direct import Direct
from mtlbench.attacks.steps.fgsm import FGSM
from mtlbench.attacks.steps.mim import MIM, MIMLinear
from mtlbench.attacks.steps.noise import Noise
from mtlbench.attacks.steps.pgd import PGD
from mtlbench.attacks.steps.saga import SAGA
from mtlbench.attacks.steps.square import Square
from mtlbench.attacks.steps.words import ReplaceWords

__all__ = [
    "APGD",
    "FGSM",
    "MIM",
    "PGD",
    "SAGA",
    "Direct",
    "MIMLinear",
    "Noise",
    "ReplaceWords",
    "ShrinkingAPGD",
    "Square",
    "Step",
]
