"""Audit: recompute stored results and check that the current code reproduces them."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mtlbench.config import Config
from mtlbench.config.attack import epsilon_list
from mtlbench.config.dataset import open_dataset
from mtlbench.config.values import check_values
from mtlbench.constants import SAMPLE_OF
from mtlbench.data.base import MultiTaskDataset
from mtlbench.engine.evaluate import Pass, evaluate
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import computing_in
from mtlbench.errors import DataError, MtlbenchError
from mtlbench.experiment.cells import clean_plan, model_identity, plans
from mtlbench.experiment.converged import check_of
from mtlbench.experiment.references import reference_identity
from mtlbench.experiment.run import clean_values, loader_of
from mtlbench.experiment.session import Session
from mtlbench.experiment.setup import AUTO, Setup, prepare
from mtlbench.experiment.source import attacks_of
from mtlbench.experiment.trained import Trained, load_or_train
from mtlbench.metrics.sketch import sketched
from mtlbench.models.custom import Custom
from mtlbench.process.watchdog import ProgressBar
from mtlbench.scores.frame import metrics_frame
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell

MOST = 1e-3
"""Largest relative difference of a metric that another device, number of threads or library version may cause."""

MOVING = ("outputs", "device", "workers", "timeout", "wait", "plugins", "batch_size")
"""Options taken from the command line of the audit: they determine where and how to compute, not what."""


@dataclass(frozen=True)
class Audited:
    """One recomputed cell.

    Attributes:
        key: of the cell.
        label: its description.
        verdict: ``equal`` bit for bit, ``rounding`` (metrics agree within `MOST`), ``different``, or ``changed``: the
            same configuration now leads to another cell, because data, weights or code have changed.
        difference: largest relative difference of any metric; 0 where equal, NaN where changed.
        why: what has changed.
    """

    key: str
    label: str
    verdict: str
    difference: float = float("nan")
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether the stored numbers were reproduced."""
        return self.verdict in ("equal", "rounding")


def audit(config: Config, number: int, progress_bar: ProgressBar) -> Iterator[Audited]:
    """Recompute `number` stored cells, drawn at random by ``seed``, and compare."""
    store = Outputs.of(config).store
    keys = store.keys()
    if not keys:
        raise DataError(f"{store.folder}: no results yet; `mtlbench attack` makes some")
    for key in random.Random(config["seed"]).sample(keys, min(number, len(keys))):
        yield _audit(config, store.load(key), progress_bar)


def _audit(config: Config, cell: Cell, progress_bar: ProgressBar) -> Audited:
    label = Plan(cell.key, None, cell.identity["eps"], cell.identity).label
    recorded = cell.provenance.get("config")
    if not isinstance(recorded, Mapping):
        return Audited(
            cell.key, label, "changed", why="its configuration was not recorded by the version that made it"
        )
    again = {**recorded, **{name: config[name] for name in MOVING if name in config}, "force": False, "overrides": []}
    check_values(again)  # a stored configuration is checked like a user's
    setup = prepare(again, progress_bar, Session())
    if "defence" not in cell.identity:  # the clean cell of a training, which has none
        setup = replace(setup, defence=None)
    trained_here = again["checkpoint"] == AUTO and not isinstance(setup.architecture, Custom)
    if trained_here and not setup.checkpoint().trained:
        return Audited(cell.key, label, "changed", why=f"{setup.checkpoint().weights}: this model no longer exists")
    trained = load_or_train(setup)
    arithmetic = cell.identity.get("precision", "fp32")
    dataset, asked = _plans(setup, trained, cell, arithmetic)
    found = [plan for plan in asked if plan.key == cell.key]
    if not found:
        closest = max(asked, key=lambda plan: sum(plan.identity.get(k) == v for k, v in cell.identity.items()))
        differing = sorted(k for k, v in cell.identity.items() if closest.identity.get(k) != v)
        return Audited(cell.key, label, "changed", why=f"another {', '.join(differing) or 'version of the results'}")
    work = Pass(trained.model, dataset.tasks, found[:1], trained.seed, clean_values(setup, trained), setup.defence)
    with setup.progress_bar(f"audit {label}") as progress, computing_in(arithmetic, trained.model):
        records = evaluate(work, loader_of(setup, dataset), setup.device, len(dataset), progress)
    return _compared(cell, label, records[cell.key].arrays())


def _plans(setup: Setup, trained: Trained, cell: Cell, arithmetic: str) -> tuple[MultiTaskDataset, list[Plan]]:
    """The split of the cell, and the cells that its configuration now leads to."""
    config = setup.config
    checks = SAMPLE_OF in cell.identity
    # The clean cell of a training covers the whole split.
    if not checks and cell.identity["n_images"] != len(setup.test):
        whole = open_dataset(config, "test", setup.root)
        return whole, [clean_plan(model_identity(setup, trained, whole, arithmetic))]
    if config.get("attack") is None:
        return setup.test, [clean_plan(model_identity(setup, trained, setup.test, arithmetic))]
    identity = model_identity(setup, trained, setup.test, arithmetic)
    asked = plans(config, identity, attacks_of(setup, config), epsilon_list(config), reference_identity(setup))
    return (checks and check_of(setup, trained, asked)) or (setup.test, asked)


def _compared(cell: Cell, label: str, arrays: dict[str, np.ndarray]) -> Audited:
    stored, arrays = sketched(cell.arrays), sketched(arrays)  # older cells have whole histograms, no ``saturated``
    same = stored.keys() <= arrays.keys() and all(
        array.tobytes() == arrays[name].tobytes() for name, array in stored.items()
    )
    if same:
        return Audited(cell.key, label, "equal", 0.0)
    now = replace(cell, arrays=arrays)
    then_values, values = (metrics_frame([one], replicates=0).iloc[:, 0].to_numpy() for one in (cell, now))
    if len(then_values) != len(values):
        return Audited(cell.key, label, "different", why="other statistics")
    largest = float(np.nanmax(np.abs(values - then_values) / np.maximum(np.abs(then_values), 1e-12), initial=0))
    broken = (np.isnan(values) != np.isnan(then_values)).any()
    return Audited(cell.key, label, "different" if broken or largest > MOST else "rounding", largest)


def require_good(found: list[Audited]) -> None:
    """Raise an error if a cell was not reproduced.

    Raises:
        MtlbenchError: there is such a cell.
    """
    bad = [one for one in found if not one.good]
    if bad:
        raise MtlbenchError(f"{len(bad)} of {len(found)} cells cannot be reproduced as they are stored")
