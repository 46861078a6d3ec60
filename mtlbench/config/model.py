"""The model of a configuration: backbone, sharing tree and device."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mtlbench.config import Config
from mtlbench.config.build import build, resolve_function
from mtlbench.errors import MachineError, UsageError
from mtlbench.models.backbone import Backbone
from mtlbench.models.custom import Custom
from mtlbench.models.inputs import convention
from mtlbench.models.outputs import Outputs, Where
from mtlbench.models.sharing import BLOCKS, Tree, all_trees, by_index, by_name, level, parse
from mtlbench.options import flag

ALL = "all"
"""Value of ``sharing.shared_blocks``: all blocks of the backbone."""


def sharing_tree(config: Config, tasks: int, blocks: int = BLOCKS) -> Tree:
    """The sharing tree of the configuration for `tasks` tasks and a backbone of `blocks` blocks.

    Levels depend on the backbone: ``all_shared`` shares all of its blocks, as does ``share4`` with four blocks.

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


def is_custom(config: Config) -> bool:
    """Whether the model is built by a user's function."""
    return "build" in config["model"]


def build_custom(config: Config) -> Custom:
    """The user's function and how to use its model; needs no dataset, and does not build the model yet.

    Raises:
        UsageError: an option is wrong.
    """
    model, plugins = config["model"], config["plugins"]
    options = {} if model["options"] is None else model["options"]
    if not isinstance(options, Mapping):
        raise UsageError(f"model.options={options}: expected arguments of model.build, for example {{width: 64}}")
    return Custom(
        build=resolve_function(str(model["build"]), "model.build", plugins),
        options={str(name): value for name, value in options.items()},
        inputs=convention(model["inputs"], "model.inputs"),
        outputs=_outputs(model["outputs"], plugins),
        name=model["name"],
        random=flag(model.get("random", False), "model.random"),
    )


def _outputs(given: object, plugins: Sequence[str]) -> Outputs:
    """``FROM:TO`` are channels; a string that is none of a mapping's names a function."""
    if given is None:
        return None
    if isinstance(given, str):
        return resolve_function(given, "model.outputs", plugins)
    if not isinstance(given, Mapping):
        raise UsageError(
            f"model.outputs={given}: expected {{task: key, position or FROM:TO}}, or MODULE:FUNCTION that finds them"
        )
    return {str(task): _channels(where) for task, where in given.items()}


def _channels(where: Any) -> Where:
    found = re.fullmatch(r"(\d+):(\d+)", where) if isinstance(where, str) else None
    return slice(*map(int, found.groups())) if found else where  # `outputs.check` refuses what is none


def build_backbone(config: Config) -> Backbone:
    """The backbone of the configuration."""
    if is_custom(config):
        raise UsageError(
            "model=custom: only `mtlbench attack` and `mtlbench report audit=N` take it; "
            "what mtlbench trains it builds itself"
        )
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
