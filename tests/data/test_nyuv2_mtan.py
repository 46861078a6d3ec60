"""NYUv2 in MTAN's format."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench.data.augment import Augment
from mtlbench.data.nyuv2_mtan import NYUv2MTAN
from mtlbench.errors import DataError, UsageError

Maker = Callable[..., Path]
SIZE = (24, 32)


def test_a_sample_holds_the_stored_values(make_mtan: Maker) -> None:
    root = make_mtan(images=12)
    dataset = NYUv2MTAN(root, "test", SIZE)
    assert [dataset.sample(i).name for i in range(12)] == [str(i) for i in range(12)]  # 10 after 9, not after 1
    sample = dataset.sample(10)
    stored = {kind: np.load(root / "val" / kind / "10.npy") for kind in ("image", "label", "depth", "normal")}
    np.testing.assert_array_equal(sample.input.permute(1, 2, 0), stored["image"])
    np.testing.assert_array_equal(sample.targets["depth"][0], stored["depth"][..., 0])
    np.testing.assert_allclose(sample.targets["normals"].permute(1, 2, 0), stored["normal"], atol=1e-6)
    valid = stored["label"] >= 0
    np.testing.assert_array_equal(sample.masks["segmentation"][0], valid)
    np.testing.assert_array_equal(sample.targets["segmentation"][0].numpy()[valid], stored["label"][valid])
    for task in ("normals", "depth"):
        assert not sample.masks[task][0, 0].any()
        assert sample.masks[task][0, 1:].all()


def test_training_form_divides_depth_by_the_scale_and_negates_x(make_mtan: Maker) -> None:
    root = make_mtan()
    stored = np.load(root / "train/depth/0.npy")[..., 0]
    half = NYUv2MTAN(root, "train", (12, 16), Augment(0.5, 0.5, mirror=False)).sample(0, 0)
    np.testing.assert_allclose(half.targets["depth"][0], stored[::2, ::2] * 2)
    flips = NYUv2MTAN(root, "train", SIZE, Augment(1, 1))
    plain = flips.sample(0)
    draws = [flips.sample(0, draw) for draw in range(8)]
    mirrored = next(s for s in draws if not torch.equal(s.input, plain.input))
    sign = torch.tensor([-1.0, 1, 1]).reshape(3, 1, 1)
    assert torch.equal(mirrored.targets["normals"].flip(-1), plain.targets["normals"] * sign)
    padded = NYUv2MTAN(root, "train", SIZE, Augment(0.5, 0.5)).sample(0, 0)
    assert not any(mask[0, :6].any() for mask in padded.masks.values())


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("image", np.full((*SIZE, 3), 2.0), "image values 2..2; expected 0..1"),
        ("image", np.zeros((*SIZE, 3), np.uint8), "values of type uint8; expected floating point"),
        ("image", np.zeros((3, *SIZE)), r"shape \(3, 24, 32\); expected 3 axes, the last of length 3"),
        ("label", np.full(SIZE, 13), r"labels \[13\]; expected whole numbers from -1"),
        ("label", np.full(SIZE, 0.5), r"labels \[0.5\]"),
        ("depth", np.full((*SIZE, 1), -1.0), "depth down to -1"),
        ("normal", np.zeros(SIZE), r"shape \(24, 32\)"),
    ],
)
def test_other_content_is_refused(make_mtan: Maker, kind: str, array: np.ndarray, message: str) -> None:
    root = make_mtan()
    np.save(root / "val" / kind / "0.npy", array)
    with pytest.raises(DataError, match=message):
        NYUv2MTAN(root, "test", SIZE).sample(0)


def test_other_folders_are_explained(make_mtan: Maker, make_nyuv2: Maker) -> None:
    with pytest.raises(DataError, match="format of AdaShare: use dataset=nyuv2"):
        NYUv2MTAN(make_nyuv2(), "test")
    root = make_mtan()
    with pytest.raises(UsageError, match=r"dataset\.split=val: expected train or test"):
        NYUv2MTAN(root, "val")
    np.save(root / "val/image/mean.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"mean\.npy: expected numbered files"):
        NYUv2MTAN(root, "test")
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"val/image: no 0.npy, .* holds train/ only"):
        NYUv2MTAN(root, "test")
