"""A trunk of timm from a weights file: timm's own, or a model trained with timm, with its classifier or without."""

import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtlbench.errors import CheckpointError
from mtlbench.extras import library
from mtlbench.models.checkpoint import UNREADABLE, fill_state, read_state
from mtlbench.models.foreign import Taken, listed
from mtlbench.models.levels import EXTRA


def fill(trunk: nn.Module, name: str, img_size: tuple[int, int] | None, file: Path) -> tuple[str, ...]:
    """Load what `file` holds of the model `name` into its trunk; what was left out or cut, for the user.

    Args:
        trunk: made by `levels.create`.
        name: of the model in timm.
        img_size: as in `create`.
        file: its weights under timm's names; older names are brought to today's as timm does.

    Raises:
        CheckpointError: the file cannot be read, or holds no weights of this trunk.
    """
    timm = library("timm", EXTRA, "model=timm")
    size = {} if img_size is None else {"img_size": img_size}
    model: nn.Module = timm.create_model(name, pretrained=False, **size)
    taken = read_state(file, model.state_dict().keys())
    found = _renamed(_as_today(taken, model, timm.model_entrypoint(name).__module__, file), trunk)
    names = trunk.state_dict().keys()
    fill_state(trunk, {name: tensor for name, tensor in found.items() if name in names}, file, f"timm's {name}")
    others = [name.removeprefix(_inside(trunk)) for name in found if name not in names]
    return (*taken.notes, f"left out what is not of the trunk: {listed(others)}") if others else taken.notes


def _as_today(taken: Taken, model: nn.Module, module: str, file: Path) -> dict[str, Tensor]:
    """The tensors under the names that timm has today, and the positions of the size of `model`."""
    bring: Any = getattr(sys.modules[module], "checkpoint_filter_fn", None)
    if bring is None:
        return taken.tensors
    try:
        brought = bring(dict(taken.tensors), model)
    except UNREADABLE as error:  # timm takes names and shapes for granted
        raise CheckpointError(f"{file}: no weights of timm's {type(model).__name__} ({error!r})") from error
    return dict(brought)


def _renamed(tensors: dict[str, Tensor], trunk: nn.Module) -> dict[str, Tensor]:
    """Under the names of a trunk, which has some modules of the second order (stages.0) as its own (stages_0)."""
    own = {name for name, _ in trunk.named_children()}
    found = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        second, _, last = rest.partition(".")
        joined = f"{first}_{second}"
        found[f"{joined}.{last}" if first not in own and joined in own else _inside(trunk) + name] = tensor
    return found


def _inside(trunk: nn.Module) -> str:
    """What stands before the names of a transformer's trunk, around which timm wraps a module."""
    return "model." if hasattr(trunk, "model") else ""
