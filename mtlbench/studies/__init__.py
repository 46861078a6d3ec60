"""Studies evaluate experiments with several models and attacks, one file per question of arXiv 2305.12066.

A study reads the results of an experiment and gives tidy tables and plots; it runs no attack and does not access the
disk. To add one, write a function `Evidence` -> `Study`, name it here, and set ``study`` in a file of conf/experiment.
"""

from mtlbench.studies.activations import activations
from mtlbench.studies.alpha import alpha
from mtlbench.studies.auto import auto
from mtlbench.studies.base import Analysis, Evidence, Study, Table
from mtlbench.studies.clean_models import clean_models
from mtlbench.studies.cost import cost
from mtlbench.studies.crossing import crossing
from mtlbench.studies.defences import defences
from mtlbench.studies.dominance import dominance
from mtlbench.studies.granular_rooms import granular_rooms
from mtlbench.studies.granular_tasks import granular_tasks
from mtlbench.studies.implicit_bias import implicit_bias
from mtlbench.studies.leaderboard import leaderboard
from mtlbench.studies.plot import ARP, Axis, Matrix, Plot
from mtlbench.studies.robust_models import robust_models
from mtlbench.studies.smoothing import smoothing
from mtlbench.studies.steps import steps
from mtlbench.studies.tradeoff import tradeoff
from mtlbench.studies.transfer import transfer

__all__ = ["ARP", "STUDIES", "Analysis", "Axis", "Evidence", "Matrix", "Plot", "Study", "Table"]

STUDIES: dict[str, Analysis] = {
    "activations": activations,
    "alpha": alpha,
    "auto": auto,
    "clean_models": clean_models,
    "cost": cost,
    "crossing": crossing,
    "defences": defences,
    "dominance": dominance,
    "granular_rooms": granular_rooms,
    "granular_tasks": granular_tasks,
    "implicit_bias": implicit_bias,
    "leaderboard": leaderboard,
    "robust_models": robust_models,
    "smoothing": smoothing,
    "steps": steps,
    "tradeoff": tradeoff,
    "transfer": transfer,
}
"""Every study by name."""
