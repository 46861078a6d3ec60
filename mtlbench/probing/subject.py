"""Who is asked: a model, its tasks and some images with targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from mtlbench.data.batch import Batch
from mtlbench.engine.draws import drawn
from mtlbench.engine.losses import TaskLosses, valid_images
from mtlbench.errors import ModelError, MtlbenchError
from mtlbench.models.model import MultiTaskModel
from mtlbench.tasks import Task

T = TypeVar("T")

HINTS = {
    "Half": "it computes in half precision, model.float() helps",
    "BFloat16": "it computes in half precision, model.float() helps",
    "same device": "a part of it is on another device; give all of them in modules=[...], or device=",
    "by an inplace operation": "something overwrites what a gradient needs: leave out inplace=True, x.add_() and such",
    "implement either the backward": "write its backward, or let gradients pass it: mtlbench.straight_through(...)",
    "argument": "it is called as model(images); wrap it: model=lambda images: net(images, ...), modules=[net]",
    "in-place": "it writes into its images; give it a copy: model=lambda images: net(images.clone()), modules=[net]",
    "Inference tensors": "it computes under torch.inference_mode, take that out",
    "divisible": "it does not take images of this size; give the loader another size",
    "match the size": "it does not take images of this size; give the loader another size",
}
"""Part of an error's text -> what helps."""


@dataclass(frozen=True)
class Subject:
    """A frozen model and what to ask it with, all on one device.

    Attributes:
        model: who is asked.
        tasks: all of its tasks.
        batch: images with targets.
        more: gives more images, those of `batch` first, to look at where a question stays in doubt; None if there are
            none.
    """

    model: MultiTaskModel
    tasks: tuple[Task, ...]
    batch: Batch
    more: Callable[[], Batch] | None = None

    @property
    def names(self) -> list[str]:
        """Of the tasks."""
        return [task.name for task in self.tasks]

    def scored(self, task: Task, images: int) -> "Subject | None":
        """The same with the first `images` images that have a target of the task; None where there is none."""
        at = self.valid(task).nonzero().flatten()[:images]
        if not len(at):
            return None
        return replace(self, batch=self.batch[at.tolist()])

    def valid(self, task: Task) -> Tensor:
        """Which images have something to score, [B] bool."""
        return valid_images(self.batch.masks[task.name])

    def losses(self, *tasks: Task) -> TaskLosses:
        """Of some tasks, as an attack climbs them."""
        return TaskLosses(self.predict, tasks, self.batch.targets, self.batch.masks)

    @cached_property
    def wider(self) -> "Subject | None":
        """The same with more images; None where there are no more."""
        batch = self.batch if self.more is None else self.more()
        return replace(self, batch=batch, more=None) if len(batch) > len(self.batch) else None

    @cached_property
    def predictions(self) -> dict[str, Tensor]:
        """Of the images as they are, without gradient."""
        with torch.no_grad():
            return self.predict(self.batch.input)

    def predict(self, image: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """What the model says of a copy of `image`: some models write into their input.

        A random model draws the same each time.

        Raises:
            ModelError: it raises an error; the message says what may help.
        """
        forward = drawn(self.model, 0, self.batch.names)
        return guarded(lambda: dict(forward(image.clone(), tasks)), called(image))


def guarded(call: Callable[[], T], what: str) -> T:
    """What `call` returns; an error of the user's code becomes one that says what it was doing.

    Raises:
        ModelError: `call` raised something; `what` begins the message.
    """
    try:
        return call()
    except (MtlbenchError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        hint = next((text for part, text in HINTS.items() if part in str(error)), "run it by itself to see where")
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(f"{what} raises {type(error).__name__}: {first}; {hint}") from error


def called(image: Tensor) -> str:
    """Words for a model at work on these images."""
    return f"the model, called with images {list(image.shape)},"
