"""Options of a builder's function, whose names Hydra does not know."""

import hydra
import pytest

from mtlbench.config.folder import conf_dir
from mtlbench.config.overrides import opened


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("model.options={folder: runs/mine}", {"model_type": "segformer", "folder": "runs/mine"}),
        ("model.options.folder=runs/mine", {"model_type": "segformer", "folder": "runs/mine"}),
        ("model.options.depths=[1, 2]", {"model_type": "segformer", "depths": [1, 2]}),
        ("model.options.model_type=upernet", {"model_type": "upernet"}),
        ("+model.options.folder=mine", {"model_type": "segformer", "folder": "mine"}),
    ],
)
def test_names_that_the_configuration_lacks_are_added(given: str, expected: dict[str, object]) -> None:
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("attack", opened(["model=transformers", given]))
    assert config["model"]["options"] == expected


def test_other_options_are_left_alone() -> None:
    arguments = ["-m", "model=smp", "model.name=x", "model.optionsfolder=x", "eps=4", "--cfg"]
    assert opened(arguments) == arguments
