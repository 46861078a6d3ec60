"""Wraps any module or callable as a `MultiTaskModel`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.inputs import Inputs, convention
from mtlbench.models.model import MultiTaskModel, weights_hash
from mtlbench.models.outputs import Outputs, check, maps
from mtlbench.options import flag
from mtlbench.tasks import Task

SHARING = "custom"
"""Name of the sharing of a model without a tree."""


class Adapted(MultiTaskModel):
    """A user's model, with its input convention and its outputs.

    It always computes all its tasks, because users' models do not accept task names.

    Args:
        model: a module, or a callable of images; called with the images alone.
        tasks: what it predicts, in the order of tables; names must be unique.
        inputs: what it wants to see, see `models.inputs.convention`.
        outputs: where the tasks are in what it returns: a function of that, or task -> key, position or channels;
            None where it returns a mapping from the names of the tasks.
        modules: the modules that a callable uses, so that they can be frozen.
        name: in tables; that of its class where None.
        about: what else tells it from others, for its identity.
        random: whether it draws random numbers, from PyTorch's, NumPy's or Python's global generators.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        tasks: Sequence[Task],
        inputs: object = "rgb01",
        outputs: Outputs = None,
        modules: Sequence[nn.Module] = (),
        name: str | None = None,
        about: Mapping[str, Any] | None = None,
        random: bool = False,
    ) -> None:
        super().__init__()
        self.random = flag(random, "random")
        if not callable(model) or isinstance(model, type):
            shown = repr(model) if isinstance(model, (str, type)) else f"a {type(model).__name__}"
            raise UsageError(f"model={shown}: expected a module or a callable of images")
        check(outputs, tasks)
        self.tasks, self.outputs = tuple(tasks), outputs
        self.order = tuple(task.name for task in tasks)
        if len(set(self.order)) < len(self.order):
            raise UsageError(f"tasks={', '.join(self.order)}: each name once")
        self.inputs = Inputs(convention(inputs))
        self.inner = model
        self.used = nn.ModuleList(modules)
        self.name = name or (type(model).__name__ if isinstance(model, nn.Module) else "callable")
        self.about = dict(about or {})

    @property
    def has_state(self) -> bool:
        """Whether there is anything to freeze and to hash; else the weights cannot be told from others."""
        return isinstance(self.inner, nn.Module) or len(self.used) > 0

    def predictions(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Predictions of the named tasks, as maps, in the type of the images.

        Raises:
            ModelError: the model returns something else than its tasks.
        """
        returned = self.inner(self.inputs(image))
        wanted = [task for task in self.tasks if task.name in tasks]
        found = maps(returned, self.outputs, wanted, len(image))
        return {name: found[name].to(image.dtype) for name in tasks}

    def identity(self) -> dict[str, Any]:
        """Name, input convention and weights; a callable without modules is known by its name alone."""
        return {
            "model": self.name,
            "sharing": SHARING,
            "shared_blocks": None,
            "tree": "",
            "weights": weights_hash(self),
            "inputs": self.inputs.convention.name,
            **({"random": True} if self.random else {}),
            **self.about,
        }
