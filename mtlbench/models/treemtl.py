"""Checkpoints of TreeMTL (arXiv 2203.05092) and of the published code of arXiv 2305.12066, as models of ours.

Such a file is a dict with a state dict and a *layout*: for each layer the sets of tasks that share a copy. Copies are
numbered over all layers, within a layer in the order of its sets; tasks are numbered in the order of the heads. For
each copy and head, their n-th tensor corresponds to our n-th, except that a residual unit written as a list of
operations (`compute_nodes`) starts with its shortcut where ours ends with it.

A ResNet34 has 17 layers: the stem and 16 residual units. A MobileNetV2 has 32: each convolution that stands alone and
each residual unit as a whole.

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

NORMALISED = 6
"""Tensors of a convolution without bias and its batch normalisation."""


@dataclass(frozen=True)
class Network:
    """A network of theirs.

    Attributes:
        title: its name.
        model: ours that takes its weights.
        cuts: its layers cuts[b] to cuts[b + 1] are our block b.
        with_shortcut: number of tensors of a layer with a convolution as its shortcut, which comes first.
    """

    title: str
    model: str
    cuts: tuple[int, ...]
    with_shortcut: int | None = None

    @property
    def layers(self) -> int:
        """Their number."""
        return self.cuts[-1]

    def in_our_order(self, operations: list[Tensor]) -> list[Tensor]:
        """The tensors of a layer that is written as operations."""
        shortcut = NORMALISED if len(operations) == self.with_shortcut else 0
        return operations[shortcut:] + operations[:shortcut]


NETWORKS = (
    Network("ResNet34", "deeplab_resnet34", (0, 1, 4, 8, 14, 17), 3 * NORMALISED),
    Network("MobileNetV2", "mobilenet_v2_treemtl", (0, 7, 18, 23, 31, 32)),
)

NAMES = {
    "segment_semantic": SEGMENTATION,
    "normal": NORMALS,
    "depth_zbuffer": DEPTH,
    "keypoints2d": KEYPOINTS2D,
    "edge_texture": EDGE_TEXTURE,
}
"""Their task name -> ours."""

OPERATIONS = "compute_nodes"
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
        network: which of theirs.
        heads: our task -> the tensors of its head, in their order.
        copies: the tensors of each copy.
        layers: of each layer its groups, in the order of its copies; tasks by our names.
    """

    path: str
    network: Network
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
        for block, (first, end) in enumerate(pairwise(self.network.cuts)):
            if len(set(partitions[first:end])) > 1:
                raise CheckpointError(
                    f"{self.path}: its tasks part inside of block {block} (layers {first} to {end - 1}); "
                    "expected copies of whole blocks"
                )
        try:
            return Tree(tuple(partitions[first] for first in self.network.cuts[:-1]))
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
        for block, (first, end) in enumerate(pairwise(self.network.cuts)):
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
        CheckpointError: they do not match, or are of none of `NETWORKS`.
    """
    heads: dict[str, list[Tensor]] = {}
    copies: dict[int, list[Tensor]] = {}
    operations: set[int] = set()
    for name, tensor in tensors.items():
        copy, head = COPY.match(name), HEAD.match(name)
        if copy:
            copies.setdefault(int(copy[1]), []).append(tensor)
            if copy[2] == OPERATIONS:
                operations.add(int(copy[1]))
        elif head and head[1] in NAMES:
            heads.setdefault(NAMES[head[1]], []).append(tensor)
        else:
            raise CheckpointError(f"{path}: {name!r} is no name of a TreeMTL model with the tasks {', '.join(NAMES)}")
    if not heads or sorted(copies) != list(range(len(copies))):
        raise CheckpointError(f"{path}: a TreeMTL file without heads, or with gaps in its numbers of blocks")
    network, layers = _layers(str(path), layout, tuple(heads), len(copies))
    ordered = [
        network.in_our_order(copies[number]) if number in operations else copies[number]
        for number in range(len(copies))
    ]
    return TreeMTL(str(path), network, heads, ordered, layers)


def _layers(
    path: str, layout: object, tasks: tuple[str, ...], copies: int
) -> tuple[Network, list[list[tuple[str, ...]]]]:
    """Whose layers they are, and the groups of tasks of each layer, in the order of the file."""
    by_layers = {network.layers: network for network in NETWORKS}
    known = " or ".join(f"{network.layers}, those of a {network.title}" for network in NETWORKS)
    if layout is None:
        if copies not in by_layers:
            raise CheckpointError(
                f"{path}: {copies} blocks but no layout, so it is unknown which tasks share which; expected the file "
                f"as TreeMTL saves it, with 'layout' beside 'state_dict', or blocks that all tasks share: {known}"
            )
        return by_layers[copies], [[tasks]] * copies
    state = layout.state if isinstance(layout, Layout) else None
    found = dict.get(state, "state") if isinstance(state, dict) else None
    if not isinstance(found, list) or len(found) not in by_layers:
        length = f" of {len(found)} layers" if isinstance(found, list) else ""
        raise CheckpointError(f"{path}: its layout{length} is of no network known here; expected layers: {known}")
    layers = []
    for number, layer in enumerate(found):
        groups = [sorted(group) for group in layer] if _groups(layer, len(tasks)) else []
        if sorted(task for group in groups for task in group) != list(range(len(tasks))) or [] in groups:
            raise CheckpointError(f"{path}: layer {number} of its layout does not place {len(tasks)} tasks once each")
        layers.append([tuple(tasks[task] for task in group) for group in groups])
    if sum(map(len, layers)) != copies:
        raise CheckpointError(f"{path}: its layout has {sum(map(len, layers))} blocks, its weights have {copies}")
    return by_layers[len(found)], layers


def _groups(layer: object, tasks: int) -> bool:
    """Whether it is a short list of sets of integers."""
    return (
        isinstance(layer, list)
        and len(layer) <= tasks
        and all(type(group) is set and all(type(task) is int for task in group) for group in layer)
    )
