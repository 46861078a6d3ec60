"""Weights on disk: bit-equal round trips, an identity that sees every value, and refusals that say what is wrong."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtlbench.errors import CheckpointError
from mtlbench.models.checkpoint import load_weights, save_weights
from mtlbench.models.model import weights_hash
from mtlbench.models.sharing import Tree, level, parse
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import five_tasks, three_tasks
from tests.fakes import Trivial

TASKS = three_tasks()


def model(seed: int = 0, tree: Tree | None = None, tasks=TASKS, **options) -> TreeModel:
    return build(Trivial(**options), tree or level(len(tasks), 2), tasks, seed)


def refusal(path: Path, into: TreeModel | None = None) -> str:
    """The message of the `CheckpointError` that loading gives; the model must be as before."""
    into = into or model()
    before = weights_hash(into)
    with pytest.raises(CheckpointError) as caught:
        load_weights(into, path)
    assert caught.value.status == 3
    assert str(caught.value).startswith(f"{path}: ")
    assert weights_hash(into) == before
    return str(caught.value)


def state_equal(first: TreeModel, second: TreeModel) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)


@pytest.mark.parametrize("backbone", [Trivial(), Tiny()], ids=["trivial", "tiny"])
@pytest.mark.parametrize("tree", [level(3, 0), level(3, 5), parse("012|0,12|0,12|0,1,2|0,1,2", 3)], ids=str)
def test_round_trip_is_bit_equal(tmp_path, backbone, tree):
    saved, loaded = (build(backbone, tree, TASKS, seed) for seed in (0, 1))
    for buffer in saved.buffers():  # running means and counts of batch normalisation are state too
        buffer.add_(1)
    assert weights_hash(saved) != weights_hash(loaded)
    save_weights(saved, tmp_path / "model.safetensors")
    load_weights(loaded, tmp_path / "model.safetensors")
    assert state_equal(saved, loaded)
    assert weights_hash(saved) == weights_hash(loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / "folder" / "model.safetensors"
    save_weights(model(0), path)
    save_weights(model(1), path)
    loaded = model(2)
    load_weights(loaded, path)
    assert state_equal(loaded, model(1))


@given(st.data())
@settings(max_examples=40)
def test_hash_changes_with_any_value(data):
    changed = build(Trivial(), level(3, 2), TASKS, 0)
    before = weights_hash(changed)
    tensor = changed.state_dict()[data.draw(st.sampled_from(sorted(changed.state_dict())))].flatten()
    index = data.draw(st.integers(0, len(tensor) - 1))
    value = tensor[index].item()
    tensor[index] = torch.nextafter(tensor[index], torch.tensor(torch.inf))
    assert weights_hash(changed) != before
    tensor[index] = value
    assert weights_hash(changed) == before


def test_hash_sees_buffers_and_names():
    tiny = build(Tiny(), level(3, 5), TASKS, 0)
    before = weights_hash(tiny)
    next(b for n, b in tiny.named_buffers() if n.endswith("running_var"))[0] += 1
    assert weights_hash(tiny) != before
    first, second = model(tree=level(3, 4)), model(tree=parse("012|012|012|012|0,12", 3))
    assert weights_hash(first) != weights_hash(second)


def test_hash_ignores_mode_and_gradients():
    trained = model()
    before = weights_hash(trained)
    trained.eval().requires_grad_(False)
    assert weights_hash(trained) == before


def test_missing_file(tmp_path):
    assert "no such file; expected a weights file" in refusal(tmp_path / "model.safetensors")
    assert "no such file" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.pth"])
@pytest.mark.parametrize("head", [b"<!DOCTYPE html><html>", b"\n\n  <HTML><body>", b"<?xml version='1.0'?>"])
def test_web_page(tmp_path, name, head):
    path = tmp_path / name
    path.write_bytes(head + b"<title>404 Not Found</title>" * 40)
    assert "this is a web page, not weights" in refusal(path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 1000, -4, -1])
def test_truncated_safetensors(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    save_weights(model(), path)
    path.write_bytes(path.read_bytes()[:keep])
    assert "not a readable safetensors file" in refusal(path)


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**40, 2**63, 2**64 - 1])
def test_absurd_header_length(tmp_path, length):
    path = tmp_path / "model.safetensors"
    save_weights(model(), path)
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    assert "not a readable safetensors file" in refusal(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "NONE", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    ],
    ids=["huge", "short", "negative", "type", "offset"],
)
def test_absurd_header(tmp_path, entry):
    header = json.dumps({"x": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert "not a readable safetensors file" in refusal(path)


def test_another_tree(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(model(tree=level(3, 3)), path)
    message = refusal(path, model(tree=level(3, 2)))
    assert "tree 012|012|012|0,1,2|0,1,2" in message
    assert "expected tree 012|012|0,1,2|0,1,2|0,1,2" in message


def test_other_tasks(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(model(tasks=three_tasks(classes=13)), path)
    message = refusal(path)
    assert '"segmentation": 13' in message
    assert '"segmentation": 40' in message
    save_weights(model(tasks=five_tasks([1.0] * 17)), path)
    assert "holds weights of tree 01234" in refusal(path)


def test_another_model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(build(Tiny(), level(3, 2), TASKS, 0), path)
    assert "holds weights of model tiny; expected model trivial" in refusal(path)


def test_other_shape(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(model(width=3), path)
    assert "0.weight has shape (3, 3, 3, 3), expected (2, 3, 3, 3)" in refusal(path)


def test_other_names(tmp_path):
    path = tmp_path / "model.pt"
    state = model().state_dict()
    torch.save({name: tensor for name, tensor in state.items() if "depth" not in name}, path)
    assert "2 names are missing (first: ['heads.depth." in refusal(path)
    torch.save(state | {"extra": torch.zeros(1)}, path)
    assert "0 names are missing (first: []), 1 are unknown (first: ['extra'])" in refusal(path)
    torch.save({}, path)
    assert "are missing" in refusal(path)
    torch.save(state | {0: torch.zeros(1)}, path)
    assert "expected a dictionary of name -> tensor" in refusal(path)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_plain_state_dict_loads(tmp_path, old):
    path, loaded = tmp_path / "model.pt", model(1)
    torch.save(model(0).state_dict(), path, _use_new_zipfile_serialization=not old)
    load_weights(loaded, path)
    assert state_equal(loaded, model(0))


class Bomb:
    """Unpickling it calls `Path.touch`."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model", "model.safetensors"])
@pytest.mark.parametrize("form", ["torch", "legacy", "pickle"])
def test_code_in_a_pickle_never_runs(tmp_path, name, form):
    canary, path = tmp_path / "canary", tmp_path / name
    content = {"weight": torch.zeros(1), "bomb": Bomb(canary)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))  # what torch.load expects
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "torch")
    message = refusal(path)
    assert not canary.exists()
    assert ("code inside weights is never run" in message) == (name != "model.safetensors")
    with path.open("rb") as file:
        pickle.load(file) if form == "pickle" else torch.load(file, weights_only=False)
    assert canary.exists(), "the bomb works: only the loader's care kept it from going off"


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(2), {"epoch": 3}, {"a": {"b": torch.zeros(1)}}, 5], ids=repr)
def test_a_pickle_of_something_else(tmp_path, content):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    assert "expected a dictionary of name -> tensor" in refusal(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's guesses about the pickle protocol
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@given(content=st.binary(max_size=200))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    refusal(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_flipped_bytes_load_or_are_refused(tmp_path, form, data):
    """A damaged file never ends in anything but a `CheckpointError`. (The hash of the weights sees damaged values.)

    Other places in every run of the tests; tests/robustness/test_flips.py damages all files of an outputs folder.
    """
    path = tmp_path / ("model.safetensors" if form == "safetensors" else "model.pt")
    if form == "safetensors":
        save_weights(model(), path)
    else:
        torch.save(model().state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):  # PyTorch's old form holds addresses, so that its length changes
        content[data.draw(st.integers(0, 2**20)) % len(content)] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        load_weights(model(), path)
    except CheckpointError as error:
        assert str(path) in str(error)
