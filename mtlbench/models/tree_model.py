"""A backbone cut into blocks, copied along a sharing tree, one head per task."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.inputs import Inputs
from mtlbench.models.model import MultiTaskModel, weights_hash
from mtlbench.models.sharing import Group, Tree
from mtlbench.tasks import Task


class TreeModel(MultiTaskModel):
    """Multi-task model whose tasks share the blocks that `tree` says.

    Callers pass RGB in [0, 1], the first block sees what the backbone's convention makes of it. Running some tasks
    runs only the blocks on their paths.

    Args:
        backbone: builds the blocks and heads.
        tree: which tasks share which block; its tasks are numbered as in `tasks`.
        tasks: names must be unique.
    """

    def __init__(self, backbone: Backbone, tree: Tree, tasks: Sequence[Task]) -> None:
        super().__init__()
        if tree.tasks != len(tasks) or tree.blocks != backbone.blocks:
            raise UsageError(
                f"sharing={tree.name}: it has {tree.tasks} tasks and {tree.blocks} blocks, the dataset and "
                f"model have {len(tasks)} and {backbone.blocks}"
            )
        self.backbone, self.tree = backbone, tree
        self.order = tuple(task.name for task in tasks)
        made = backbone.copies([len(partition) for partition in tree.partitions])
        self.blocks = nn.ModuleDict(
            {
                block_name(index, group): block
                for index, partition in enumerate(tree.partitions)
                for group, block in zip(partition, made[index], strict=True)
            }
        )
        self.heads = nn.ModuleDict({task.name: backbone.head(task) for task in tasks})
        self.inputs = Inputs(backbone.inputs)

    def predictions(self, image: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Predictions of the named tasks."""
        x = self.inputs(image)
        known: dict[str, Tensor] = {}
        return {name: self.heads[name](self._path(x, self.order.index(name), known)) for name in tasks}

    def _path(self, x: Tensor, task: int, known: dict[str, Tensor]) -> list[Tensor]:
        """Outputs of the blocks on the task's path; those that `known` holds are not run again."""
        features = []
        for index in range(self.tree.blocks):
            name = block_name(index, self.tree.group_of(task, index))
            if name not in known:
                known[name] = self.blocks[name](x)
            x = known[name]
            features.append(x)
        return features

    def identity(self) -> dict[str, Any]:
        """Backbone, tree and weights; options of a backbone that change its weights' shapes show in their hash."""
        return {
            "model": self.backbone.name,
            "sharing": self.tree.name,
            "shared_blocks": self.tree.shared_blocks,
            "tree": str(self.tree),
            "weights": weights_hash(self),
        }

    def parameters_of(self, task: str) -> Mapping[str, nn.Parameter]:
        """The parameters on one task's path, its head included, by their name in the model."""
        number = self.order.index(task)
        path = {block_name(i, self.tree.group_of(number, i)) for i in range(self.tree.blocks)}
        return {name: parameter for name, parameter in self.named_parameters() if name.split(".")[1] in path | {task}}


def block_name(index: int, group: Group) -> str:
    """What a copy of a block is called in a model and in its state."""
    return f"{index}_{'-'.join(map(str, group))}"


def build(
    backbone: Backbone, tree: Tree, tasks: Sequence[Task], seed: int, device: torch.device | str = "cpu"
) -> TreeModel:
    """A new model on `device` whose random weights depend on nothing but `seed`; the global generator stays as it is.

    GPUs get channels-last weights, which their convolutions prefer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TreeModel(backbone, tree, tasks).to(device)
    return model.to(memory_format=torch.channels_last) if torch.device(device).type == "cuda" else model
