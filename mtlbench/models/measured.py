"""Measures how much of a model its tasks share, on the model itself, without a known tree.

A parameter serves a task if the task's prediction depends on it: if it is in the graph from the prediction back to
the images, determined by one vector-Jacobian product per task. The cotangents are random. A sum of the outputs would
be constant after a softmax, and a search for non-zero gradients would miss dead ReLUs, zero-initialised normalisations
and kernel taps that see only padding. Buffers, such as the statistics of a normalisation, are not parameters.

Ours; checked against `TreeModel.parameters_of` for every tree.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.tree_model import TreeModel

Forward = Callable[[Tensor, Sequence[str]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Sharing:
    """Which parameters serve which task.

    Attributes:
        shapes: every parameter of the model; a tied one is listed once.
        members: task -> names of the parameters that serve it.
        blind: tasks whose prediction has no gradient with respect to the images: no attack can work on them.
        soft: how evenly the tasks' gradients are distributed over each parameter element, from 0 (one task each) to 1
            (all tasks equally); None if not requested. It depends on images and weights: a diagnostic, not part of an
            identity.
    """

    shapes: Mapping[str, tuple[int, ...]]
    members: Mapping[str, frozenset[str]]
    blind: tuple[str, ...] = ()
    soft: float | None = None

    @property
    def shared_path(self) -> float:
        """Mean over tasks of the weight tensors on its path that another task uses, too, over all on its path.

        In [0, 1], and nearly linear in the sharing level, whatever the size of the heads. A weight tensor is a
        parameter of two dimensions or more: biases and normalisations follow their convolution.
        """
        parts = []
        for task in self.members:
            path = {name for name in self.members[task] if len(self.shapes[name]) > 1} or self.members[task]
            parts.append(len(path & self._others(task)) / len(path) if path else 0.0)
        return float(np.mean(parts)) if parts else 0.0

    @property
    def shared_params(self) -> float:
        """Share of the parameters in use that serve two tasks or more, counted in elements; in [0, 1].

        It depends more on the size of the heads than on the sharing: compare models by `shared_path`.
        """
        shared = set().union(*(self.members[task] & self._others(task) for task in self.members))
        used = self._size(self._used)
        return self._size(shared) / used if used else 0.0

    @property
    def params(self) -> dict[str, int]:
        """Task -> number of parameters (elements) that serve it."""
        return {task: self._size(names) for task, names in self.members.items()}

    @property
    def unused(self) -> float:
        """Share of all parameters (elements) that serve no task, such as those of a detached trunk."""
        whole = self._size(self.shapes)
        return 1 - self._size(self._used) / whole if whole else 0.0

    @property
    def jaccard(self) -> pd.DataFrame:
        """Task x task: parameters (elements) that serve both over those that serve at least one; symmetric, 1 on the
        diagonal, NaN if neither has any.
        """
        sets = list(self.members.values())
        values = [[self._size(a & b) / n if (n := self._size(a | b)) else np.nan for b in sets] for a in sets]
        return pd.DataFrame(values, list(self.members), list(self.members))

    def record(self) -> dict[str, object]:
        """The numbers as JSON values, to be stored beside a result."""
        matrix = [[None if np.isnan(value) else float(value) for value in row] for row in self.jaccard.to_numpy()]
        return {
            "tasks": list(self.members),
            "shared_path": self.shared_path,
            "shared_params": self.shared_params,
            "jaccard": matrix,
            "unused": self.unused,
            "blind": list(self.blind),
        }

    @property
    def _used(self) -> frozenset[str]:
        return frozenset().union(*self.members.values())

    def _others(self, task: str) -> frozenset[str]:
        return frozenset().union(*(names for other, names in self.members.items() if other != task))

    def _size(self, names: Iterable[str]) -> int:
        return sum(int(np.prod(self.shapes[name], dtype=np.int64)) for name in names)


def sharing_of(model: TreeModel) -> Sharing:
    """The result of `sharing` for a model with a known tree, without running it."""
    members = {task: frozenset(model.parameters_of(task)) for task in model.order}
    return Sharing({name: tuple(p.shape) for name, p in model.named_parameters()}, members)


def record_of(model: MultiTaskModel, image: Callable[[], Tensor]) -> dict[str, object] | None:
    """The record stored beside a result: derived from a known tree, otherwise measured on one image.

    Args:
        model: for one without visible parameters, such as a function without modules, None is returned.
        image: function that returns [1, 3, H, W] on the device of the model, called if needed.
    """
    found = sharing_of(model) if isinstance(model, TreeModel) else sharing(model, image(), model.order)
    return found.record() if found.shapes else None


def sharing(
    model: Forward,
    images: Tensor | Sequence[Tensor],
    tasks: Sequence[str],
    modules: Sequence[nn.Module] | None = None,
    soft: bool = False,
    seed: int = 0,
) -> Sharing:
    """Measure it: one forward and one backward pass for each task and batch of images, in evaluation mode.

    Frozen parameters are unfrozen temporarily; modes, gradients and the global generator are restored. Each task is
    requested separately, so that models that compute only requested tasks are covered. A parameter that serves a task
    on any batch serves it: give several batches if gates depend on the image.

    Args:
        model: images [B, 3, H, W], names of tasks -> task -> prediction; a module or a function.
        images: a batch, or several.
        tasks: names.
        modules: where the parameters are; None for the model itself. Names of the second and further modules are
            prefixed with their number.
        soft: measure `Sharing.soft`, too; needs the memory of the parameters once per task.
        seed: of the cotangents.

    Raises:
        UsageError: the model lacks a prediction for a task.
    """
    if modules is None:
        modules = [model] if isinstance(model, nn.Module) else []
    parameters = _parameters(modules)
    batches = [images] if isinstance(images, Tensor) else list(images)
    generator = torch.Generator().manual_seed(seed)
    members: dict[str, set[str]] = {task: set() for task in tasks}
    pulls = {task: {name: torch.zeros_like(p) for name, p in parameters.items()} for task in tasks if soft}
    seeing = set()
    with _ready(modules, parameters):
        for batch in batches:
            for task in tasks:
                image = batch.detach().clone().requires_grad_()
                *gradients, to_image = _gradients(model, image, task, list(parameters.values()), generator)
                seeing |= {task} if to_image is not None else set()
                for (name, _), gradient in zip(parameters.items(), gradients, strict=True):
                    if gradient is not None:
                        members[task].add(name)
                        if soft:
                            pulls[task][name] += gradient.detach().abs()
    return Sharing(
        {name: tuple(p.shape) for name, p in parameters.items()},
        {task: frozenset(names) for task, names in members.items()},
        tuple(task for task in tasks if task not in seeing),
        _evenness(pulls) if soft else None,
    )


def _parameters(modules: Sequence[nn.Module]) -> dict[str, nn.Parameter]:
    """Parameters that can have a gradient, each once, by name."""
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for number, module in enumerate(modules):
        for name, parameter in module.named_parameters(prefix=str(number) if number else ""):
            if parameter.is_floating_point() or parameter.is_complex():
                found.setdefault(id(parameter), (name, parameter))
    return dict(found.values())


@contextmanager
def _ready(modules: Sequence[nn.Module], parameters: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Context manager: everything unfrozen, in evaluation mode, with gradients; restores the previous state."""
    modes = [(module, module.training) for root in modules for module in root.modules()]
    frozen = [parameter for parameter in parameters.values() if not parameter.requires_grad]
    try:
        for root in modules:
            root.eval()
        for parameter in frozen:
            parameter.requires_grad_()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, training in modes:
            module.training = training


def _gradients(
    model: Forward, image: Tensor, task: str, parameters: Sequence[Tensor], generator: torch.Generator
) -> tuple[Tensor | None, ...]:
    """Gradients of a random projection of the task's prediction for each parameter and, last, for the image."""
    predictions = model(image, [task])
    if task not in predictions:
        raise UsageError(f"{task}: the model gives no such prediction; found {', '.join(map(str, predictions))}")
    prediction = predictions[task]
    if not prediction.requires_grad:  # computed without gradients: no serving parameter is visible
        return (None,) * (len(parameters) + 1)
    cotangent = torch.randn(prediction.shape, generator=generator).to(prediction)
    return torch.autograd.grad(prediction, [*parameters, image], cotangent, allow_unused=True)


def _evenness(pulls: Mapping[str, Mapping[str, Tensor]]) -> float:
    """Mean over elements of (exp(entropy of the tasks' shares of |gradient|) - 1) / (tasks - 1).

    Every task's gradients are scaled to mean 1 first; elements without any gradient are not counted.
    """
    count = len(pulls)
    flat = torch.stack([torch.cat([one.flatten() for one in pull.values()]).double() for pull in pulls.values()])
    flat /= flat.mean(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    flat = flat[:, flat.sum(0) > 0]
    if count < 2 or not flat.shape[1]:
        return 0.0
    shares = flat / flat.sum(0)
    entropy = torch.special.entr(shares).sum(0)
    return float(((entropy.exp() - 1) / (count - 1)).mean())
