"""Finds options that are given but have no effect, although the user expects one.

What knows the attacks is imported where an option of one is given: a report starts without torch.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtlbench.config.doubled import CHECK, has_steps
from mtlbench.constants import NO_ATTACK, NO_DEFENCE
from mtlbench.errors import UsageError

if TYPE_CHECKING:
    from mtlbench.attacks.objectives import Objective

Config = Mapping[str, Any]


def _attack(config: Config) -> Config:
    found: Config = config.get("attack") or {}
    return found


def _dataset(config: Config) -> Config:
    found: Config = config.get("dataset") or {}
    return found


def _training(config: Config) -> Config:
    found: Config = config.get("training") or {}
    return found


def _objective(config: Config) -> "type[Objective] | None":
    """The class of the attack's objective; None where there is none."""
    from mtlbench.attacks.objectives import Objective
    from mtlbench.config.build import target_of

    objective = _attack(config).get("objective")
    return None if objective is None else target_of(objective, config.get("plugins") or (), Objective)


def _climbs_losses(config: Config) -> bool:
    """Whether the attack has an objective, and that climbs losses."""
    from mtlbench.attacks.objectives import LOSSES

    kind = _objective(config)
    return kind is not None and kind.climbs == LOSSES


def _climbs_metrics(config: Config) -> bool:
    """Whether the attack has an objective, and that climbs metrics."""
    from mtlbench.attacks.objectives import METRICS

    kind = _objective(config)
    return kind is not None and kind.climbs == METRICS


def _can_search(config: Config) -> bool:
    from mtlbench.config.black_box import can_search

    return can_search(config)


def _recipe(config: Config) -> str | None:
    kind = _objective(config)
    return None if kind is None else kind.recipe


FIXED = (
    r"attack\.(fixed_step\..+|random_start|starts|restarts|loss(\..+)?|loss_scale(\..+)?|logits|metrics(\..+)?"
    r"|clean_values)"
)
"""The options that a fixed recipe does not take."""

RULES: tuple[tuple[str, Callable[[Config], bool], str], ...] = (
    (FIXED, lambda c: _recipe(c) is not None, "attack={attack} is a fixed recipe; attack=smooth_arp takes options"),
    (
        r"attack\.(step\..+|random_start|restarts|loss_scale|norm|logits|source|loss|metrics|clean_values)",
        lambda c: "attack" in c and _attack(c).get("objective") is None,
        "attack={attack} attacks nothing",
    ),
    (
        r"sharing([/.].+)?|training([/.].+)?",
        lambda c: "build" in (c.get("model") or {}),
        "model=custom comes with a sharing and a training of its own",
    ),
    (
        r"attack\.eot",
        lambda c: not (c.get("model") or {}).get("random"),
        "a model without model.random=true has one gradient, and its mean is itself",
    ),
    (r"attack\.random_start", lambda c: _attack(c).get("name") == "noise", "noise is random wherever it starts"),
    (r"attack\.source", lambda c: _attack(c).get("name") == "noise", "noise is random whatever model it is made on"),
    (
        r"attack\.(loss|loss_scale)(\..+)?",
        lambda c: _attack(c).get("name") == "noise",
        "noise is random whatever the losses are",
    ),
    (
        r"attack\.converged_images",
        lambda c: not {"converged", "black_box"} & {name for name, value in _attack(c).items() if value is not None},
        f"give attack.converged={CHECK} or attack.black_box={CHECK} as well",
    ),
    (
        r"training\.halve_every",
        lambda c: _training(c).get("schedule") != "halve",
        "training.schedule={schedule} halves nothing",
    ),
    (
        r"training\.steps",
        lambda c: _training(c).get("step") == "fgsm",
        "training.step=fgsm takes one step; give training.step=pgd as well",
    ),
    (
        r"training\.(step|steps|eps)",
        lambda c: _training(c).get("attack") == NO_ATTACK,
        "training={training} leaves the images as they are",
    ),
    (
        r"dataset\.(images|sentences|seed)",
        lambda c: _dataset(c).get("root") is not None and _dataset(c).get("make") is not None,
        "dataset.root is given, so nothing is generated",
    ),
    (r"dataset\.augment(\..+)?", lambda c: c.get("checkpoint", "auto") != "auto", "the weights are given"),
    (
        r"device|workers|wait|timeout|plugins|seed",
        lambda c: "audit" in c and c["audit"] is None,
        "of mtlbench report only audit= computes anything",
    ),
    (r"study", lambda c: c.get("cell") is not None or c.get("audit") is not None, "cell= and audit= show no study"),
    (
        r"report\..+",
        lambda c: c.get("cell") is not None or c.get("audit") is not None,
        "cell= and audit= show no table",
    ),
    (
        r"report\.(rows|columns|where|tables|interval)",
        lambda c: c.get("study") is not None,
        "the tables of a study have rows and columns of their own",
    ),
    (r"source|target", lambda c: c.get("action") != "convert", "action=convert has a source and a target"),
    (
        r"dataset(\..+)?",
        lambda c: c.get("action") == "convert",
        "action=convert takes source= and target=; the result says which dataset reads it",
    ),
    (r"device|workers|timeout", lambda c: "action" in c, "mtlbench data decodes in this process"),
    (r"device|workers|wait|timeout|plugins|seed", lambda c: "blocks" in c, "mtlbench layouts only draws"),
    (r"workers|timeout", lambda c: "repeats" in c, "mtlbench bench loads its images before it times anything"),
)
"""Regular expression of an option, condition under which nothing reads it, and the reason."""

ONLY_IN_A_SWEEP: tuple[tuple[str, Callable[[Config], bool], str], ...] = (
    (
        r"attack\.(metrics|clean_values)(\..+)?",
        _climbs_losses,
        "attack={attack} climbs losses, not metrics",
    ),
    (
        r"attack\.(loss|loss_scale)(\..+)?",
        lambda c: (kind := _objective(c)) is not None and bool(kind.sees),
        "attack={attack} has losses of its own",
    ),
    (
        r"attack\.black_box",
        lambda c: _attack(c).get("black_box") == CHECK and not _can_search(c),
        "random search has nothing to climb, no images, or another norm than linf",
    ),
    (
        r"defence\..+",
        lambda c: (c.get("defence") or {}).get("name") == NO_DEFENCE,
        "defence=none adds no noise; give defence=smoothing as well",
    ),
    (r"attack\.loss(\..+)?", _climbs_metrics, "attack={attack} climbs metrics, not losses"),
    (
        r"attack\.step\..+",
        lambda c: "fixed_step" in _attack(c),
        "attack={attack} has a step rule of its own; its options are attack.fixed_step.*, see --cfg job",
    ),
    (r"attack/step", lambda c: "fixed_step" in _attack(c), "attack={attack} has a step rule of its own"),
    (
        r"attack/step|eps|attack\.tasks",
        lambda c: "attack" in c and _attack(c).get("objective") is None,
        "attack={attack} attacks nothing",
    ),
    (
        r"attack\.converged",
        lambda c: _attack(c).get("converged") == CHECK and not has_steps(_attack(c)),
        "attack={attack} with this step rule takes no number of steps, so none can be doubled",
    ),
)
"""The same, but accepted in a sweep, where they may be meant for other points."""


def check_read(config: Config, overrides: Sequence[str], swept: bool) -> None:
    """Refuse options that nothing reads.

    Args:
        config: the resolved configuration.
        overrides: as they were given.
        swept: whether this is a point of a sweep.

    Raises:
        UsageError: one of them.
    """
    for override in overrides:
        option = override.lstrip("+").partition("=")[0]
        for pattern, idle, why in (*RULES, *(() if swept else ONLY_IN_A_SWEEP)):
            if re.fullmatch(pattern, option) and idle(config):
                names = {
                    "attack": _attack(config).get("name"),
                    "training": _training(config).get("name"),
                    "schedule": _training(config).get("schedule"),
                }
                raise UsageError(f"{override}: nothing reads this option here: {why.format(**names)}")
