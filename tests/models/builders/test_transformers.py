"""transformers at the boundary: what is asked of it, by a stand-in of a few lines, as the library is a large one.

The stand-in has the signatures and the results of transformers 5.24, with which the builder was tried.
"""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from torch import Tensor, nn

from mtlbench.errors import CheckpointError, MachineError, UsageError
from mtlbench.models.builders.transformers import build
from mtlbench.tasks import classification, depth, segmentation

DENSE = (segmentation(4), depth())
WHOLE = (classification(3, name="kind"),)
LABELS = "labels"


class Network(nn.Module):
    """One convolution; logits at a quarter of the size, or one vector an image."""

    def __init__(self, config: SimpleNamespace, whole: bool) -> None:
        super().__init__()
        self.config, self.whole = config, whole
        self.layer = nn.Conv2d(3, config.num_labels, 4, 4)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        found = self.layer(pixel_values)
        return SimpleNamespace(logits=found.mean((2, 3)) if self.whole else found)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for transformers; what was asked of it, and whether it could have used the network."""
    seen: list[dict[str, Any]] = []

    def note(**what: Any) -> None:
        seen.append({**what, "offline": huggingface_hub.constants.HF_HUB_OFFLINE})

    class AutoConfig:
        @staticmethod
        def for_model(model_type: str, **options: Any) -> SimpleNamespace:
            note(model_type=model_type, **options)
            if model_type == "nosuch":
                raise ValueError("Unrecognized model identifier: nosuch. Should contain one of " + "bert, " * 200)
            return SimpleNamespace(model_type=model_type, **options)

    def auto(whole: bool) -> type:
        class Auto:
            @staticmethod
            def from_config(config: SimpleNamespace, *, trust_remote_code: bool) -> Network:
                note(trust_remote_code=trust_remote_code)
                return Network(config, whole)

            @staticmethod
            def from_pretrained(folder: str, **options: Any) -> tuple[Network, dict[str, list[str]]]:
                note(folder=folder, **options)
                about = json.loads((Path(folder) / "config.json").read_text())
                config = SimpleNamespace(model_type="segformer", num_labels=about[LABELS])
                return Network(config, whole), {"missing_keys": about.get("missing", [])}

        return Auto

    fake: Any = ModuleType("transformers")
    fake.AutoConfig = AutoConfig
    fake.AutoModelForSemanticSegmentation, fake.AutoModelForImageClassification = auto(False), auto(True)
    monkeypatch.setitem(sys.modules, "transformers", fake)
    return seen


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in model(torch.rand(2, 3, 16, 24)).items()}


def saved(folder: Path, labels: int, missing: tuple[str, ...] = (), processor: object = None) -> Path:
    (folder / "config.json").write_text(json.dumps({LABELS: labels, "missing": missing}))
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_a_configuration_with_random_weights(asked: list[dict[str, Any]]) -> None:
    model = build(DENSE, "segformer", depths=[1, 1])
    assert shapes(model) == {"segmentation": (2, 4, 4, 6), "depth": (2, 1, 4, 6)}
    assert (model.name, model.inputs.convention.name) == ("transformers-segformer", "imagenet")
    assert asked == [
        {"model_type": "segformer", "num_labels": 5, "depths": [1, 1], "offline": True},
        {"trust_remote_code": False, "offline": True},
    ]
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_an_image_classifier(asked: list[dict[str, Any]]) -> None:
    assert shapes(build(WHOLE, "vit")) == {"kind": (2, 3, 1, 1)}


def test_a_local_folder(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    """Nothing in it is run, and nothing but safetensors is read."""
    processor = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    model = build(DENSE, folder=str(saved(tmp_path, 5, processor=processor)))
    assert shapes(model)["depth"] == (2, 1, 4, 6)
    assert (model.inputs.convention.mean, model.inputs.convention.std) == ((0.5,) * 3, (0.25,) * 3)
    (options,) = asked
    assert options == {
        "folder": str(tmp_path),
        "local_files_only": True,
        "use_safetensors": True,
        "trust_remote_code": False,
        "output_loading_info": True,
        "offline": True,
    }


@pytest.mark.parametrize(
    ("processor", "expected"), [(None, "imagenet"), ({"do_normalize": False}, "rgb01"), ([1], "rgb01")]
)
def test_input_convention_of_a_folder(
    asked: list[dict[str, Any]], tmp_path: Path, processor: object, expected: str
) -> None:
    assert build(DENSE, folder=str(saved(tmp_path, 5, processor=processor))).inputs.convention.name == expected
    assert build(DENSE, folder=str(tmp_path), inputs="half").inputs.convention.name == "half"


def test_what_is_refused(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model_type=nosuch: Unrecognized model identifier") as caught:
        build(DENSE, "nosuch")
    assert len(str(caught.value)) < 500
    with pytest.raises(UsageError, match="kind per image"):
        build((*DENSE, *WHOLE))
    with pytest.raises(UsageError, match=r"folder=nvidia/segformer: expected a folder with config\.json"):
        build(DENSE, folder="nvidia/segformer")
    saved(tmp_path, 7)
    with pytest.raises(UsageError, match="it has 7 labels, the tasks have 5 channels"):
        build(DENSE, folder=str(tmp_path))
    with pytest.raises(UsageError, match=r"its config\.json says depths; leave them out"):
        build(DENSE, folder=str(tmp_path), depths=[1])
    saved(tmp_path, 5, missing=("decode_head.weight",))
    with pytest.raises(CheckpointError, match=r"no weights for 1 names \(first: decode_head.weight\)"):
        build(DENSE, folder=str(tmp_path))
    saved(tmp_path, 5, processor={"image_mean": [1, 2], "image_std": None})
    with pytest.raises(UsageError, match="inputs="):
        build(DENSE, folder=str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(UsageError, match=r"preprocessor_config\.json: not JSON"):
        build(DENSE, folder=str(tmp_path))


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MachineError, match=r"model=transformers needs transformers.*'mtlbench\[transformers\]'"):
        build(DENSE)
