"""What is kept of chosen images: they are attacked once more, and a picture needs predictions, targets and losses.

What an attack does to an image does not depend on the others, so the cells need not be computed again; how far the
losses of the saved images are from those of the cell is recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtlbench.constants import GREY_LEVELS
from mtlbench.data.batch import Batch
from mtlbench.engine.evaluate import Pass, Share, frozen
from mtlbench.engine.plan import Plan
from mtlbench.engine.smoothing import Smoothing
from mtlbench.engine.terms import ValuesOf
from mtlbench.experiment.chosen import Place
from mtlbench.models.model import MultiTaskModel
from mtlbench.storage.images import SavedImages
from mtlbench.tasks import DEPTH_METRICS, Task

METRIC_DEPTH = (*DEPTH_METRICS, "log_depth_err")
"""A task without a unit that has one of these metrics is depth in metres."""


@dataclass(frozen=True)
class Keeper:
    """Attacks the chosen images of one model again, and keeps them.

    Attributes:
        model: in the arithmetic of its cells.
        tasks: all its tasks.
        seed: of the cells.
        batches: the chosen images, on the device, in the order of their places.
        about: JSON values that all cells share.
        metres: depth targets and predictions -> metres.
        clean_values: of metrics, for attacks that climb them.
        defence: of the model.
    """

    model: MultiTaskModel
    tasks: Sequence[Task]
    seed: int
    batches: Sequence[Batch]
    about: Mapping[str, Any]
    metres: Callable[[Tensor], Tensor]
    clean_values: ValuesOf | None = None
    defence: Smoothing | None = None

    def __call__(self, plan: Plan, key: str, stored: np.ndarray) -> SavedImages:
        """The images of a cell.

        Args:
            plan: the cell.
            key: it is stored under.
            stored: its losses of these images, [n, T].
        """
        work = Pass(self.model, self.tasks, [plan], self.seed, self.clean_values, self.defence)
        with frozen(self.model):
            parts = [self._of_batch(work, plan, batch) for batch in self.batches]
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        losses, rounded = arrays.pop("losses"), arrays.pop("losses_rounded")
        about = {
            **self.about,
            "names": [name for batch in self.batches for name in batch.names],
            "losses": plain(losses),
            "losses_rounded": plain(rounded),
            "losses_of_cell": plain(stored),
        }
        return SavedImages(key, about, arrays)

    def _of_batch(self, work: Pass, plan: Plan, batch: Batch) -> dict[str, np.ndarray]:
        """The arrays of one batch, and the losses [B, T] of its images and of these rounded to 8 bits."""
        image = batch.input if plan.attack is None else Share(work, batch, ()).attacked(plan)
        rounded = (image * GREY_LEVELS).round() / GREY_LEVELS
        with torch.no_grad():
            predictions = work.predictions(batch, image)
        found: dict[str, Tensor] = {"image": image}
        for task in work.tasks:
            found[f"prediction/{task.name}"] = self._shown(task, predictions[task.name])
            if plan.attack is None:
                target = batch.targets[task.name]
                found[f"target/{task.name}"] = self.metres(target).float() if in_metres(task) else target
                found[f"mask/{task.name}"] = batch.masks[task.name]
        for name, version in {"losses": image, "losses_rounded": rounded}.items():
            found[name] = work.measured(batch, version).per_image["losses"]
        return {name: tensor.cpu().numpy() for name, tensor in found.items()}

    def _shown(self, task: Task, prediction: Tensor) -> Tensor:
        """What is kept of a prediction [B, C, h, w]: class ids [B, 1, h, w] of class maps, metres of depth."""
        if task.holds == "classes" and not task.per_image:
            return prediction.argmax(1, keepdim=True).to(torch.int16)
        return self.metres(prediction).float() if in_metres(task) else prediction.float()


def about_places(places: Sequence[Place], clean: str, over: int, images: int) -> dict[str, Any]:
    """What the files of a set say of the choice.

    Args:
        places: the chosen images.
        clean: key of the clean cell.
        over: number of attacks by which they were chosen.
        images: number of images that they were chosen from.
    """
    roles, ranks = [place.role for place in places], [place.rank for place in places]
    return {"clean": clean, "over": over, "roles": roles, "ranks": ranks, "n_images": images}


def described(task: Task, labels: Iterable[str] | None = None) -> dict[str, Any]:
    """What a picture needs to know of a task, JSON values; `labels` name its classes where the task does not."""
    return {
        "name": task.name,
        "holds": task.holds,
        "per_image": task.per_image,
        "channels": task.channels,
        "unit": "m" if in_metres(task) else task.unit,
        "labels": list(task.labels or labels or ()),
    }


def in_metres(task: Task) -> bool:
    """Whether a task is depth in metres, or in what `MultiTaskDataset.metres` converts to them."""
    return not task.unit and any(metric in METRIC_DEPTH for metric in task.metric_names)


def plain(values: np.ndarray) -> list[list[float | None]]:
    """Nested lists, which JSON can hold: None where a value is not finite."""
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]
