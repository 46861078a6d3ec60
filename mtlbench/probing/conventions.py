"""Would the model rather see its images otherwise: another order of channels, scale or normalisation?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from mtlbench.errors import ModelError
from mtlbench.models.adapted import Adapted
from mtlbench.models.inputs import CONVENTIONS, IMAGENET, Convention, Inputs
from mtlbench.models.model import MultiTaskModel
from mtlbench.probing.finding import Finding
from mtlbench.probing.quality import qualities
from mtlbench.probing.subject import Subject

QUESTION = "inputs"

LOWER = 0.9
"""Every task's loss must fall below so much of what it is, ..."""

AGREED = 0.95
"""... or, if no task's rises for more than chance and the images agree, their geometric mean below so much."""

SURE, FEWEST = 4.0, 8
"""The images agree if the mean of their log ratios is so many standard errors below 0, p < .001 of 16 images; of fewer
than eight they never do."""

CHANCE = 2.0
"""A task's loss rises for more than chance if the mean of its log ratios is so many standard errors above 0: of a task
that hardly needs colours the loss goes up as often as down."""

TINY = 1e-12
NEGLIGIBLE = 0.02
"""A loss of less than so much of the best constant's is as good as 0, and says nothing of the convention."""


def conventions(subject: Subject, constant: Mapping[str, float]) -> list[Finding]:
    """The convention under which every task does clearly better, if there is one.

    Args:
        subject: who is asked.
        constant: task name -> quality of the best constant, where it is known.
    """
    given = given_to(subject.model)
    best, name, pairs, typed = 1.0, "", "", ""
    for other, remedy in alternatives(given):
        try:
            mine, found = _compared(subject, given, other, constant)
        except ModelError:  # it checks what it is given: those it does not want
            continue
        ratio = _ratio(mine, found, constant)
        if ratio < best:
            best, name, typed = ratio, other.name, remedy
            pairs = ", ".join(f"{task} {_mean(found[task]):.3g} instead of {_mean(mine[task]):.3g}" for task in mine)
    if not name:
        return []
    seen = f"its losses are lower if it sees {name} instead of {given.name}: {pairs}"
    return [Finding(QUESTION, None, "refuse", seen, typed)]


def given_to(model: MultiTaskModel) -> Convention:
    """The convention that a model applies to RGB in [0, 1]; as good as rgb01 where that is its own business."""
    inputs = getattr(model, "inputs", None)
    return inputs.convention if isinstance(model, Adapted) and isinstance(inputs, Inputs) else CONVENTIONS["rgb01"]


def alternatives(given: Convention) -> Iterator[tuple[Convention, str]]:
    """Other conventions, and how each is said to `attack`.

    Those that have a name; the given one with red and blue exchanged; and such as undo a step that the model takes
    by itself a second time.
    """
    for one in CONVENTIONS.values():
        if one != given:
            yield one, f"attack(..., inputs={one.name!r})"
    swapped = replace(given, bgr=not given.bgr, mean=given.mean[::-1], std=given.std[::-1])
    if swapped not in [replace(one, name=swapped.name) for one in CONVENTIONS.values()]:
        swapped = replace(swapped, name=f"{given.name} with red and blue exchanged")
        yield swapped, f"attack(lambda images: net(images.flip(1)), ..., inputs={given.name!r}, modules=[net])"
    for mean, std, what in ((*IMAGENET, "imagenet"), ((0.5,) * 3, (0.5,) * 3, "half")):
        undo = tuple(-m / s for m, s in zip(mean, std, strict=True)), tuple(1 / s for s in std)
        name = f"images of which the {what} normalisation is undone"
        words = "take one Normalize out: it happens twice"
        pair = f"inputs=({_rounded(undo[0])}, {_rounded(undo[1])})"
        yield Convention(name, mean=undo[0], std=undo[1]), f"{words}; or {pair}"
    remedy = "divide by 255 in one place, not in two: the loader's images and the model's differ by that factor"
    yield Convention("a 255th of rgb01", scale=1 / 255), remedy


def translated(image: Tensor, given: Convention, other: Convention) -> Tensor:
    """Images that a model which applies `given` must get, to see what `other` would show it."""
    wanted: Tensor = Inputs(other).to(image.device)(image)
    mean, std = (wanted.new_tensor(values)[:, None, None] for values in (given.mean, given.std))
    raw = (wanted * std + mean) / given.scale
    return raw.flip(1) if given.bgr else raw


def _qualities(subject: Subject, predictions: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Task -> the loss of each image [B]; tasks without anything to score are left out."""
    targets, masks = subject.batch.targets, subject.batch.masks
    return {
        task.name: qualities(task, predictions[task.name], targets[task.name], masks[task.name])
        for task in subject.tasks
        if bool(subject.valid(task).any())
    }


def _compared(
    subject: Subject, given: Convention, other: Convention, constant: Mapping[str, float]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Task -> the losses of each image, as the model sees it and as `other` would show it.

    Of more images where those at hand leave a doubt: what sixteen cannot tell from chance, or four of large images at
    all, more of them can.
    """
    mine = _qualities(subject, subject.predictions)
    with torch.no_grad():
        predictions = subject.predict(translated(subject.batch.input, given, other))
    found = _qualities(subject, predictions)
    if not _in_doubt(mine, found, constant) or subject.wider is None:
        return mine, found
    return _compared(subject.wider, given, other, constant)


def _ratio(mine: Mapping[str, Tensor], other: Mapping[str, Tensor], constant: Mapping[str, float]) -> float:
    """Geometric mean over the tasks of the other loss over mine; 1 unless the model is clearly better off.

    It is if every task is, or if no task is worse off but by chance, their mean is better, and the images agree: of
    three tasks one may hardly need colours.
    """
    found, every, logs = _means(mine, other, constant)
    return found if every or (found <= AGREED and _agree(logs)) else 1.0


def _in_doubt(mine: Mapping[str, Tensor], other: Mapping[str, Tensor], constant: Mapping[str, float]) -> bool:
    """Whether nothing but the agreement of the images is missing."""
    found, every, logs = _means(mine, other, constant)
    return found <= AGREED and not every and not _agree(logs)


def _means(
    mine: Mapping[str, Tensor], other: Mapping[str, Tensor], constant: Mapping[str, float]
) -> tuple[float, bool, Tensor]:
    """Geometric mean over the tasks of the ratio of mean losses, 1 where a task is worse off; whether every task is
    clearly better off; log ratios [T, B] of the images.
    """
    ratios, logs = [], []
    for task, losses in mine.items():
        floor = NEGLIGIBLE * constant.get(task, 0.0)
        before, after = _mean(losses), _mean(other[task])
        if before <= floor and after <= floor:
            continue
        least = max(floor, TINY)
        log = other[task].clamp_min(least).log() - losses.clamp_min(least).log()
        if not after <= before and (before <= floor or not _by_chance(log)):
            return 1.0, False, losses.new_zeros(1, len(losses))
        ratios.append((after / before, max(after, floor) / max(before, floor)))
        logs.append(log)
    found = prod(bounded for _, bounded in ratios) ** (1 / len(ratios)) if ratios else 1.0
    every = all(ratio <= LOWER for ratio, _ in ratios)
    return found, every, torch.stack(logs) if logs else torch.zeros(1, 1)


def _by_chance(log: Tensor) -> bool:
    """Whether log ratios [B] are above 0 for no more than chance; a single one and infinite ones never are."""
    known = log[~log.isnan()]
    if len(known) < 2:
        return False
    return bool(known.isfinite().all() and known.mean() <= CHANCE * known.std() / len(known) ** 0.5)


def _agree(logs: Tensor) -> bool:
    """Whether log ratios [T, B] are lower than 0 for more than chance; an image counts once, with its mean."""
    images = logs.nanmean(0)
    images = images[images.isfinite()]
    if len(images) < FEWEST:
        return False
    return bool(images.mean() <= -SURE * images.std() / len(images) ** 0.5)


def _mean(losses: Tensor) -> float:
    return float(losses.nanmean())


def _rounded(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
