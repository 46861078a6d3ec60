"""The training of a configuration: its recipe, and what makes the images of adversarial training."""

from collections.abc import Sequence

from mtlbench.config import Config
from mtlbench.engine.adversarial import Adversary
from mtlbench.engine.precision import FP32
from mtlbench.engine.training import Recipe
from mtlbench.errors import UsageError
from mtlbench.options import whole


def training_recipe(config: Config) -> Recipe:
    """How the model is trained."""
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
    )


def build_adversary(config: Config) -> Adversary | None:
    """What makes the attacked images of adversarial training; None for clean training."""
    training = config["training"]
    if "attack" not in training:
        return None
    names = ("attack", "step", "steps", "eps", "ratio", "warmup")
    return Adversary(**{name: training[name] for name in names}, seed=config["seed"])
