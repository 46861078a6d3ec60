"""Sharing trees: which tasks share which of the backbone's blocks. Immutable, hashable, no torch.

A tree holds one partition of the tasks per block; each refines the one before, so that tasks that have split never
join again. Heads are never shared. For T = 3 tasks and B = 5 blocks there are 51 trees, for T = 5 there are 7,556
(TreeMTL, arXiv 2203.05092). *Level* k is the tree whose first k blocks are shared by all tasks: level 0 is called
``independent``, level B ``all_shared``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from mtlbench.errors import UsageError
from mtlbench.options import is_whole, shown

BLOCKS = 5
Group = tuple[int, ...]
Partition = tuple[Group, ...]


@dataclass(frozen=True)
class Tree:
    """Partitions of the tasks 0 .. T-1, one per block from the image to the heads.

    Args:
        partitions: B partitions; groups and their members ascend, for example ``(((0, 1, 2),), ((0,), (1, 2)))``.

    Raises:
        UsageError: a partition misses or repeats a task, or does not refine the one before.
    """

    partitions: tuple[Partition, ...]

    def __post_init__(self) -> None:
        everyone = tuple(range(self.tasks))
        for block, partition in enumerate(self.partitions):
            if tuple(sorted(t for group in partition for t in group)) != everyone or () in partition:
                raise UsageError(
                    f"sharing.partitions={self}: block {block} must hold each of {everyone} once and no empty group"
                )
            if block and not _refines(partition, self.partitions[block - 1]):
                raise UsageError(
                    f"sharing.partitions={self}: block {block} joins tasks that parted before; "
                    "each block must keep or split the groups of the block before"
                )

    @property
    def tasks(self) -> int:
        """Number of tasks T."""
        return sum(len(group) for group in self.partitions[0])

    @property
    def blocks(self) -> int:
        """Number of blocks B."""
        return len(self.partitions)

    @property
    def shared_blocks(self) -> int:
        """Number of blocks shared by all tasks, counted from the image."""
        return sum(len(partition) == 1 for partition in self.partitions)

    @property
    def copies(self) -> int:
        """Block copies in the model, from B (all shared) to T * B (independent)."""
        return sum(len(partition) for partition in self.partitions)

    @property
    def is_level(self) -> bool:
        """Whether all tasks split at the same block, so that the tree is a sharing level."""
        return all(len(partition) in (1, self.tasks) for partition in self.partitions)

    @property
    def name(self) -> str:
        """``independent``, ``share1`` .., ``all_shared``, or ``tree<index>`` for other trees."""
        if not self.is_level:
            return f"tree{all_trees(self.tasks, self.blocks).index(self)}"
        # With one task every tree is the same chain of blocks.
        names = {0: "independent", self.blocks: "all_shared"}
        return names.get(self.shared_blocks, f"share{self.shared_blocks}")

    def group_of(self, task: int, block: int) -> Group:
        """The tasks that share `block` with `task`, including itself."""
        return next(group for group in self.partitions[block] if task in group)

    def __str__(self) -> str:
        return "|".join(",".join("".join(map(str, g)) for g in partition) for partition in self.partitions)


def level(tasks: int, shared: int, blocks: int = BLOCKS) -> Tree:
    """The tree whose first `shared` blocks are shared by all tasks and whose other blocks are not shared."""
    if not is_whole(shared, 0) or shared > blocks:
        raise UsageError(f"sharing.shared_blocks={shown(shared)}: expected 0 (independent) to {blocks} (all shared)")
    together: Partition = (tuple(range(tasks)),)
    apart: Partition = tuple((task,) for task in range(tasks))
    return Tree((together,) * shared + (apart,) * (blocks - shared))


def parse(text: str, tasks: int, blocks: int = BLOCKS) -> Tree:
    """The tree written as in ``012|012|0,12|0,1,2|0,1,2``: blocks by ``|``, groups by ``,``, one digit a task."""
    try:
        partitions = tuple(
            tuple(sorted(tuple(sorted(int(digit) for digit in group.strip())) for group in block.split(",")))
            for block in text.split("|")
        )
    except ValueError:
        partitions = ()
    if len(partitions) != blocks:
        example = level(tasks, min(2, blocks), blocks)
        raise UsageError(f"sharing.partitions={text!r}: expected {blocks} blocks written like {example}")
    tree = Tree(partitions)
    if tree.tasks != tasks:
        raise UsageError(f"sharing.partitions={text!r}: it places {tree.tasks} tasks, the dataset has {tasks}")
    return tree


@cache
def all_trees(tasks: int, blocks: int = BLOCKS) -> tuple[Tree, ...]:
    """Every tree, from independent (index 0) to all-shared (last): by block copies, most first, then by text."""
    chains: list[tuple[Partition, ...]] = [(partition,) for partition in set_partitions(tasks)]
    for _ in range(blocks - 1):
        chains = [(*chain, finer) for chain in chains for finer in refinements(chain[-1])]
    return tuple(sorted(map(Tree, chains), key=lambda tree: (-tree.copies, str(tree))))


def by_index(index: int, tasks: int, blocks: int = BLOCKS) -> Tree:
    """Tree number `index` of `all_trees`."""
    trees = all_trees(tasks, blocks)
    if not is_whole(index, 0) or index >= len(trees):
        raise UsageError(f"sharing.index={index}: {tasks} tasks have {len(trees)} trees, 0 to {len(trees) - 1}")
    return trees[index]


def by_name(name: str, tasks: int, blocks: int = BLOCKS) -> Tree:
    """The level called `name`: ``independent``, ``share1`` .., ``all_shared``, which is also the last ``share``."""
    levels = {tree.name: tree for tree in (level(tasks, shared, blocks) for shared in range(blocks + 1))}
    if name == f"share{blocks}":
        name = level(tasks, blocks, blocks).name
    if name not in levels:
        raise UsageError(f"sharing.index={name}: expected the number of a tree or one of {', '.join(levels)}")
    return levels[name]


def set_partitions(tasks: int) -> tuple[Partition, ...]:
    """All partitions of the tasks 0 .. T-1."""
    return tuple(_partitions_of(tuple(range(tasks))))


@cache
def refinements(partition: Partition) -> tuple[Partition, ...]:
    """All partitions that keep or split the groups of `partition`, itself included."""
    choices = product(*(tuple(_partitions_of(group)) for group in partition))
    return tuple(tuple(sorted(group for part in choice for group in part)) for choice in choices)


def _partitions_of(members: Group) -> Iterator[Partition]:
    if not members:
        yield ()
        return
    first, rest = members[0], members[1:]
    for partition in _partitions_of(rest):
        yield ((first,), *partition)
        for i, group in enumerate(partition):
            yield tuple(sorted((*partition[:i], (first, *group), *partition[i + 1 :])))


def _refines(finer: Partition, coarser: Partition) -> bool:
    return all(any(set(group) <= set(parent) for parent in coarser) for group in finer)


def picture(tree: Tree, names: tuple[str, ...]) -> str:
    """A drawing of T lines: one row per task, with a dot for each block copy at the first task of its group."""
    width = max(map(len, names))
    rows = []
    for task, name in enumerate(names):
        leads = [tree.group_of(task, block)[0] == task for block in range(tree.blocks)]
        first = leads.index(True) if True in leads else tree.blocks
        branch = "" if first == 0 else "   " * (first - 1) + " ╰─"
        rows.append(f"{name:>{width}} {branch}{'──'.join('●' * (tree.blocks - first)) or '▸'}")
    return "\n".join(rows)
