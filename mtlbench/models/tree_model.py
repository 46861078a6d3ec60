"""A backbone cut into blocks, copied along a sharing tree, one head per task."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import Group, Tree
from mtlbench.tasks import Task

BGR_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Mean grey level of ImageNet per channel, as in the published models of arXiv 2305.12066."""


class TreeModel(nn.Module):
    """Multi-task model whose tasks share the blocks that `tree` says.

    The input convention lives here: callers pass RGB in [0, 1], the first block sees BGR on a 0..255 scale minus
    `BGR_MEAN`. Running some tasks runs only the blocks on their paths.

    Args:
        backbone: builds the blocks and heads.
        tree: which tasks share which block; its tasks are numbered as in `tasks`.
        tasks: names must be unique.
    """

    mean: Tensor
    autocast: torch.dtype | None = None
    """Set by `precision.computing_in`: the type that convolutions compute in, None for float32."""

    def __init__(self, backbone: Backbone, tree: Tree, tasks: Sequence[Task]) -> None:
        super().__init__()
        if tree.tasks != len(tasks) or tree.blocks != backbone.blocks:
            raise UsageError(
                f"sharing={tree.name}: it has {tree.tasks} tasks and {tree.blocks} blocks, the dataset and "
                f"model have {len(tasks)} and {backbone.blocks}"
            )
        self.backbone, self.tree = backbone, tree
        self.order = tuple(task.name for task in tasks)
        self.blocks = nn.ModuleDict(
            {
                block_name(index, group): backbone.block(index)
                for index, partition in enumerate(tree.partitions)
                for group in partition
            }
        )
        self.heads = nn.ModuleDict({task.name: backbone.head(task) for task in tasks})
        self.register_buffer("mean", torch.tensor(BGR_MEAN)[:, None, None], persistent=False)

    def forward(self, image: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """RGB images [B, 3, H, W] in [0, 1] -> task name -> prediction [B, channels, h, w].

        Args:
            image: the images.
            tasks: which tasks to run; all where None.
        """
        x = image.flip(1) * 255 - self.mean
        if self.autocast is None:
            return self._run(x, tasks or self.order)
        with torch.autocast(image.device.type, self.autocast):
            predictions = self._run(x, tasks or self.order)
        return {name: prediction.float() for name, prediction in predictions.items()}

    def _run(self, x: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
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
