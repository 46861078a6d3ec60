"""The model of a configuration: backbone and sharing tree, and the device that it is on."""

import torch

from mtlbench.config import Config
from mtlbench.config.build import build
from mtlbench.errors import MachineError, UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.sharing import Tree, all_trees, by_index, by_name, level, parse


def sharing_tree(config: Config, tasks: int) -> Tree:
    """The sharing tree of the configuration for `tasks` tasks.

    Raises:
        UsageError: there is no such tree, or the sweep does not fit so many tasks.
    """
    sharing = config["sharing"]
    if "shared_blocks" in sharing:
        return level(tasks, sharing["shared_blocks"])
    index, partitions = sharing["index"], sharing["partitions"]
    if config.get("all_trees") and tasks != 3:
        raise UsageError(
            f"all_trees=true: it sweeps over the 51 trees of three tasks, {tasks} tasks have {len(all_trees(tasks))}; "
            "name those you want, for example sharing.index=independent,3,all_shared"
        )
    if (index is None) == (partitions is None):
        found = "neither" if index is None else "both"
        raise UsageError(
            f"sharing=tree: {found} of sharing.index and sharing.partitions given; expected one of them, "
            f"for example sharing.index=17; `mtlbench layouts tasks={tasks}` lists the trees"
        )
    if index is None:
        return parse(str(partitions), tasks)
    return by_name(index, tasks) if isinstance(index, str) else by_index(index, tasks)


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
