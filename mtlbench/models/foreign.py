"""Weights saved by other projects: a state dict inside a larger dict, possibly with a prefix on its names.

Beside the tensors such files hold what their training was configured with: objects of argparse, yacs, omegaconf,
easydict, pathlib, NumPy. PyTorch's restricted unpickler refuses classes that it does not know. We give it stub classes
of our own for these names, which store their arguments and do nothing: no name in a file leads to foreign code.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from torch import Tensor

NESTS = ("state_dict", "model", "model_state_dict", "net", "ema")
"""Possible keys of the state dict in a file; the first that holds one is used."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""Prefixes that DataParallel, Lightning and torch.compile add to every name."""


MOST_NAMES, MOST_LETTERS = 12, 40
"""Number of the other entries of a file to show."""


class Inert:
    """Stub for a foreign class or function: it can be instantiated and does nothing.

    Attributes:
        state: the attributes stored in the file.
    """

    state: object = None

    def __new__(cls, *_: object) -> "Inert":
        """Accepts any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state


class InertDict:
    """Stub for a foreign dict class: builds a dict that the unpickler fills."""

    def __new__(cls, *_: object) -> Any:
        """An ordered dict, because it is the fillable type that may have attributes too."""
        return OrderedDict()


_DICTS = ("yacs.config.CfgNode", "easydict.EasyDict", "easydict.easydict.EasyDict", "collections.defaultdict")
_NODES = "AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode InterpolationResultNode PathNode StringNode"
_PATHS = "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath"
_OBJECTS = (
    "argparse.Namespace",
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig"),
    *("omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata"),
    *(f"omegaconf.nodes.{node}" for node in _NODES.split()),
    *(f"builtins.{kind}" for kind in ("bool", "dict", "float", "int", "list", "object", "str", "tuple")),
    "typing.Any",
    *(f"pathlib.{path}" for path in _PATHS.split()),
    *(f"pathlib._local.{path}" for path in _PATHS.split()),  # Python 3.13
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
)
STUBS: tuple[tuple[type, str], ...] = (*((InertDict, n) for n in _DICTS), *((Inert, n) for n in _OBJECTS))
"""Pairs of a stub class and the name in a file that it replaces."""


class Taken(NamedTuple):
    """The state dict of a file.

    Attributes:
        tensors: name -> tensor.
        beside: the other entries of the enclosing dict.
        notes: messages for the user about the selected key and removed prefixes.
    """

    tensors: dict[str, Tensor]
    beside: dict[str, object]
    notes: tuple[str, ...]


def state_dict_in(content: object) -> Taken | None:
    """`content` itself if it is a state dict, or the first of `NESTS` in it that is one; else None."""
    if not isinstance(content, dict):
        return None
    # Not through methods of the object: the file may have set attributes with their names.
    entries = {key: value for key, value in dict.items(content) if isinstance(key, str)}
    if len(entries) == len(content) and _tensors(entries):
        return Taken(entries, {}, ())
    for nest in NESTS:
        found = entries.get(nest)
        if isinstance(found, dict) and found:
            inside = dict(dict.items(found))
            if _tensors(inside):
                others = {name: value for name, value in entries.items() if name != nest}
                left = f", left out beside them: {listed(others)}" if others else ""
                return Taken(inside, others, (f"took the weights in {nest!r}{left}",))
    return None


def listed(names: Collection[str]) -> str:
    """Some names, escaped against terminal control sequences."""
    shown = [repr(name[:MOST_LETTERS]) for name in list(names)[:MOST_NAMES]]
    return ", ".join(shown) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _tensors(entries: Mapping[Any, object]) -> bool:
    return all(isinstance(name, str) and isinstance(value, Tensor) for name, value in entries.items())


def without_prefix(taken: Taken, expected: Collection[str]) -> Taken:
    """The same without a prefix that all its names have and none of the `expected` names has."""
    tensors, cut = taken.tensors, ""
    while prefix := next((p for p in PREFIXES if _all_begin(tensors, p) and not _any_begins(expected, p)), ""):
        tensors, cut = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, cut + prefix
    return taken if not cut else Taken(tensors, taken.beside, (*taken.notes, f"cut {cut!r} from all names"))


def _all_begin(names: Collection[str], prefix: str) -> bool:
    return bool(names) and all(name.startswith(prefix) for name in names)


def _any_begins(names: Collection[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)
