"""`probe`: the questions that come before an attack, alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mtlbench.api.running import Model, Tasks, adapt, as_tasks, device_of
from mtlbench.data.own import OwnImages
from mtlbench.models.outputs import Outputs
from mtlbench.probing.ask import ask
from mtlbench.probing.finding import Probe


def probe(
    model: Model,
    loader: Any,
    tasks: Tasks,
    *,
    inputs: object = "rgb01",
    outputs: Outputs = None,
    modules: Sequence[nn.Module] = (),
    random: bool = False,
    device: torch.device | str | None = None,
) -> Probe:
    """Ask a model what would make its tables wrong without any error, on the first images of a loader.

    Args:
        model: see `attack`.
        loader: see `attack`; its first batches are read.
        tasks: see `attack`.
        inputs: see `attack`.
        outputs: see `attack`.
        modules: see `attack`.
        random: see `attack`.
        device: see `attack`.

    Raises:
        DataError: the loader gives something else than images and targets.
        UsageError: an argument is wrong.
    """
    chosen = as_tasks(tasks)
    where = device_of(model, modules, device)
    adapted = adapt(model, chosen, inputs, outputs, modules, random=random).to(where)
    images = OwnImages(loader, chosen)
    return ask(adapted, chosen, lambda number: images.first(number).to(where))
