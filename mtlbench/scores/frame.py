"""From stored cells to the wide frame of metrics: a row per cell, task, metric and score set."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.constants import LINF, SAMPLE_OF
from mtlbench.errors import DataError
from mtlbench.metrics import PAPER_BATCH, Scores, metrics_of, values
from mtlbench.metrics.formulas import rebuilt
from mtlbench.options import is_number
from mtlbench.scores import bootstrap_weights
from mtlbench.scores.wide import ABOUT_METRIC, IDENTITY, SAME_MODEL
from mtlbench.storage.store import Cell
from mtlbench.tasks import EVERY_TASK, Task

SCORE_SETS: tuple[Scores, ...] = ("standard", "paper")
REPLICATES = 1000
LEVELS = tuple(dict.fromkeys((*IDENTITY, *SAME_MODEL, "norm", "options", "recipe", SAMPLE_OF, "cell")))
METRIC = ("task", "metric", *ABOUT_METRIC)
OPTIONS = ("objective", "step_options", "starts", "norm", "logits", "made_on", "eot")
OF_DATA = ("images", "resolution", "seed", "classes", "normals", "base")
HASH_DIGITS = 8
STRANGE = (AttributeError, LookupError, TypeError, ValueError)
"""What is raised where a cell lacks what every cell has."""


def metrics_frame(
    cells: Iterable[Cell],
    replicates: int = REPLICATES,
    paper_batch: int = PAPER_BATCH,
    seed: int = 0,
    weights: dict[int, np.ndarray] | None = None,
    shown: Sequence[str] = LEVELS,
) -> pd.DataFrame:
    """Every metric of every cell in both score sets.

    Args:
        cells: stored cells; each is released before the next one is requested.
        replicates: bootstrap samples of the images; the same for all cells with the same number of images, so that
            differences between attacks are paired.
        paper_batch: images per batch of the paper's batch means.
        seed: of the bootstrap.
        weights: number of images -> `bootstrap_weights`, kept between calls with the same replicates and seed.
        shown: the index levels wanted, of `LEVELS`.

    Returns:
        A wide frame: index levels `shown` and `METRIC`; columns 0 (the value) to `replicates`.

    Raises:
        DataError: a cell is intact but its content is not what mtlbench computes.
    """
    weights = {} if weights is None else weights
    index, rows = [], []
    for cell in cells:
        try:
            images = int(cell.identity["n_images"])
            if images != len(cell.arrays["losses"]):  # before bootstrap weights of that size are drawn
                raise ValueError(f"{len(cell.arrays['losses'])} losses for {images} images")
            if images not in weights:
                weights[images] = bootstrap_weights(images, replicates, seed)
            identity = names(cell)
            for scores in SCORE_SETS:
                called = tuple({**identity, "scores": scores}[name] for name in shown)
                for metric, value in _values(cell, scores, weights[images], paper_batch):
                    index.append((*called, *metric))
                    rows.append(value)
        except STRANGE as error:
            raise unscorable(cell, error) from error
    every = (*shown, *METRIC)
    levels = pd.MultiIndex.from_tuples(index, names=every) if index else _nothing(every)
    return pd.DataFrame(np.array(rows).reshape(len(rows), 1 + replicates), index=levels)


def unscorable(cell: Cell, error: Exception) -> DataError:
    """What to say of an intact cell whose content is not what mtlbench computes."""
    return DataError(
        f"{cell.key}.npz: a cell that cannot be scored ({type(error).__name__}: {error}); "
        "remove it from the store, the attack that made it computes it again"
    )


def _values(
    cell: Cell, scores: Scores, weights: np.ndarray, paper_batch: int
) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """What is called a metric (`METRIC`), and its values, of every metric of a cell."""
    tasks = _tasks(cell)
    known = {(task.name, metric.name): metric for task in tasks for metric in metrics_of(task)}
    for (task, metric), value in values(tasks, cell.arrays, weights, scores, paper_batch).items():
        about = known[task, metric]
        yield (task, metric, about.unit, about.higher_is_better), value


def _tasks(cell: Cell) -> list[Task]:
    """The tasks of a cell with their metrics; metrics of plugins as described in the cell."""
    return [
        Task(name, 0, "", tuple(rebuilt(name, metric, cell.formulas.get(name, {}).get(metric)) for metric in metrics))
        for name, metrics in cell.tasks.items()
    ]


def names(cell: Cell) -> dict[str, Any]:
    """The columns that identify a cell in tables, and those that distinguish cells of the same name.

    ``target`` names the attacked tasks if not all are attacked, and the weights of `weighted`, as in ``w1/0/2``.
    ``options`` holds everything in which attacks of one name may differ: step size, alpha, restarts, attacked tasks.
    ``recipe`` holds the options of the training; empty if the weights were given. Both are canonical JSON.
    """
    # Identities omit default values.
    defaults = {"precision": "fp32", "model_version": 1, "norm": LINF, SAMPLE_OF: ""}
    identity = {**defaults, **cell.identity, "cell": cell.key}
    attack = {name: cell.identity[name] for name in OPTIONS if cell.identity.get(name)}
    attacked = identity.get("tasks") or ()
    if identity.get("target") == EVERY_TASK and 0 < len(attacked) < len(cell.tasks):
        identity["target"] = "+".join(attacked)
        attack["tasks"] = attacked
    if weights := identity.get("objective", {}).get("weights"):
        identity["target"] = "w" + "/".join(map(str, weights))
    more = {"options": attack, "recipe": _recipe(cell)}
    return identity | {name: json.dumps(value, sort_keys=True) for name, value in more.items()}


def _recipe(cell: Cell) -> dict[str, Any]:
    """The training and augmentation, without the seed; empty if unknown."""
    recipe = cell.provenance.get("recipe")
    if not isinstance(recipe, Mapping):
        return {}
    training = {name: value for name, value in recipe["training"].items() if name != "seed"}
    return {"training": training, "augment": recipe["dataset"]["settings"].get("augment")}


def shared_path(cell: Cell) -> float | None:
    """The shared part of a task's path in the cell's model, 0 to 1 (see `models.measured`); None if not recorded."""
    measured = cell.provenance.get("sharing_measured")
    if isinstance(measured, Mapping) and is_number(measured.get("shared_path"), 0, 1):
        return float(measured["shared_path"])
    return None


def details(cell: Cell) -> dict[str, str]:
    """Everything that may distinguish a cell from others of the same name, with readable names.

    Options of objective, step and start, of the training and of the data; last, those that always differ.
    """
    identity, config = cell.identity, cell.provenance.get("config") or {}
    found = spelled_out(identity, _recipe(cell))
    found |= {f"dataset_{name}": _words(config.get("dataset", {}).get(name)) for name in OF_DATA}
    trained_on = (cell.provenance.get("recipe") or {}).get("dataset", {})
    found |= {"training_dataset": _words(trained_on.get("generated") or trained_on.get("name"))}
    last = {"tree": identity.get("tree"), "precision": identity.get("precision", "fp32")}
    last |= {"model_version": identity.get("model_version", 1)}
    found |= {"eps_unit": str(identity["eps_unit"])} if "eps_unit" in identity else {}
    last |= {name: str(identity.get(name))[:HASH_DIGITS] for name in ("split", "weights", "fingerprint")}
    return found | {name: _words(value) for name, value in last.items()}


def spelled_out(attack: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, str]:
    """The options of an attack (`OPTIONS`) and of a training (see `names`), with readable names."""
    groups = {
        "": {k: v for k, v in attack.get("objective", {}).items() if k != "name"} | attack.get("starts", {}),
        "step_": {k: v for k, v in attack.get("step_options", {}).items() if k != "steps"},
        "training_": {k: v for k, v in recipe.get("training", {}).items() if k != "name"},
        "augment_": recipe.get("augment") or {},
    }
    found = {prefix + name: _words(value) for prefix, options in groups.items() for name, value in options.items()}
    source = attack.get("made_on", {})
    made_on = f"{source.get('sharing')}:{str(source.get('weights'))[:HASH_DIGITS]}" if source else ""
    named = {"norm": attack.get("norm", LINF), "logits": attack.get("logits", "raw"), "made_on": made_on}
    named |= {"eot": _words(attack["eot"])} if "eot" in attack else {}
    return named | found


def _words(value: object) -> str:
    """A value as on a command line, shortened."""
    if isinstance(value, Mapping):
        return "+".join(f"{name}*{_words(inner)}" for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "x".join(map(_words, value))
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _nothing(names: tuple[str, ...]) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([[] for _ in names], names=names)
