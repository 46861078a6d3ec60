"""Checkpoints of TreeMTL (arXiv 2203.05092) and of the published code of arXiv 2305.12066, as `deeplab_resnet34`.

Such a file is a dict with a state dict and a *layout*: for each of 17 layers (the stem and 16 residual units) the sets
of tasks that share a copy. Copies are numbered over all layers, within a layer in the order of its sets; tasks are
numbered in the order of the heads. For each copy and head, their n-th tensor corresponds to our n-th.

Their images are BGR on a 0..255 scale minus a mean, as in `TreeModel`. Their normals of NYUv2 were read as BGR too and
so trained as (z, y, x); ours are (x, y, z), so these outputs are reversed. Those of Taskonomy are as ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from mtlbench.errors import CheckpointError, UsageError
from mtlbench.models.foreign import Inert
from mtlbench.models.sharing import Group, Partition, Tree
from mtlbench.models.tree_model import TreeModel, block_name
from mtlbench.tasks import DEPTH, EDGE_TEXTURE, KEYPOINTS2D, NORMALS, SEGMENTATION

BACKBONE = "deeplab_resnet34"
CUTS = (0, 1, 4, 8, 14, 17)
"""Layers CUTS[b] to CUTS[b + 1] are our block b."""

NAMES = {
    "segment_semantic": SEGMENTATION,
    "normal": NORMALS,
    "depth_zbuffer": DEPTH,
    "keypoints2d": KEYPOINTS2D,
    "edge_texture": EDGE_TEXTURE,
}
"""Their task name -> ours."""

ONLY_TASKONOMY = (KEYPOINTS2D, EDGE_TEXTURE)
COPY = re.compile(r"backbone\.mtl_blocks\.(\d{1,6})\.(residual_block|compute_nodes)\.")
HEAD = re.compile(r"heads\.(\w+)\.")
LAST_LAYER = re.compile(rf"heads\.{NORMALS}\.branches\.\d+\.6\.(weight|bias)")


class Layout(Inert):
    """Stub for their `main.layout.Layout`."""


STUBS: tuple[tuple[type, str], ...] = ((Layout, "main.layout.Layout"),)


def is_treemtl(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are tensor names of a TreeMTL model."""
    return any(name.startswith("backbone.mtl_blocks.") for name in tensors)


@dataclass(frozen=True)
class TreeMTL:
    """The content of such a file.

    Attributes:
        path: of the file.
        heads: our task -> the tensors of its head, in their order.
        copies: the tensors of each copy.
        layers: of each layer its groups, in the order of its copies; tasks by our names.
    """

    path: str
    heads: dict[str, list[Tensor]]
    copies: list[list[Tensor]]
    layers: list[list[tuple[str, ...]]]

    def tree(self, order: Sequence[str]) -> Tree:
        """The sharing tree over our five blocks.

        Args:
            order: names of the tasks that the dataset has, which number them.

        Raises:
            CheckpointError: the tasks differ, or they split inside a block.
        """
        if set(order) != self.heads.keys():
            raise CheckpointError(
                f"{self.path}: holds the tasks {', '.join(self.heads)}; the dataset has {', '.join(order)}"
            )
        partitions = [self._partition(layer, order) for layer in self.layers]
        for block, (first, end) in enumerate(pairwise(CUTS)):
            if len(set(partitions[first:end])) > 1:
                raise CheckpointError(
                    f"{self.path}: its tasks part inside of block {block} (layers {first} to {end - 1}); "
                    "expected copies of whole blocks"
                )
        try:
            return Tree(tuple(partitions[first] for first in CUTS[:-1]))
        except UsageError as error:
            raise CheckpointError(f"{self.path}: its layout is no tree ({error})") from error

    @staticmethod
    def _partition(layer: Sequence[tuple[str, ...]], order: Sequence[str]) -> Partition:
        return tuple(sorted(tuple(sorted(order.index(task) for task in group)) for group in layer))

    def renamed(self, model: TreeModel) -> dict[str, Tensor]:
        """The tensors under the names of `model`, which has the file's tree.

        Raises:
            CheckpointError: numbers or shapes differ.
        """
        found: dict[str, Tensor] = {}
        numbers = iter(range(len(self.copies)))
        ours: dict[tuple[int, Group], list[Tensor]] = {}
        for block, (first, end) in enumerate(pairwise(CUTS)):
            for layer in self.layers[first:end]:
                for names in layer:
                    group = tuple(sorted(model.order.index(task) for task in names))
                    ours.setdefault((block, group), []).extend(self.copies[next(numbers)])
        for (block, group), tensors in ours.items():
            found |= self._in_order(model, f"blocks.{block_name(block, group)}.", tensors)
        for task, tensors in self.heads.items():
            found |= self._in_order(model, f"heads.{task}.", tensors)
        if self.reversed_normals:
            found |= {name: tensor.flip(0) for name, tensor in found.items() if LAST_LAYER.fullmatch(name)}
        return found

    @property
    def reversed_normals(self) -> bool:
        """Whether its normals are (z, y, x): those of NYUv2."""
        return NORMALS in self.heads and not any(task in self.heads for task in ONLY_TASKONOMY)

    def _in_order(self, model: TreeModel, prefix: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        ours = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(prefix)}
        if len(ours) != len(tensors):
            raise CheckpointError(f"{self.path}: {len(tensors)} tensors for {prefix}*; expected {len(ours)}")
        for (name, expected), tensor in zip(ours.items(), tensors, strict=True):
            if tensor.shape != expected.shape:
                raise CheckpointError(
                    f"{self.path}: the tensor for {name} has shape {tuple(tensor.shape)}, "
                    f"expected {tuple(expected.shape)}"
                )
        return dict(zip(ours, tensors, strict=True))


def parse(path: object, tensors: Mapping[str, Tensor], layout: object) -> TreeMTL:
    """Parse the tensors and the layout of a file.

    Args:
        path: for messages.
        tensors: their name -> tensor.
        layout: as in the file. Without a layout, the tree is known from the names only if all tasks share everything.

    Raises:
        CheckpointError: they do not match, or are not of a ResNet34.
    """
    heads: dict[str, list[Tensor]] = {}
    copies: dict[int, list[Tensor]] = {}
    for name, tensor in tensors.items():
        copy, head = COPY.match(name), HEAD.match(name)
        if copy and copy[2] == "compute_nodes":
            raise CheckpointError(
                f"{path}: a MobileNetV2 of TreeMTL, which is another network than model=mobilenet_v2: its last stage "
                "halves the size where ours dilates. Expected one of its ResNet34, for model=deeplab_resnet34"
            )
        if copy:
            copies.setdefault(int(copy[1]), []).append(tensor)
        elif head and head[1] in NAMES:
            heads.setdefault(NAMES[head[1]], []).append(tensor)
        else:
            raise CheckpointError(f"{path}: {name!r} is no name of a TreeMTL model with the tasks {', '.join(NAMES)}")
    if not heads or sorted(copies) != list(range(len(copies))):
        raise CheckpointError(f"{path}: a TreeMTL file without heads, or with gaps in its numbers of blocks")
    layers = _layers(str(path), layout, tuple(heads), len(copies))
    return TreeMTL(str(path), heads, [copies[number] for number in range(len(copies))], layers)


def _layers(path: str, layout: object, tasks: tuple[str, ...], copies: int) -> list[list[tuple[str, ...]]]:
    """The groups of tasks of each layer, in the order of the file."""
    if layout is None:
        if copies != CUTS[-1]:
            raise CheckpointError(
                f"{path}: {copies} blocks but no layout, so it is unknown which tasks share which; expected the file "
                "as TreeMTL saves it, with 'layout' beside 'state_dict'"
            )
        return [[tasks]] * copies
    state = layout.state if isinstance(layout, Layout) else None
    found = dict.get(state, "state") if isinstance(state, dict) else None
    if not isinstance(found, list) or len(found) != CUTS[-1]:
        raise CheckpointError(f"{path}: its layout is not one of {CUTS[-1]} layers, those of a ResNet34")
    layers = []
    for number, layer in enumerate(found):
        groups = [sorted(group) for group in layer] if _groups(layer, len(tasks)) else []
        if sorted(task for group in groups for task in group) != list(range(len(tasks))) or [] in groups:
            raise CheckpointError(f"{path}: layer {number} of its layout does not place {len(tasks)} tasks once each")
        layers.append([tuple(tasks[task] for task in group) for group in groups])
    if sum(map(len, layers)) != copies:
        raise CheckpointError(f"{path}: its layout has {sum(map(len, layers))} blocks, its weights have {copies}")
    return layers


def _groups(layer: object, tasks: int) -> bool:
    """Whether it is a short list of sets of integers."""
    return (
        isinstance(layer, list)
        and len(layer) <= tasks
        and all(type(group) is set and all(type(task) is int for task in group) for group in layer)
    )
