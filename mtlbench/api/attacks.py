"""Attacks by name, as the command line names them."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.ball import BALLS
from mtlbench.attacks.listed import listed
from mtlbench.attacks.objectives import SEA, Auto, Objective, Total
from mtlbench.attacks.steps import FGSM, MIMLinear, Noise, ShrinkingAPGD, Step
from mtlbench.attacks.targets import targets_of
from mtlbench.constants import GREY_LEVELS
from mtlbench.engine.losses import check_levels
from mtlbench.errors import UsageError
from mtlbench.identity import public_name
from mtlbench.options import is_number, one_of
from mtlbench.tasks import EVERY_TASK, Task

OBJECTIVES: dict[str, type[Objective]] = listed(Objective)  # type: ignore[type-abstract]
STEPS: dict[str, type[Step]] = listed(Step)  # type: ignore[type-abstract]
NOISE = "noise"
DEFAULT_STEP = "mim_linear"
FIXED: dict[type[Objective], Callable[..., Step]] = {Auto: partial(MIMLinear, 100), SEA: ShrinkingAPGD}
"""Objective -> the step rule that it brings, as in conf/attack."""

FRACTION = 32.5 / GREY_LEVELS
"""Smaller radii, but 0, are taken for fractions of the range, as other libraries want them."""


def attacks_of(
    objective: str | Objective | Iterable[str | Objective],
    step: str | Step,
    steps: int | None,
    tasks: Sequence[Task],
    norm: str,
    eot: int = 1,
) -> list[tuple[str, dict[str, Attack]]]:
    """Name of each attack, and target -> attack, see `targets_of`.

    A name may come twice, with other options.

    Raises:
        UsageError: an objective, a step rule, a norm or the level of a metric is unknown.
    """
    one_of(norm, "norm", BALLS)
    check_levels(tasks)
    chosen = [objective] if isinstance(objective, (str, Objective)) else list(objective)
    step_rule(step, steps)  # refuses what is wrong whether it is used or not
    found: list[tuple[str, dict[str, Attack]]] = []
    for one in chosen:
        if one == NOISE:
            found.append((NOISE, {EVERY_TASK: Attack(Total(), Noise(), tuple(tasks), norm=norm)}))
            continue
        built = objective_of(one)
        name, rule = public_name(type(built)), fixed_rule(built, step, steps) or step_rule(step, steps)
        targets = targets_of(built, tasks)
        found.append(
            (name, {target: Attack(built, rule, seen, norm=norm, eot=eot) for target, seen in targets.items()})
        )
    if not found:
        raise UsageError(f"objective={objective!r}: expected one or more of {', '.join((*OBJECTIVES, NOISE))}")
    return found


def objective_of(given: str | Objective) -> Objective:
    """An objective, by its name or as it is."""
    if isinstance(given, Objective):
        return given
    return OBJECTIVES[one_of(given, "objective", (*OBJECTIVES, NOISE))]()


def fixed_rule(objective: Objective, step: str | Step, steps: int | None) -> Step | None:
    """The step rule that an objective brings; None where it takes any.

    Raises:
        UsageError: it takes no other one, or no other number of steps.
    """
    kind = FIXED.get(type(objective))
    if kind is None:
        return None
    name, recipe = public_name(type(objective)), objective.recipe
    if step != DEFAULT_STEP:
        raise UsageError(f"step={step}: {name} has a step rule of its own; leave it out")
    if steps is None:
        return kind()
    if recipe is not None:
        raise UsageError(f"steps={steps}: {recipe} is a fixed recipe; objective='smooth_arp' takes a number of steps")
    return kind(steps=steps)


def step_rule(given: str | Step, steps: int | None) -> Step:
    """A step rule, by its name or as it is; `steps` where it takes a number of them."""
    if isinstance(given, Step):
        if steps is not None:
            raise UsageError(f"steps={steps}: {given!r} has a number of steps of its own")
        return given
    kind: Callable[..., Step] = STEPS[one_of(given, "step", STEPS)]
    if kind is FGSM:
        if steps not in (None, 1):
            raise UsageError(f"steps={steps}: fgsm takes one step")
        return FGSM()
    return kind() if steps is None else kind(steps=steps)


def radii(eps: float | Iterable[float]) -> list[float]:
    """Radii in grey levels of 255, ascending and without repeats."""
    given = [eps] if is_number(eps) else list(eps)  # type: ignore[arg-type]
    for value in given:
        if not is_number(value, 0, GREY_LEVELS):
            raise UsageError(f"eps={value!r}: expected grey levels of 255, for example 4 for 4/255")
        if 0 < value < FRACTION:
            raise UsageError(f"eps={value}: expected grey levels of 255; {value * 255:.3g} for {value} of the range")
    if not given:
        raise UsageError("eps=[]: expected one or more numbers of grey levels of 255")
    return sorted({float(value) for value in given})
