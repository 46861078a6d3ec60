"""Has an attack converged, and does it see past gradients? The same attack otherwise, on some of the images.

With twice the steps (``attack.converged=check``), by random search (``attack.black_box=check``), and once as it is.
The results are cells of their own, of a sample of the images; their identity says whose sample they are of, so that
the cells that are checked keep their keys. What they say is derived in `scores.converged`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mtlbench.config.attack import epsilon_list
from mtlbench.config.black_box import searched
from mtlbench.config.doubled import doubled
from mtlbench.constants import SAMPLE_OF
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.spread import Spread
from mtlbench.engine.plan import Plan
from mtlbench.experiment.cells import model_identity, plan, plans
from mtlbench.experiment.references import reference_identity
from mtlbench.experiment.setup import Setup
from mtlbench.experiment.source import attacks_of
from mtlbench.experiment.trained import Trained


def check_of(setup: Setup, trained: Trained, checked: Sequence[Plan]) -> tuple[MultiTaskDataset, list[Plan]] | None:
    """The sample, and its cells: a clean one, each attack as it is, with twice the steps, and by random search.

    None where neither ``attack.converged`` nor ``attack.black_box`` asks for any.

    Args:
        setup: of the attack.
        trained: its model.
        checked: from `cells.plans`, of all images.
    """
    others = [found for found in (doubled(setup.config), searched(setup.config)) if found is not None]
    if not others:
        return None
    sample = Spread(setup.test, setup.config["attack"]["converged_images"])
    model = model_identity(setup, trained, sample, setup.config["precision"])
    found: dict[str, Plan] = {}
    for config in (setup.config, *others):
        own = plans(config, model, attacks_of(setup, config), epsilon_list(config), reference_identity(setup))
        found |= {one.key: one for one in _named(own, checked)}
    return sample, list(found.values())


def _named(own: Sequence[Plan], checked: Sequence[Plan]) -> list[Plan]:
    """The cells of the sample, each with the key of the cell of all images that it checks."""
    named: dict[str, Plan] = {}
    for one, whole in zip(own, checked, strict=True):
        identity: Mapping[str, Any] = {**one.identity, SAMPLE_OF: whole.key}
        named[one.key] = plan(identity, one.attack, one.eps, [named[other.key] for other in one.alternatives])
    return list(named.values())
