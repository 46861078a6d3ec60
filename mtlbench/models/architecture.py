"""The architecture of a model trained by mtlbench: a backbone and a sharing tree."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import Tree
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import Task


@dataclass(frozen=True)
class Architecture:
    """A backbone and a tree with the same number of blocks."""

    backbone: Backbone
    tree: Tree

    def new(self, tasks: Sequence[Task], seed: int, device: torch.device) -> TreeModel:
        """An untrained model for `tasks`, which are numbered as in the tree."""
        return build(self.backbone, self.tree, tasks, seed, device)

    def version_at(self, size: tuple[int, int]) -> int:
        """See `Backbone.version_at`."""
        return self.backbone.version_at(size)
