"""Several models of one task each as one model that shares nothing: what a multi-task model is measured against."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.models.outputs import maps
from mtlbench.tasks import Task

INDEPENDENT = "independent"
"""The sharing of models that share nothing, as of the tree of that name."""


class SingleTaskModels(Adapted):
    """One model for each task; only those of the wanted tasks are run.

    Args:
        models: task -> module or callable of images, which returns its prediction, or a mapping that holds it.
        tasks: see `Adapted`.
        inputs: see `Adapted`; what all of them want to see.
        modules: see `Adapted`.
        name: in tables; that of the first model's class where None.
        random: see `Adapted`; whether one of them does.

    Raises:
        UsageError: there is not one model for each task.
    """

    def __init__(
        self,
        models: Mapping[str, Callable[[Tensor], Any]],
        tasks: Sequence[Task],
        inputs: object = "rgb01",
        modules: Sequence[nn.Module] = (),
        name: str | None = None,
        random: bool = False,
    ) -> None:
        names = [task.name for task in tasks]
        if set(models) != set(names) or not all(map(callable, models.values())):
            wanted = ", ".join(f"{task!r}: net" for task in names)
            raise UsageError(
                f"model: a mapping of {', '.join(map(str, list(models)[:3]))}, ...; expected a module, or one for "
                f"each task: {{{wanted}}}; load a state dict into its module first"
            )
        known = [model for model in models.values() if isinstance(model, nn.Module)]
        super().__init__(self.apart, tasks, inputs, None, [*known, *modules], name, random=random)
        self.models = dict(models)
        self.name = name or type(models[names[0]]).__name__

    def apart(self, image: Tensor) -> dict[str, Any]:
        """All predictions of images as the models want to see them."""
        return {name: self._one(name, image) for name in self.order}

    def predictions(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """As of `Adapted`."""
        seen = self.inputs(image)
        wanted = [task for task in self.tasks if task.name in tasks]
        found = maps({task.name: self._one(task.name, seen) for task in wanted}, None, wanted, len(image))
        return {name: found[name].to(image.dtype) for name in tasks}

    def _one(self, name: str, image: Tensor) -> Any:
        returned = self.models[name](image)
        return returned[name] if isinstance(returned, Mapping) and name in returned else returned

    def identity(self) -> dict[str, Any]:
        """As of `Adapted`, but nothing is shared."""
        return super().identity() | {"sharing": INDEPENDENT}
