"""All questions to one model, cheap ones first; what a failed one makes pointless is left out."""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch

from mtlbench.data.batch import Batch
from mtlbench.engine.evaluate import frozen
from mtlbench.engine.precision import FP32, computing_in
from mtlbench.models.model import MultiTaskModel
from mtlbench.options import one_of
from mtlbench.probing.constant import best_constants, constant
from mtlbench.probing.conventions import conventions
from mtlbench.probing.finding import SEVERITIES, Finding, Probe
from mtlbench.probing.gradients import gradients
from mtlbench.probing.logits import logits
from mtlbench.probing.outputs import outputs
from mtlbench.probing.paths import paths
from mtlbench.probing.steady import State, batch_independent, deterministic, mode, own_input, was_training
from mtlbench.probing.subject import Subject
from mtlbench.tasks import Task

IMAGES = 16
"""More are looked at only where these leave a question in doubt."""

DOUBTED = 4
"""So many times the images, then."""

FEW = 4
"""Of large images on a CPU."""

PIXELS = IMAGES * 64 * 64
STRICT, WARN = "strict", "warn"


First = Callable[[int], Batch]
"""Number -> so many of the first images, or all where there are fewer, on the device of the model."""


def before(model: MultiTaskModel, tasks: Sequence[Task], first: First, how: str | None) -> Probe | None:
    """Ask before an attack: ``strict`` refuses a model that failed, ``warn`` prints it to stderr, None does not ask.

    Args:
        model: who is asked.
        tasks: all its tasks.
        first: gives images.
        how: what to do with what was found.

    Raises:
        ModelError: under ``strict``, with every reason and its remedy.
        UsageError: `how` is something else.
    """
    if how is None:
        return None
    one_of(how, "probe", (STRICT, WARN))
    found = ask(model, tasks, first)
    if how == STRICT:
        found.require()
    if any(finding.severity != "info" for finding in found.findings):
        print(found, file=sys.stderr)
    return found


def ask(model: MultiTaskModel, tasks: Sequence[Task], first: First) -> Probe:
    """Put all questions; the model is afterwards as it was.

    Args:
        model: who is asked.
        tasks: its tasks, all of them.
        first: gives images with targets; a CPU looks at fewer of them where they are large.
    """
    batch = first(IMAGES)
    training, part = was_training(model), batch[: _images(tasks, batch)]
    with computing_in(FP32, model), frozen(model):
        while True:
            try:
                found, asked = _all(Subject(model, tuple(tasks), part, partial(first, DOUBTED * len(part))))
                break
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                part = part[: len(part) // 2]
    if training:
        seen = "it was handed over in training mode and is attacked in evaluation mode"
        found.append(Finding("mode", None, "info", seen, "model.eval() says so; nothing to do"))
    return Probe(tuple(sorted(found, key=lambda one: SEVERITIES.index(one.severity))), tuple(asked))


def _images(tasks: Sequence[Task], batch: Batch) -> int:
    """One label an image is too little to look at few of them."""
    if batch.input.device.type != "cpu" or any(task.per_image for task in tasks):
        return IMAGES
    return min(max(PIXELS // (batch.input.shape[2] * batch.input.shape[3]), FEW), IMAGES)


def _all(subject: Subject) -> tuple[list[Finding], list[str]]:
    """What was found, and what was asked."""
    state = State(subject.model)
    found, asked = mode(subject.model), ["mode", "outputs", "state"]
    found += (lacking := outputs(subject))
    if not any(one.severity == "refuse" for one in lacking):
        more, of = _of_predictions(subject, any(one.question == "precision" for one in lacking))
        found, asked = found + more, asked + of
    return found + state.changed(), asked


def _of_predictions(subject: Subject, half: bool) -> tuple[list[Finding], list[str]]:
    """The questions to a model that returns its tasks."""
    found = own_input(subject)
    found += (shaky := deterministic(subject))
    if not shaky:
        found += batch_independent(subject, half)
    found += logits(subject)
    found += gradients(subject, steady=not shaky)
    alone = not any(
        one.severity == "refuse" and one.question in ("deterministic", "batch", "gradient") for one in found
    )
    found += paths(subject) if alone else []
    best = best_constants(subject)
    found += (otherwise := conventions(subject, best))
    found += constant(subject, best, explained=bool(otherwise))
    steady = [*([] if shaky else ["batch", "difference", "rise"]), *(["sharing"] if alone else [])]
    return found, ["deterministic", *steady, "logits", "saturation", "gradient", "inputs", "constant", "targets"]
