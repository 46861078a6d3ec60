"""Saves a few images of each cell, clean and attacked: ``save_images``.

The images are chosen when all cells of a command are stored, and attacked once more. What an attack does to an image
does not depend on the others, so the cells need not be computed again; how far the losses of the saved images are from
those of the cell is recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtlbench.config import Config
from mtlbench.config.dataset import size_of
from mtlbench.constants import GREY_LEVELS
from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch, collate
from mtlbench.data.rooms import CLASSES, FORMS
from mtlbench.engine.evaluate import Pass, Share, cpu_block, frozen
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import computing_in
from mtlbench.experiment.chosen import Place, choose
from mtlbench.experiment.session import Session
from mtlbench.experiment.setup import Setup, prepare, say
from mtlbench.experiment.trained import Trained, load_or_train
from mtlbench.process.watchdog import ProgressBar
from mtlbench.storage.images import Images, SavedImages, set_name
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Store
from mtlbench.tasks import DEPTH_METRICS, SEGMENTATION, Task

SHARED = ("dataset", "split", "fingerprint", "n_images")
"""Cells that agree in these are of the same images."""

METRIC_DEPTH = (*DEPTH_METRICS, "log_depth_err")
"""A task without a unit that has one of these metrics is depth in metres."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep whose cells are stored.

    Attributes:
        config: its configuration.
        plans: its cells, the clean one first.
    """

    config: Config
    plans: Sequence[Plan]

    @property
    def attacked(self) -> list[Plan]:
        """Its cells that attack."""
        return [plan for plan in self.plans if plan.attack is not None]

    @property
    def images(self) -> tuple[object, ...]:
        """Tells which images its cells are of, and how many of them to choose."""
        return (*(self.plans[0].identity[name] for name in SHARED), self.config["save_images"])


def save_images(points: Sequence[Point], progress_bar: ProgressBar, session: Session) -> None:
    """Choose ``save_images`` images of each dataset, and save those of every cell that lacks them.

    Cells that are not stored, because they failed or another process computes them, are left out.

    Args:
        points: the points of one command.
        progress_bar: opens a progress bar.
        session: of the command.

    Raises:
        DataError: a stored cell is damaged.
        OSError: the images cannot be written.
    """
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(point.images, []).append(point)
    for group in groups.values():
        outputs, number = Outputs.of(group[0].config), group[0].config["save_images"]
        stored = {p.key: point.plans[0].key for point in group for p in point.attacked if p.key in outputs.store}
        if not stored:
            say(
                f"save_images={number}: no attack is stored by whose damage images could be chosen; none saved",
                session,
            )
            continue
        places = choose(list(_losses(outputs.store, stored)), number)
        chosen = set_name(stored, number)
        for point in group:
            mine = [plan for plan in point.plans if plan.key in {*stored, *stored.values()}]
            missing = [p for p in mine if session.force or not outputs.images.path(chosen, p.key).is_file()]
            if missing:
                about = {"clean": point.plans[0].key, "over": len(stored), **_described(places)}
                _Saver(point, missing, places, about, session, progress_bar)(outputs.images, chosen)


def _losses(store: Store, stored: Mapping[str, str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each attack the losses of clean and of attacked images; `stored`: its key -> key of its clean cell."""
    clean = {key: store.load(key).arrays["losses"] for key in set(stored.values())}
    for key, before in sorted(stored.items()):
        yield clean[before], store.load(key).arrays["losses"]


def _described(places: Sequence[Place]) -> dict[str, Any]:
    return {"roles": [place.role for place in places], "ranks": [place.rank for place in places]}


@dataclass(frozen=True)
class _Saver:
    """Attacks the chosen images and saves them, for the cells of one point."""

    point: Point
    missing: Sequence[Plan]
    places: Sequence[Place]
    about: Mapping[str, Any]
    session: Session
    progress_bar: ProgressBar

    def __call__(self, images: Images, chosen: str) -> None:
        config = self.point.config
        setup = prepare(config, self.progress_bar, self.session)
        trained = load_or_train(setup)
        at_once = setup.test.space.block or cpu_block(size_of(config))
        indices = [place.index for place in self.places]
        parts = [indices[start : start + at_once] for start in range(0, len(indices), at_once)]
        batches = [collate([setup.test.sample(index) for index in part]) for part in parts]
        title = f"images of {trained.title}"
        with self.progress_bar(title) as progress, computing_in(config["precision"], trained.model):
            for number, plan in enumerate(self.missing):
                images.save(chosen, self._saved(setup, trained, plan, batches))
                progress(number + 1, len(self.missing), "cells")

    def _saved(self, setup: Setup, trained: Trained, plan: Plan, batches: Sequence[Batch]) -> SavedImages:
        tasks = setup.test.tasks
        work = Pass(trained.model, tasks, [plan], trained.seed)
        with frozen(trained.model):
            parts = [_of_batch(work, plan, batch.to(setup.device), setup.test) for batch in batches]
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        losses, rounded = arrays.pop("losses"), arrays.pop("losses_rounded")
        stored = setup.outputs.store.load(plan.key).arrays["losses"][[place.index for place in self.places]]
        about = {
            **self.about,
            "names": [name for batch in batches for name in batch.names],
            "n_images": len(setup.test),
            "tasks": [_task(task, self.point.config) for task in tasks],
            "losses": plain(losses),
            "losses_rounded": plain(rounded),
            "losses_of_cell": plain(stored),
        }
        return SavedImages(plan.key, about, arrays)


def _of_batch(work: Pass, plan: Plan, batch: Batch, dataset: MultiTaskDataset) -> dict[str, np.ndarray]:
    """The arrays of one batch, and the losses [B, T] of its images and of these rounded to 8 bits."""
    image = batch.input if plan.attack is None else Share(work, batch, ()).attacked(plan)
    rounded = (image * GREY_LEVELS).round() / GREY_LEVELS
    predictions = work.predictions(batch, image)
    found: dict[str, Tensor] = {"image": image}
    for task in work.tasks:
        found[f"prediction/{task.name}"] = shown(task, predictions[task.name], dataset)
        if plan.attack is None:
            target = batch.targets[task.name]
            found[f"target/{task.name}"] = dataset.metres(target).float() if in_metres(task) else target
            found[f"mask/{task.name}"] = batch.masks[task.name]
    for name, version in {"losses": image, "losses_rounded": rounded}.items():
        found[name] = work.measured(batch, version).per_image["losses"]
    return {name: tensor.cpu().numpy() for name, tensor in found.items()}


def shown(task: Task, prediction: Tensor, dataset: MultiTaskDataset) -> Tensor:
    """What is kept of a prediction [B, C, h, w]: class ids [B, 1, h, w] of class maps, metres of depth."""
    if task.holds == "classes" and not task.per_image:
        return prediction.argmax(1, keepdim=True).to(torch.int16)
    return dataset.metres(prediction).float() if in_metres(task) else prediction.float()


def in_metres(task: Task) -> bool:
    """Whether a task is depth in metres, or in what `MultiTaskDataset.metres` converts to them."""
    return not task.unit and any(metric in METRIC_DEPTH for metric in task.metric_names)


def _task(task: Task, config: Config) -> dict[str, Any]:
    """What a picture needs to know of a task, JSON values."""
    rooms = (config["dataset"]["make"] or {}).get("form") in FORMS and len(CLASSES) == task.channels
    labels = CLASSES if rooms and task.name == SEGMENTATION and not task.labels else task.labels
    return {
        "name": task.name,
        "holds": task.holds,
        "per_image": task.per_image,
        "channels": task.channels,
        "unit": "m" if in_metres(task) else task.unit,
        "labels": list(labels),
    }


def plain(values: np.ndarray) -> list[list[float | None]]:
    """Nested lists, which JSON can hold: None where a value is not finite."""
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]
