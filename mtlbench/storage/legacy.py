"""Identities and recipes from before schema 3, which held import paths and options as typed, and cells from before
schema 4, which included those of their weightings.

They are converted to the current format when they are read, so that no result and no model is lost. The tables below
record the constructors of that time; they must never change.
"""

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, TypeVar

from mtlbench.identity import as_json, without_neutral
from mtlbench.options import is_number

T = TypeVar("T")
TARGET = "_target_"
STEPS = {"steps": 10}
WHOLE = ("steps", "grid")
CLASSES: dict[str, tuple[str, dict[str, Any]]] = {
    "DGBA": ("dgba", {}),
    "Power": ("power", {"alpha": 1.0}),
    "SignSum": ("sign_sum", {}),
    "Single": ("single", {}),
    "Static": ("static", {}),
    "Total": ("total", {}),
    "WeightedTotal": ("weighted_total", {"grid": 3}),
    "APGD": ("apgd", STEPS | {"size": 2.0}),
    "FGSM": ("fgsm", {}),
    "MIM": ("mim", STEPS | {"size": None, "momentum": 1.0}),
    "MIMLinear": ("mim_linear", STEPS | {"size": 2.0, "momentum": 0.5}),
    "Noise": ("-", {}),
    "PGD": ("pgd", STEPS | {"size": None}),
    "ReferenceAPGD": ("apgd_reference", STEPS | {"clean": None}),
    "ReferenceSAGA": ("saga_reference", STEPS),
    "SAGA": ("saga", STEPS | {"size": None, "rate": 0.5, "fit": 1.0}),
    "Tiny": ("tiny", {"width": 1.0}),
    "DeepLabResNet34": ("deeplab_resnet34", {"pretrained": False}),
    "MobileNetV2": ("mobilenet_v2", {"pretrained": False}),
}
"""Class of mtlbench -> its public name, and its options with their defaults."""


def cell_identity(old: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of a cell of schema 1 or 2 in the format of schema 3."""
    if not old["objective"]:  # a clean cell
        return dict(old)
    options = dict(old["objective"])
    scale = options.pop("loss_scale", None) or {}
    scale = {task: float(factor) for task, factor in scale.items() if task in old["tasks"] and factor != 1}
    step = _named(old["step_options"])
    return {
        **old,
        "objective": _named(options) | without_neutral({"loss_scale": scale or None}),
        "step": step.pop("name") if TARGET in old["step_options"] else old["step"],
        "step_options": step,
        "starts": {"restarts": 1, **old.get("starts", {})},
    }


def cells(
    identity: Mapping[str, Any], provenance: Mapping[str, Any], arrays: Mapping[str, T]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], dict[str, T]]]:
    """Identity, provenance and arrays of a cell from before schema 4, and of the weightings that it includes.

    Only cells of `weighted_total` included any: arrays with the weights as prefix, ``w1/0/2:depth/abs_sums``.
    """
    found: dict[str, dict[str, T]] = {"": {}}
    for name, array in arrays.items():
        point, _, statistic = name.rpartition(":")
        found.setdefault(point, {})[statistic] = array
    yield identity, provenance, found.pop("")
    for point, its in found.items():
        counts = [int(count) for count in point.removeprefix("w").split("/")]
        common = gcd(*counts) or 1
        objective = {key: value for key, value in identity["objective"].items() if key not in ("name", "grid")}
        objective |= {"name": "weighted", "weights": [count // common for count in counts]}
        if identity["starts"]["restarts"] > 1:
            objective["judge"] = identity["objective"]["name"]
        price = {"gradients_per_image": provenance["gradients_per_image"] // len(found)}
        own = {"attack": "weighted", "objective": objective, "target": "all"}
        yield {**identity, **own}, {**provenance, **price}, its


def recipe(old: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe written before schema 3, in the current format."""
    if TARGET not in old.get("model", {}):
        return dict(old)
    options = dict(old["model"])
    version = options.pop("version", 1)
    model = _named(options) | ({"version": version} if version > 1 else {})
    settings = dict(old["dataset"]["settings"])
    if "augment" in settings:
        settings["augment"] = augmentation(settings["augment"])
    dataset = {**old["dataset"], "settings": settings}
    return {**old, "model": model, "dataset": dataset, "training": training(old["training"])}


def training(old: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a training, without those that have no effect given the others."""
    idle = {"save_every"}
    idle |= {"halve_every"} if old["schedule"] != "halve" else set()
    idle |= {"steps"} if old.get("step") == "fgsm" else set()
    idle |= {"step", "steps", "eps"} if old.get("attack") == "none" else set()
    numbers = ("lr", "weight_decay", "eps", "ratio")
    kept = {name: value for name, value in as_json(old).items() if name not in idle}
    kept |= {name: float(kept[name]) for name in numbers if name in kept}
    return kept | {"betas": [float(beta) for beta in old["betas"]]}


def augmentation(old: Mapping[str, Any]) -> dict[str, Any]:
    """Scales as floats."""
    return {name: value if isinstance(value, bool) else float(value) for name, value in old.items()}


def recipe_of_config(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The recipe recorded in a cell from before schema 3; None if the weights were given."""
    if not isinstance(config, Mapping) or config.get("checkpoint", "auto") != "auto":
        return None
    dataset = {"settings": {"augment": augmentation(config["dataset"]["augment"])}}
    return {"dataset": dataset, "training": training(config["training"])}


def label_of_given(config: Mapping[str, Any] | None) -> dict[str, str]:
    """The name of the training of given weights: before schema 3 it came from the command line."""
    given = isinstance(config, Mapping) and config.get("checkpoint", "auto") != "auto"
    return {"training": "given"} if given else {}


def _named(node: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of an objective, step rule or backbone from its options and the path of its class."""
    if TARGET not in node:
        return dict(node)
    module, _, kind = node[TARGET].rpartition(".")
    if module.partition(".")[0] != "mtlbench":
        # The class of a plugin is not available here: its path replaces its name, see `build.identity_of`.
        return {"name": node[TARGET]} | {key: value for key, value in node.items() if key != TARGET}
    name, defaults = CLASSES[kind]
    options = {key: node.get(key, default) for key, default in defaults.items()}
    if "size" in options and options["size"] is None:
        options["size"] = 1 / options["steps"]
    floats = {key: float(value) for key, value in options.items() if is_number(value) and key not in WHOLE}
    return {"name": name, **without_neutral(as_json(options | floats))}
