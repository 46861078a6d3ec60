"""Saves a few images of each cell, clean and attacked: ``save_images``.

The images are chosen when all cells of a command are stored, and attacked once more, see `kept`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlbench.config import Config
from mtlbench.config.dataset import size_of
from mtlbench.data.batch import collate
from mtlbench.data.rooms import CLASSES, FORMS
from mtlbench.engine.evaluate import cpu_block
from mtlbench.engine.plan import Plan
from mtlbench.engine.precision import computing_in
from mtlbench.experiment.chosen import Place, choose
from mtlbench.experiment.kept import Keeper, about_places, described
from mtlbench.experiment.run import clean_values
from mtlbench.experiment.session import Session
from mtlbench.experiment.setup import prepare, say
from mtlbench.experiment.trained import load_or_train
from mtlbench.process.watchdog import ProgressBar
from mtlbench.storage.images import Images, set_name
from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Store
from mtlbench.tasks import SEGMENTATION, Task

SHARED = ("dataset", "split", "fingerprint", "n_images")
"""Cells that agree in these are of the same images."""


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
                clean = point.plans[0]
                about = about_places(places, clean.key, len(stored), clean.identity["n_images"])
                _Saver(point, missing, places, about, session, progress_bar)(outputs.images, chosen)


def _losses(store: Store, stored: Mapping[str, str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each attack the losses of clean and of attacked images; `stored`: its key -> key of its clean cell."""
    clean = {key: store.load(key).arrays["losses"] for key in set(stored.values())}
    for key, before in sorted(stored.items()):
        yield clean[before], store.load(key).arrays["losses"]


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
        about = {**self.about, "tasks": [described(task, _labels(task, config)) for task in setup.test.tasks]}
        keep = Keeper(
            trained.model,
            setup.test.tasks,
            trained.seed,
            [batch.to(setup.device) for batch in batches],
            about,
            setup.test.metres,
            clean_values(setup, trained),
            setup.defence,
        )
        with self.progress_bar(title) as progress, computing_in(config["precision"], trained.model):
            for number, plan in enumerate(self.missing):
                stored = setup.outputs.store.load(plan.key).arrays["losses"][indices]
                images.save(chosen, keep(plan, plan.key, stored))
                progress(number + 1, len(self.missing), "cells")


def _labels(task: Task, config: Config) -> tuple[str, ...]:
    """The names of the classes of generated rooms, which their tasks do not carry."""
    rooms = (config["dataset"]["make"] or {}).get("form") in FORMS and len(CLASSES) == task.channels
    return CLASSES if rooms and task.name == SEGMENTATION else ()
