"""A model built by a user's function: ``model=custom model.build=my_models:build plugins=[my_models]``."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtlbench.errors import ModelError, UsageError
from mtlbench.identity import as_json, dotted, without_neutral
from mtlbench.models.adapted import Adapted
from mtlbench.models.inputs import CONVENTIONS, convention
from mtlbench.models.outputs import Outputs
from mtlbench.tasks import Task

SOURCE_DIGITS = 24


@dataclass(frozen=True)
class Custom:
    """How to build a user's model; it is loaded, never trained.

    Attributes:
        build: called with ``options``, and with ``tasks`` (a list of `Task`) if it accepts them; returns a module, or
            an `Adapted` one.
        options: its arguments.
        inputs: see `Adapted`.
        outputs: see `Adapted`.
        name: in tables; the name of the function where None.
        random: see `Adapted`.
    """

    build: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: object = "rgb01"
    outputs: Outputs = None
    name: str | None = None
    random: bool = False

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.name or self.build.__name__

    def version_at(self, size: tuple[int, int]) -> int:
        """Always 1: changes of a user's model show in the hash of its source."""
        return 1

    def new(self, tasks: Sequence[Task], seed: int, device: torch.device) -> Adapted:
        """The model that the function builds, on `device`; random weights depend only on `seed`.

        Raises:
            ModelError: the function fails, or returns something else.
            UsageError: it does not take the options.
        """
        where = f"model.build={dotted(self.build)}"
        takes = inspect.signature(self.build).parameters
        options = dict(self.options) | ({"tasks": list(tasks)} if "tasks" in takes else {})
        try:
            inspect.signature(self.build).bind(**options)
        except TypeError as error:
            known = [name for name in takes if name != "tasks"]
            raise UsageError(f"{where}: {error}; the options of model.options are {known}") from error
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = self.build(**options)
        if isinstance(made, Adapted):
            if convention(self.inputs) != CONVENTIONS["rgb01"] or self.outputs is not None:
                raise UsageError(f"model.inputs, model.outputs: what {where} returns has its own; leave them out")
        elif isinstance(made, nn.Module):
            made = Adapted(made, tasks, self.inputs, self.outputs)
        else:
            raise ModelError(f"{where}: returns a {type(made).__name__}, expected a torch.nn.Module")
        made.name = self.title
        made.about = self.identity()
        made.random = made.random or self.random
        return made.to(device)

    def identity(self) -> dict[str, Any]:
        """The function, its source file and its options; weights, inputs and outputs are known by the built model."""
        outputs = dotted(self.outputs) if callable(self.outputs) else _words(self.outputs)
        file = inspect.getsourcefile(self.build)
        ours = self.build.__module__.partition(".")[0] == "mtlbench"
        source = None if file is None or ours else hashlib.sha256(Path(file).read_bytes()).hexdigest()[:SOURCE_DIGITS]
        found = {"build": dotted(self.build), "source": source, "outputs": outputs}
        known_as = getattr(inspect.getmodule(self.build), "known_as", dict) if ours else dict
        return without_neutral({**found, "build_options": as_json(known_as(self.options)) or None})


def _words(outputs: object) -> dict[str, str] | None:
    if not isinstance(outputs, Mapping):
        return None
    return {
        name: f"{where.start or 0}:{where.stop}" if isinstance(where, slice) else str(where)
        for name, where in outputs.items()
    }
