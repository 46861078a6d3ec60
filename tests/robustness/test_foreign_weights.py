"""Files of other projects that would run code: refused, with a canary; leftovers that are harmless stay harmless."""

import argparse
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlbench.errors import CheckpointError
from mtlbench.models.checkpoint import load_weights, tree_in
from mtlbench.models.foreign import STUBS
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import three_tasks
from tests.fakes import Trivial
from tests.models.replica import Layout, named


class Call:
    """Unpickling it calls a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.arguments


class Hung:
    """Unpickled as an ordered dict whose methods are covered by attributes."""

    def __init__(self, entries: Mapping[str, object]) -> None:
        self.entries = entries

    def __reduce__(self) -> tuple[object, ...]:
        methods = dict.fromkeys(("items", "keys", "values", "get", "__iter__", "copy"), set)
        return OrderedDict, (), methods, None, iter(self.entries.items())


def model(seed: int = 0) -> TreeModel:
    return build(Trivial(), level(3, 2), three_tasks(), seed)


BOMBS: dict[str, Callable[[Path], Call]] = {
    "os.mkdir": lambda canary: Call(os.mkdir, str(canary)),
    "os.system": lambda canary: Call(os.system, f"mkdir '{canary}'"),
    "eval": lambda canary: Call(eval, f"__import__('os').mkdir({str(canary)!r})"),
    "exec": lambda canary: Call(exec, f"import os; os.mkdir({str(canary)!r})"),
    "Path.touch": lambda canary: Call(Path.touch, canary),
    "Popen": lambda canary: Call(subprocess.check_call, ["mkdir", str(canary)]),
    "torch.load": lambda canary: Call(torch.load, str(canary.with_name("inner"))),
}


def layout(bomb: object, where: str) -> Layout:
    one = Layout(3, [[{0, 1, 2}]] * 17)
    setattr(one, where, [[bomb]] if where == "state" else bomb)
    return one


PLACES: dict[str, Callable[[Any], dict[str, object]]] = {
    "top": lambda bomb: {"bomb": bomb},
    "layout": lambda bomb: {"layout": bomb},
    "a score of the layout": lambda bomb: {"layout": layout(bomb, "score")},
    "the state of the layout": lambda bomb: {"layout": layout(bomb, "state")},
    "args": lambda bomb: {"args": argparse.Namespace(lr=1, more=[{"deep": (bomb,)}])},
    "optimizer": lambda bomb: {"optimizer": {"state": {0: {"step": bomb}}}},
    "weights": lambda bomb: {"state_dict": {"a": bomb}},
    "attribute of weights": lambda bomb: {"state_dict": with_attribute(bomb)},
}


def with_attribute(value: object) -> "OrderedDict[str, torch.Tensor]":
    state = OrderedDict(model().state_dict())
    vars(state)["_metadata"] = value
    return state


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("bomb", "place"),
    [*((bomb, "top") for bomb in BOMBS), *(("os.system", place) for place in PLACES if place != "top")],
)
def test_nothing_runs(tmp_path: Path, bomb: str, place: str, zipped: bool) -> None:
    canary, path = tmp_path / "canary", tmp_path / "3task.model"
    if bomb == "torch.load":
        torch.save({"x": BOMBS["os.mkdir"](canary)}, tmp_path / "inner")
    content = {"state_dict": model().state_dict(), **PLACES[place](BOMBS[bomb](canary))}
    with named("main.layout.Layout", Layout):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    into = model(1)
    before = weights_hash(into)
    for read in (lambda: load_weights(into, path), lambda: tree_in(path, ["a", "b", "c"], 5)):
        with pytest.raises(CheckpointError, match="code inside weights is never run") as caught:
            read()
        assert str(caught.value).startswith(f"{path}: not a file of plain tensors")
    assert not canary.exists()
    assert weights_hash(into) == before
    if bomb != "torch.load":
        with named("main.layout.Layout", Layout):
            torch.load(path, weights_only=False)
        assert canary.exists(), "the canary would sing"


def test_a_name_of_ours_stands_for_nothing_else(tmp_path: Path) -> None:
    """Where a file calls what we stand in for, an inert object is built: no path is opened, no list made."""
    path = tmp_path / "x.pt"
    calls = [Call(Path, "/etc/passwd"), Call(list, "abc"), Call(argparse.Namespace)]
    torch.save({"model": model().state_dict(), "calls": calls}, path)
    into = model(1)
    load_weights(into, path)
    assert weights_hash(into) == weights_hash(model())


def test_stubs_are_ours_and_only_there_while_we_read(tmp_path: Path) -> None:
    torch.save({"model": model().state_dict(), "args": argparse.Namespace(a=1)}, tmp_path / "x.pt")
    before = set(torch.serialization.get_safe_globals())  # PyTorch keeps them in a set: their order may change
    load_weights(model(), tmp_path / "x.pt")
    assert set(torch.serialization.get_safe_globals()) == before
    assert {stub.__module__ for stub, _ in STUBS} == {"mtlbench.models.foreign"}
    with pytest.raises(pickle.UnpicklingError, match=r"argparse\.Namespace"):
        torch.load(tmp_path / "x.pt", weights_only=True)


def test_attributes_in_the_place_of_methods(tmp_path: Path) -> None:
    """A pickle may hang anything on an ordered dict."""
    torch.save(Hung({"state_dict": Hung(model().state_dict())}), tmp_path / "x.pt")
    assert not torch.load(tmp_path / "x.pt", weights_only=True).items(), "the trap is set"
    into = model(1)
    load_weights(into, tmp_path / "x.pt")
    assert weights_hash(into) == weights_hash(model())


def test_packed_files_are_not_unpacked(tmp_path: Path) -> None:
    path, packed = tmp_path / "x.model", tmp_path / "packed.model"
    torch.save({"state_dict": {"a": torch.zeros(10**6)}, "layout": None}, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match=r"unpacks to \d+ bytes, more than the file has"):
        tree_in(packed, ["a"], 5)


def test_lists_that_unfold(tmp_path: Path) -> None:
    """Thirty lists, each of two times the one before: small in memory, endless for whoever walks through them."""
    folded: list[Any] = [0]
    for _ in range(30):
        folded = [folded, folded]
    torch.save({"config": folded, "net": model().state_dict()}, tmp_path / "x.pt")
    said: list[str] = []
    load_weights(model(1), tmp_path / "x.pt", said.append)
    assert said == ["took the weights in 'net', left out beside them: 'config'"]
    refused = tmp_path / "y.pt"
    torch.save({"state_dict": folded}, refused)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model(1), refused)
    assert len(str(caught.value)) < 1000
