"""Models by name in the commands: trunks of timm are trained and attacked, other libraries' networks attacked."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.running import Result

SMALL = ("dataset.images=52", "dataset.resolution=32", "attack.step.steps=3", "eps=8")


SHOWN = {
    "test_resnet": "5 blocks: conv1 bn1 act1 | maxpool layer1 | layer2 | layer3 | layer4",
    "test_vit": "5 blocks: embedding | blocks_0_0 | blocks_1_2 | blocks_3_3 | blocks_4_5",
    "resnet18": "5 blocks: conv1 bn1 act1 | maxpool layer1 | layer2 | layer3 | layer4",
    "vit_tiny_patch16_224": "5 blocks: embedding | blocks_0_2 | blocks_3_5 | blocks_6_8 | blocks_9_11",
}


@pytest.mark.parametrize(
    ("names", "size"),
    [
        (("test_resnet", "test_vit"), ("dataset.images=39", "dataset.resolution=32", "training.iterations=16")),
        pytest.param(
            ("resnet18", "vit_tiny_patch16_224"),
            ("dataset.images=650", "training.iterations=80"),
            marks=pytest.mark.robustness,
        ),
    ],
    ids=["small", "usual"],
)
def test_trunks_of_timm_are_trained_and_attacked(
    tmp_path: Path, call: Callable[..., Result], names: tuple[str, ...], size: tuple[str, ...]
) -> None:
    """They learn something, and lose it: in every tree each task is worse under attack."""
    done = call(
        *("attack", "-m", "model=timm", f"model.name={','.join(names)}", "sharing=independent,all_shared"),
        *(*size, "training.batch_size=8", "attack.step.steps=4", "eps=8"),
    )
    assert done.status == 0, done.err
    for name in names:
        assert done.err.count(f"mtlbench: timm-{name}: {SHOWN[name]}") == 1
    table = pd.read_csv(tmp_path / "outputs/tables/metrics.csv").query("scores == 'standard' and eps > 0")
    trees = table[["model", "sharing", "shared_blocks"]].drop_duplicates()
    expected = [(f"timm-{name}", *tree) for name in names for tree in (("all_shared", 5), ("independent", 0))]
    assert sorted(trees.itertuples(index=False, name=None)) == sorted(expected)
    for metric in ("pixel_accuracy", "within_30", "abs_err"):
        rows = table[table["metric"] == metric]
        assert len(rows) == 4
        assert (rows["relative_drop"] > 0).all(), metric


@pytest.mark.parametrize("model", ["torchvision", "smp"])
def test_networks_of_other_libraries_are_attacked(tmp_path: Path, call: Callable[..., Result], model: str) -> None:
    done = call("attack", f"model={model}", *SMALL, "limit=2", "attack.step.steps=1")
    assert done.status == 0, done.err
    names = pd.read_csv(tmp_path / "outputs/tables/metrics.csv")[["model", "sharing"]].drop_duplicates()
    name = {"torchvision": "lraspp_mobilenet_v3_large", "smp": "smp-unet-resnet18"}[model]
    assert names.to_numpy().tolist() == [[name, "custom"]]


def test_a_trunk_that_is_no_chain_is_refused_before_anything_is_made(
    tmp_path: Path, call: Callable[..., Result]
) -> None:
    done = call("attack", "model=timm", "model.name=hrnet_w18_small", *SMALL)
    assert done.status == 2
    assert "model.name=hrnet_w18_small: timm does not give HighResolutionNetFeatures as a chain" in done.err
    assert not (tmp_path / "outputs/datasets").exists()
