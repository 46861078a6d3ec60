"""Which folder a trained model lies in: one recipe, one folder; another recipe is never mistaken for it."""

from pathlib import Path

import pytest
import yaml

from mtlbench.errors import CheckpointError
from mtlbench.storage.checkpoints import RECIPE, WEIGHTS, find

NAME = "rooms-tiny-share2-clean-s0"
OURS = {
    "training": {"iterations": 100, "betas": (0.5, 0.999), "lr": 1e-3},
    "tree": "012|0,12",
    "dataset": {"name": "x"},
}
OTHER = {**OURS, "tree": "012|012"}


def test_a_new_recipe_gets_the_plain_folder(tmp_path):
    found = find(tmp_path, NAME, OURS)
    assert found.folder == tmp_path / NAME
    assert not found.trained
    assert not found.folder.exists(), "looking is not making"


def test_the_same_recipe_finds_its_folder_again(tmp_path):
    first = find(tmp_path, NAME, OURS)
    first.write_recipe()
    again = find(tmp_path, NAME, dict(reversed(OURS.items())))
    assert again.folder == first.folder
    assert yaml.safe_load((first.folder / RECIPE).read_text()) == again.recipe


def test_another_recipe_gets_and_keeps_a_folder_of_its_own(tmp_path):
    first = find(tmp_path, NAME, OURS)
    first.write_recipe()
    second = find(tmp_path, NAME, OTHER)
    assert second.folder.parent == first.folder.parent
    assert second.folder.name.startswith(f"{NAME}-")
    second.write_recipe()
    assert find(tmp_path, NAME, OTHER).folder == second.folder
    assert find(tmp_path, NAME, OURS).folder == first.folder
    third = find(tmp_path, NAME, {**OURS, "training": {"iterations": 200}})
    assert third.folder not in (first.folder, second.folder)


@pytest.mark.parametrize(
    "value", [0.1, 1e-4, 1 / 3, 5e-324, True, None, "", "1e-3", "yes", "é", [1, [2]], {"a": {}}], ids=repr
)
def test_values_survive_the_file(tmp_path, value):
    """What is read back equals what was written, or the same recipe would train again."""
    find(tmp_path, NAME, {"value": value}).write_recipe()
    assert find(tmp_path, NAME, {"value": value}).folder.name == NAME
    assert find(tmp_path, NAME, {"value": "else"}).folder.name != NAME


def test_values_that_differ_in_type_are_different_recipes(tmp_path):
    find(tmp_path, NAME, {"lr": 1}).write_recipe()
    assert find(tmp_path, NAME, {"lr": "1"}).folder.name != NAME


def test_trained_means_that_the_weights_are_there(tmp_path):
    found = find(tmp_path, NAME, OURS)
    found.write_recipe()
    assert not found.trained
    (found.folder / WEIGHTS).write_bytes(b"weights")
    assert found.trained
    assert found.weights.parent == found.state.parent == found.folder


@pytest.mark.parametrize(
    "content", [b"tree: [1, 2", b"a: b: c", b"\xff\xfe\x00\x01", b"!!python/object/apply:os.getpid []"], ids=repr
)
def test_a_damaged_recipe_is_an_error(tmp_path, content):
    find(tmp_path, NAME, OURS).write_recipe()
    path = tmp_path / NAME / RECIPE
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable recipe") as caught:
        find(tmp_path, NAME, OURS)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_an_empty_recipe_belongs_to_somebody_else(tmp_path):
    path: Path = tmp_path / NAME / RECIPE
    path.parent.mkdir(parents=True)
    path.touch()
    assert find(tmp_path, NAME, OURS).folder != path.parent


def test_weights_without_a_recipe_are_nobodys(tmp_path):
    first = find(tmp_path, NAME, OURS)
    first.folder.mkdir(parents=True)
    (first.folder / WEIGHTS).write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=r"recipe\.yaml: missing beside model\.safetensors"):
        find(tmp_path, NAME, OURS)
