"""Weights on disk: safetensors, or a pickle of which nothing but the tensors is built. Never runs code from a file."""

import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mtlbench.errors import CheckpointError, UsageError
from mtlbench.models import foreign, treemtl
from mtlbench.models.foreign import Taken
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import Tree
from mtlbench.models.sharing import parse as parse_tree
from mtlbench.models.tree_model import TreeModel
from mtlbench.storage.files import write_atomically

CHECKSUM = "sha256"
RECIPE, RECIPE_CHECKSUM = "recipe", "recipe_sha256"
UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What PyTorch's unpickler raises on damaged files, found by flipping their bytes."""


def describe(model: TreeModel) -> dict[str, str]:
    """What a file must agree on to be loaded into `model`."""
    channels = {name: _outputs(model, name) for name in model.order}
    return {"model": model.backbone.name, "tree": str(model.tree), "tasks": json.dumps(channels)}


def save_weights(model: TreeModel, path: Path, recipe: Mapping[str, Any] | None = None) -> None:
    """Write the state of `model`, and the recipe that made it, to `path` (safetensors), whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    about = describe(model) | {CHECKSUM: weights_hash(model)}
    if recipe is not None:
        text = json.dumps(recipe, sort_keys=True)
        about |= {RECIPE: text, RECIPE_CHECKSUM: hashlib.sha256(text.encode()).hexdigest()}
    write_atomically(path, save(tensors, metadata=about))


def load_weights(model: TreeModel, path: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any] | None:
    """Fill `model` from `path`; the recipe that made the weights, None where the file does not say.

    Args:
        model: of the tree and the tasks that the file has.
        path: a file of ours, of TreeMTL, or any state dict with the names of `model`, see `foreign`.
        say: takes a line for the user on what was chosen or cut.

    Raises:
        CheckpointError: the file is missing, no weights file, damaged, or of another model, tree or task set.
    """
    taken, metadata = _read(path)
    recipe = _recipe(path, metadata)
    expected = describe(model)
    taken = foreign.without_prefix(taken, model.state_dict().keys())
    for note in taken.notes:
        say(note)
    tensors = _of_treemtl(model, path, taken, say) if treemtl.is_treemtl(taken.tensors) else taken.tensors
    for field, right in expected.items():
        if field in metadata and metadata[field] != right:
            raise CheckpointError(f"{path}: holds weights of {field} {metadata[field]}; expected {field} {right}")
    fill_state(model, tensors, path, str(expected))
    if metadata.get(CHECKSUM, weights_hash(model)) != weights_hash(model):
        raise CheckpointError(f"{path}: the weights do not match their checksum: the file is damaged; delete it")
    return recipe


def load_state(module: nn.Module, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Fill any module from a state dict in `path`, whatever lies beside it or in front of its names, see `foreign`.

    Raises:
        CheckpointError: the file is missing, no weights file, damaged, or of another module.
    """
    taken = read_state(path, module.state_dict().keys())
    for note in taken.notes:
        say(note)
    fill_state(module, taken.tensors, path, f"the names of {type(module).__name__}")


def read_state(path: Path, expected: Collection[str]) -> Taken:
    """The state dict in `path`, without a prefix that no `expected` name has.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no state dict.
    """
    return foreign.without_prefix(_read(path)[0], expected)


def fill_state(model: nn.Module, tensors: dict[str, Tensor], path: Path, expected: str) -> None:
    """Fill `model`; names, shapes and values are checked first.

    Args:
        model: any module.
        tensors: its state dict.
        path: of the file that they are from, for messages.
        expected: what would be right, for messages.

    Raises:
        CheckpointError: they are of another model, or not finite.
    """
    state = model.state_dict()
    missing, unexpected = sorted(state.keys() - tensors.keys()), sorted(tensors.keys() - state.keys())
    if missing or unexpected:
        raise CheckpointError(
            f"{path}: weights of another model or tree: {len(missing)} names are missing "
            f"(first: {missing[:1]}), {len(unexpected)} are unknown (first: {unexpected[:1]}); expected {expected}"
        )
    wrong = [n for n in state if state[n].shape != tensors[n].shape]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"{path}: {name} has shape {tuple(tensors[name].shape)}, expected {tuple(state[name].shape)}"
        )
    odd = [n for n in state if state[n].dtype.is_floating_point and not _finite(tensors[n])]
    if odd:
        raise CheckpointError(
            f"{path}: {odd[0]} holds values that are NaN, infinite or no real numbers; expected weights"
        )
    model.load_state_dict(tensors)


def tree_in(path: Path, tasks: Sequence[str], blocks: int) -> Tree | None:
    """The sharing tree that a weights file was made with; None where it does not say, or says it of other tasks.

    Args:
        path: of the file.
        tasks: names of the dataset's tasks, which number them.
        blocks: of the backbone.

    Raises:
        CheckpointError: the file cannot be read.
    """
    taken, metadata = _read(path)
    taken = foreign.without_prefix(taken, ())
    if treemtl.is_treemtl(taken.tensors):
        return treemtl.parse(path, taken.tensors, taken.beside.get("layout")).tree(tasks)
    try:
        return parse_tree(metadata.get("tree", ""), len(tasks), blocks)
    except UsageError:  # `load_weights` says what is wrong
        return None


def _of_treemtl(model: TreeModel, path: Path, taken: Taken, say: Callable[[str], None]) -> dict[str, Tensor]:
    """The tensors of a file of TreeMTL under the names of `model`."""
    found = treemtl.parse(path, taken.tensors, taken.beside.get("layout"))
    if model.backbone.name != found.network.model:
        raise CheckpointError(
            f"{path}: weights of TreeMTL's {found.network.title}; expected model={found.network.model}, found "
            f"{model.backbone.name}"
        )
    tree = found.tree(model.order)
    if tree != model.tree:
        raise CheckpointError(f"{path}: holds weights of tree {tree}; expected tree {model.tree}")
    say(f"a file of TreeMTL, a {found.network.title} of tree {tree}")
    if found.reversed_normals:
        say("its normals are (z, y, x), as those of its NYUv2: the three outputs are reversed")
    return found.renamed(model)


def _recipe(path: Path, metadata: Mapping[str, str]) -> dict[str, Any] | None:
    if RECIPE not in metadata:
        return None
    text = metadata[RECIPE]
    if hashlib.sha256(text.encode()).hexdigest() != metadata.get(RECIPE_CHECKSUM):
        raise CheckpointError(f"{path}: the recipe in it does not match its checksum: the file is damaged; delete it")
    found: dict[str, Any] = json.loads(text)
    return found


def read_pickle(path: Path, stubs: Sequence[tuple[type, str]] = ()) -> Any:
    """Tensors and plain containers from a file of `torch.save`, on the CPU.

    Args:
        path: of the file.
        stubs: inert classes of ours, and the names in the file that they stand for.

    Raises:
        CheckpointError: the file is damaged or holds anything else; code in it is never run.
    """
    try:
        if not path.is_file():
            raise ValueError("not a regular file")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
                if unpacked > path.stat().st_size:  # `torch.save` does not compress
                    raise ValueError(f"unpacks to {unpacked} bytes, more than the file has")
                if damaged := archive.testzip():  # torch.load does not look at the checksums
                    raise ValueError(f"{damaged} does not match its checksum")
        with torch.serialization.safe_globals(list(stubs)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{path}: not a file of plain tensors ({reason}); code inside weights is never run, "
            "convert it to safetensors where you trust it"
        ) from error


def _read(path: Path) -> tuple[Taken, dict[str, str]]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a weights file (.safetensors, .pt or .pth)")
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path}: this is a web page, not weights; the download went wrong, fetch it again")
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return Taken(tensors, {}, ()), file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    found = foreign.state_dict_in(read_pickle(path, (*foreign.STUBS, *treemtl.STUBS)))
    if found is None:
        raise CheckpointError(
            f"{path}: expected a dictionary of name -> tensor, or one that holds it as {', '.join(foreign.NESTS)}"
        )
    return found, {}


def _finite(tensor: Tensor) -> bool:
    return tensor.dtype.is_floating_point and bool(tensor.isfinite().all())


def _outputs(model: TreeModel, task: str) -> int:
    return [p.shape[0] for p in model.heads[task].parameters()][-1]
