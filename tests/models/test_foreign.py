"""State dicts inside of other projects' files: what is taken, what is cut, and that leftovers need no packages."""

import argparse
import collections
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from mtlbench.errors import CheckpointError
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.foreign import NESTS, PREFIXES, Taken, state_dict_in, without_prefix
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import level
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import three_tasks
from tests.fakes import Trivial
from tests.models.replica import named


class Config(dict):
    """As yacs and easydict have it: a dict that has attributes, too."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(**entries)
        self.frozen = True


LEFTOVERS: dict[str, Callable[[], object]] = {
    "argparse": lambda: argparse.Namespace(lr=0.1, root=Path("/data"), nested=argparse.Namespace(a=[1, {2}])),
    "pathlib": lambda: [Path("a/b"), PurePosixPath("c")],
    "numpy": lambda: [np.float64(0.5), np.float32(1), np.int64(3), np.bool_(True), np.arange(3), np.zeros((2, 2))],
    "omegaconf": lambda: OmegaConf.create({"a": 1, "b": {"c": [1, 2.5, "x", None, True]}, "d": "${a}"}),
    "defaultdict": lambda: collections.defaultdict(list, {"loss": [0.1, 0.2]}),
    "Config": lambda: Config(lr=0.1, model=Config(name="x", size=(1, 2))),
}
"""What stands beside the weights of a file."""


def model(seed: int = 0) -> TreeModel:
    return build(Trivial(), level(3, 2), three_tasks(), seed)


def loaded(path: Path) -> tuple[TreeModel, list[str]]:
    said: list[str] = []
    fresh = model(1)
    load_weights(fresh, path, said.append)
    return fresh, said


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", LEFTOVERS)
def test_what_stands_beside_the_weights_is_passed_over(tmp_path: Path, kind: str, zipped: bool) -> None:
    content = {"epoch": 3, "config": LEFTOVERS[kind](), "state_dict": model().state_dict(), "best": {"x": [1.0]}}
    path = tmp_path / "best.pth.tar"
    for name in ("yacs.config.CfgNode", "easydict.EasyDict") if kind == "Config" else ("unused.Config",):
        with named(name, Config):
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
        found, said = loaded(path)
        assert weights_hash(found) == weights_hash(model())
        assert said == ["took the weights in 'state_dict', left out beside them: 'epoch', 'config', 'best'"]


@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("prefix", ["", *PREFIXES, "module._orig_mod.", "model.module."])
def test_nests_and_prefixes(tmp_path: Path, nest: str, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in model().state_dict().items()}
    torch.save({nest: state}, tmp_path / "x.pt")
    found, said = loaded(tmp_path / "x.pt")
    assert weights_hash(found) == weights_hash(model())
    cut = [f"cut '{prefix}' from all names"] if prefix else []
    assert said == [f"took the weights in '{nest}'", *cut]


def test_nothing_is_said_of_plain_weights(tmp_path: Path) -> None:
    torch.save(model().state_dict(), tmp_path / "x.pt")
    assert loaded(tmp_path / "x.pt")[1] == []


def test_the_first_nest_that_is_one_is_taken() -> None:
    one, other = {"a": torch.zeros(1)}, {"a": torch.ones(1)}
    found = state_dict_in({"model": {"name": "resnet"}, "state_dict": {}, "ema": other, "net": one})
    assert found is not None
    assert found.tensors is not one and found.tensors == one
    assert list(found.beside) == ["model", "state_dict", "ema"]


@pytest.mark.parametrize(
    "content",
    [{"weights": {"a": torch.zeros(1)}}, {"model": {"a": 1}}, {"model": {1: torch.zeros(1)}}, {1: torch.zeros(1)}, []],
    ids=repr,
)
def test_no_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="expected a dictionary of name -> tensor, or one that"):
        load_weights(model(), tmp_path / "x.pt")


def test_a_prefix_that_the_model_has_stays() -> None:
    tensors: dict[str, Tensor] = {"module.model.a": torch.zeros(1), "module.model.b": torch.ones(1)}
    kept = without_prefix(Taken(tensors, {}, ()), ["model.a", "model.b"])
    assert list(kept.tensors) == ["model.a", "model.b"]
    assert kept.notes == ("cut 'module.' from all names",)
    mixed = Taken({"module.a": torch.zeros(1), "b": torch.zeros(1)}, {}, ())
    assert without_prefix(mixed, ["a", "b"]) is mixed
    empty = Taken({}, {}, ())
    assert without_prefix(empty, ["a"]) is empty


def test_many_and_long_names_are_shown_in_part() -> None:
    beside = {"\x1b[2J" + "x" * 1000: 0, **{f"entry{i}": 0 for i in range(30)}}
    found = state_dict_in({"net": {"a": torch.zeros(1)}, **beside})
    assert found is not None
    (note,) = found.notes
    assert len(note) < 300
    assert "\x1b" not in note
    assert note.endswith("'entry10' and 19 more")
