"""The model of a configuration: backbone and sharing tree, and the device that it is on."""

import torch

from mtlbench.config import Config
from mtlbench.config.build import build
from mtlbench.errors import MachineError, UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import BLOCKS, Tree, all_trees, by_index, by_name, level, parse

ALL = "all"
"""As ``sharing.shared_blocks``: however many blocks the backbone has."""


def sharing_tree(config: Config, tasks: int, blocks: int = BLOCKS) -> Tree:
    """The sharing tree of the configuration for `tasks` tasks and a backbone of `blocks` blocks.

    Levels follow the backbone: ``all_shared`` shares all blocks that there are, and so does ``share4`` of four.

    Raises:
        UsageError: there is no such tree, or the sweep does not fit so many tasks.
    """
    sharing = config["sharing"]
    if "shared_blocks" in sharing:
        return level(tasks, _shared_blocks(sharing["shared_blocks"], blocks), blocks)
    index, partitions = sharing["index"], sharing["partitions"]
    if config.get("all_trees") and (tasks, blocks) != (3, BLOCKS):
        others = f"{tasks} tasks" if blocks == BLOCKS else f"{tasks} tasks and {blocks} blocks"
        raise UsageError(
            f"all_trees=true: it sweeps over the 51 trees of three tasks, {others} have "
            f"{len(all_trees(tasks, blocks))}; name those you want, for example sharing.index=independent,3,all_shared"
        )
    if (index is None) == (partitions is None):
        found = "neither" if index is None else "both"
        drawn = "" if blocks == BLOCKS else f" blocks={blocks}"
        raise UsageError(
            f"sharing=tree: {found} of sharing.index and sharing.partitions given; expected one of them, "
            f"for example sharing.index=17; `mtlbench layouts tasks={tasks}{drawn}` lists the trees"
        )
    if index is None:
        return parse(str(partitions), tasks, blocks)
    return by_name(index, tasks, blocks) if isinstance(index, str) else by_index(index, tasks, blocks)


def _shared_blocks(value: int | str, blocks: int) -> int:
    if isinstance(value, str) and value != ALL:
        raise UsageError(f"sharing.shared_blocks={value}: expected {ALL}, or a number from 0 to {blocks}")
    return blocks if isinstance(value, str) else value


def build_backbone(config: Config) -> Backbone:
    """The backbone of the configuration."""
    built: Backbone = build(config["model"], config["plugins"], kind=Backbone)
    return built


def choose_device(config: Config) -> torch.device:
    """Where to compute.

    Raises:
        MachineError: the device is not there.
    """
    name = str(config["device"])
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError:
        chosen = torch.device("meta")
    if chosen.type not in ("cpu", "cuda"):
        raise UsageError(f"device={name}: expected auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise MachineError(
            f"device={name}: PyTorch sees {torch.cuda.device_count()} GPUs; use device=cpu or device=auto"
        )
    return chosen
