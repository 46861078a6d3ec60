"""transformers: small networks of the real library, with random weights; nothing is downloaded."""

import json
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mtlbench.errors import CheckpointError, MachineError, UsageError
from mtlbench.models.adapted import Adapted
from mtlbench.models.builders.transformers import build, known_as
from mtlbench.tasks import classification, depth, segmentation

DENSE = (segmentation(4), depth())
WHOLE = (classification(3, name="kind"),)
SEGFORMER: dict[str, Any] = {
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [4, 4, 8, 8],
    "num_attention_heads": [1, 1, 1, 1],
    "decoder_hidden_size": 8,
}
VIT: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "image_size": 32,
}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in model.eval()(torch.rand(2, 3, 32, 64)).items()}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """What save_pretrained writes, of one network for `DENSE`."""
    save(build(DENSE, "segformer", **SEGFORMER), tmp_path / "saved")
    return tmp_path / "saved"


def save(model: Adapted, folder: Path) -> None:
    network: Any = model.inner
    network.save_pretrained(folder)


def change(file: Path, **more: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))


def test_a_configuration_with_random_weights() -> None:
    model = build(DENSE, "segformer", **SEGFORMER)
    assert shapes(model) == {"segmentation": (2, 4, 8, 16), "depth": (2, 1, 8, 16)}
    assert (model.name, model.inputs.convention.name) == ("transformers-segformer", "imagenet")
    assert not huggingface_hub.constants.HF_HUB_OFFLINE  # as before


def test_an_image_classifier() -> None:
    model = build(WHOLE, "vit", **VIT, patch_size=16)
    assert {name: tuple(one.shape) for name, one in model.eval()(torch.rand(2, 3, 32, 32)).items()} == {
        "kind": (2, 3, 1, 1)
    }


def test_a_local_folder(saved: Path) -> None:
    """The network that was saved, to the bit; mean and std are those of its preprocessor."""
    before = build(DENSE, "segformer", **SEGFORMER, inputs="half")
    save(before.eval(), saved)
    processor = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}  # "half"
    (saved / "preprocessor_config.json").write_text(json.dumps(processor))
    model = build(DENSE, folder=str(saved)).eval()
    images = torch.rand(2, 3, 32, 64)
    assert all(torch.equal(one, before(images)[task]) for task, one in model(images).items())


@pytest.mark.parametrize(
    ("processor", "expected"), [(None, "imagenet"), ({"do_normalize": False}, "rgb01"), ([1], "rgb01")]
)
def test_input_convention_of_a_folder(saved: Path, processor: object, expected: str) -> None:
    if processor is not None:
        (saved / "preprocessor_config.json").write_text(json.dumps(processor))
    assert build(DENSE, folder=str(saved)).inputs.convention.name == expected
    assert build(DENSE, folder=str(saved), inputs="half").inputs.convention.name == "half"


def test_a_key_knows_what_a_folder_holds_and_not_where_it_is(saved: Path) -> None:
    before = known_as({"folder": str(saved), "model_type": "segformer"})
    moved = saved.rename(saved.parent / "moved")
    assert known_as({"folder": str(moved)}) == before
    change(moved / "config.json", decoder_hidden_size=16)
    assert known_as({"folder": str(moved)}) != before
    assert known_as({"model_type": "vit", "depths": [1]}) == {"model_type": "vit", "depths": [1]}


def test_code_in_a_folder_is_not_run(saved: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (saved / "evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    of_code = {"AutoConfig": "evil.Config", "AutoModelForSemanticSegmentation": "evil.Model"}
    change(saved / "config.json", auto_map=of_code)
    build(DENSE, folder=str(saved))
    assert not canary.exists()


def test_a_pickle_is_not_read(saved: Path) -> None:
    torch.save(load_file(saved / "model.safetensors"), saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"folder=.*model\.safetensors"):
        build(DENSE, folder=str(saved))


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("nosuch", {}, "model_type=nosuch: Unrecognized model identifier"),
        ("segformer", {"depth": [1]}, r"no option depth; did you mean depths\?"),
        ("vit", {}, "ViTConfig"),
    ],
)
def test_unknown_types_and_options(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        build(DENSE, kind, **options)
    assert len(str(caught.value)) < 500


def test_tasks_that_one_network_cannot_serve() -> None:
    with pytest.raises(UsageError, match="kind per image"):
        build((*DENSE, *WHOLE))


def test_folders_that_do_not_fit(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"folder=nvidia/segformer: expected a folder with config\.json"):
        build(DENSE, folder="nvidia/segformer")
    with pytest.raises(UsageError, match=r"its config\.json says depths; leave them out"):
        build(DENSE, folder=str(saved), depths=[1])
    with pytest.raises(UsageError, match="it has 5 labels, the tasks have 8 channels"):
        build((segmentation(7), depth()), folder=str(saved))
    (saved / "preprocessor_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"preprocessor_config\.json: not JSON"):
        build(DENSE, folder=str(saved))
    (saved / "preprocessor_config.json").write_text(json.dumps({"image_mean": [1, 2], "image_std": None}))
    with pytest.raises(UsageError, match="inputs="):
        build(DENSE, folder=str(saved))


def test_a_folder_that_lacks_weights(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    del weights["decode_head.classifier.weight"]
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"no weights for 1 names \(first: decode_head.classifier.weight\)"):
        build(DENSE, folder=str(saved))


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineError, match=r"model=transformers needs transformers.*'mtlbench\[transformers\]'"):
        build(DENSE)
