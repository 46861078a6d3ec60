"""How much of a model its tasks share, measured on the model itself: no tree needs to be known.

A parameter serves a task if the task's prediction depends on it: if it is in the graph from the prediction back to
the images, found by one vector-Jacobian product a task. The cotangents are random. A sum of the outputs would be
constant behind a softmax, and looking for gradients that are not zero would miss dead ReLUs, zero-initialised
normalisations and the taps of a kernel that only ever see padding. Buffers, such as the statistics of a normalisation,
are no parameters.

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
        shapes: every parameter of the model; one that is tied is listed once.
        members: task -> names of the parameters that serve it.
        blind: tasks whose prediction has no gradient with respect to the images: no attack can work on them.
        soft: how evenly the tasks pull at an element of the parameters, from 0 (one task at each) to 1 (all alike at
            all); None where it was not asked for. It depends on images and weights: a diagnosis, never an identity.
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

        It says more of the size of the heads than of the sharing: compare models by `shared_path`.
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
        """Share of all parameters (elements) that serve no task, as those of a trunk that is detached."""
        whole = self._size(self.shapes)
        return 1 - self._size(self._used) / whole if whole else 0.0

    @property
    def jaccard(self) -> pd.DataFrame:
        """Task x task: parameters (elements) that serve both over those that serve one of them; symmetric, 1 on the
        diagonal, NaN where neither has any.
        """
        sets = list(self.members.values())
        values = [[self._size(a & b) / n if (n := self._size(a | b)) else np.nan for b in sets] for a in sets]
        return pd.DataFrame(values, list(self.members), list(self.members))

    def record(self) -> dict[str, object]:
        """The numbers in plain values, to be stored beside a result."""
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
    """What `sharing` measures of a model whose tree is known, without running it."""
    members = {task: frozenset(model.parameters_of(task)) for task in model.order}
    return Sharing({name: tuple(p.shape) for name, p in model.named_parameters()}, members)


def record_of(model: MultiTaskModel, image: Callable[[], Tensor]) -> dict[str, object] | None:
    """What is stored beside a result: of a tree from the tree, of any other model measured on one image.

    Args:
        model: None is returned of one that shows no parameters, as of a function without modules.
        image: gives [1, 3, H, W] on the device of the model, where it is asked.
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

    Frozen parameters are thawed meanwhile; modes, gradients and the global generator stay as they were. Every task is
    asked for alone, so that a model which computes only what is asked for is seen as a whole. What serves a task on
    one batch serves it: give several where gates choose by the image.

    Args:
        model: images [B, 3, H, W], names of tasks -> task -> prediction; a module or a function.
        images: a batch, or several.
        tasks: names.
        modules: where the parameters are; the model itself where None. Names of the second and further ones begin with
            their number.
        soft: measure `Sharing.soft`, too; takes the memory of the parameters once for each task.
        seed: of the cotangents.

    Raises:
        UsageError: the model gives no prediction of a task.
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
    """Everything thawed, in evaluation mode, with gradients; as before in the end."""
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
    if not prediction.requires_grad:  # computed without gradients: nothing serves the task that could be seen
        return (None,) * (len(parameters) + 1)
    cotangent = torch.randn(prediction.shape, generator=generator).to(prediction)
    return torch.autograd.grad(prediction, [*parameters, image], cotangent, allow_unused=True)


def _evenness(pulls: Mapping[str, Mapping[str, Tensor]]) -> float:
    """Mean over elements of (exp(entropy of the tasks' shares of |gradient|) - 1) / (tasks - 1).

    Every task's gradients are scaled to mean 1 first; elements at which nobody pulls do not count.
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
