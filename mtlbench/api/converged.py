"""Has an attack converged? The plans of the check on some images; what it says is derived in `scores.converged`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import signature

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.steps import Step
from mtlbench.engine.plan import Plan
from mtlbench.experiment.cells import clean_plan, plans

Named = Sequence[tuple[str, Mapping[str, Attack]]]
"""Pairs of an attack's name and target -> attack."""


def plans_of(attacks: Named, epsilons: list[float]) -> list[Plan]:
    """Cells without their model and images, of which the whole is known when all are read; the clean one first."""
    found = [clean_plan({})]
    for name, targets in attacks:
        found += plans({"attack": {"name": name}}, {}, targets, epsilons)[1:]
    return found


def doubled(attacks: Named) -> list[tuple[str, dict[str, Attack]]]:
    """The same attacks with twice the steps; those that take no number of steps stay."""
    return [(name, {target: _twice(one) for target, one in targets.items()}) for name, targets in attacks]


def _twice(attack: Attack) -> Attack:
    step = attack.step
    kind: Callable[..., Step] = type(step)
    if "steps" not in signature(kind).parameters:
        return attack
    # An option at its default, such as a size of 1 / steps, follows the number of steps, as on the command line.
    default = kind(steps=step.steps).options()
    given = {name: value for name, value in step.options().items() if value != default.get(name)}
    return replace(attack, step=kind(**given, steps=2 * step.steps))
