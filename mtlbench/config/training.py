"""The training of a configuration: its recipe, its noise and its adversary."""

from collections.abc import Sequence
from inspect import signature

from mtlbench.attacks.objectives import Objective
from mtlbench.attacks.steps import Step
from mtlbench.config import Config
from mtlbench.config.build import named
from mtlbench.config.dataset import space_of
from mtlbench.constants import LINF, NO_ATTACK
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.consistency import Consistency
from mtlbench.engine.noisy import Noisy
from mtlbench.engine.precision import FP32
from mtlbench.engine.training import ADAM, EQUAL, Recipe
from mtlbench.errors import UsageError
from mtlbench.options import one_of, whole

USUAL_EPS = 8
"""Grey levels of 255."""


def training_recipe(config: Config) -> Recipe:
    """The recipe of the configuration."""
    training = config["training"]
    if not isinstance(training["betas"], Sequence):
        raise UsageError(f"training.betas={training['betas']}: expected two numbers from 0 to below 1")
    whole(training["save_every"], "training.save_every")
    return Recipe(
        iterations=training["iterations"],
        batch_size=training["batch_size"],
        lr=training["lr"],
        schedule=training["schedule"],
        halve_every=training["halve_every"],
        betas=tuple(training["betas"]),
        weight_decay=training["weight_decay"],
        seed=config["seed"],
        precision=training.get("precision", FP32),
        optimiser=training.get("optimiser", ADAM),
        weighting=training.get("weighting", EQUAL),
    )


def build_noise(config: Config) -> Noisy | None:
    """What makes the inputs of a training with noise; None for one without."""
    training = config["training"]
    if "sigma" not in training:
        return None
    if training["sigma"] is None:
        raise UsageError(f"training={training['name']}: give training.sigma=..., in the unit of eps; null is no noise")
    return Noisy(training["sigma"], config["seed"])


def build_adversary(config: Config) -> Adversary | None:
    """The generator of attacked images for adversarial training; None for clean training."""
    training = config["training"]
    if "attack" not in training:
        return None
    objectives, rules = (named(kind, config["plugins"]) for kind in (Objective, Step))
    attack = one_of(training["attack"], "training.attack", (*objectives, NO_ATTACK))
    rule = rules[one_of(training["step"], "training.step", rules)]
    steps = {"steps": whole(training["steps"], "training.steps")}
    return Adversary(
        objective=None if attack == NO_ATTACK else objectives[attack](),
        step=rule(**steps if "steps" in signature(rule).parameters else {}),
        eps=_radius(config, attack, rule),
        ratio=training["ratio"],
        warmup=training["warmup"],
        seed=config["seed"],
        consistency=None if training.get("consistency") is None else Consistency(training["consistency"]),
        norm=training.get("norm", LINF),
    )


def _radius(config: Config, attack: str, rule: type[Step]) -> float:
    """``training.eps``, which `Adversary` checks; null is `USUAL_EPS` on images."""
    given: float | None = config["training"]["eps"]
    if given is not None:
        return given
    space = space_of(config).counting(rule.counts)
    if attack != NO_ATTACK and space.form != "image":
        raise UsageError(
            f"training.eps=null: {USUAL_EPS} grey levels is the radius for images; give one in units of {space.unit}, "
            f"for example training.eps={1 if space.counted else 0.1}"
        )
    return USUAL_EPS
