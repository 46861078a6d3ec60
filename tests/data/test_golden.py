"""Parity with the reference's own loaders, on its own files."""

import json
from pathlib import Path

import numpy as np
import pytest

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Batch, collate
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.data.tiny_taxonomy import CLASS_WEIGHTS, TinyTaxonomy
from tests.golden import FOLDER

TAXONOMY = Path(__file__).parent / "taxonomy"
"""Three generated views in the format of Tiny-Taskonomy, with the real class weights."""
BGR_MEAN = np.array([104.00698793, 116.66876762, 122.67891434]).reshape(3, 1, 1)


def everything(dataset: MultiTaskDataset) -> Batch:
    return collate([dataset.sample(i) for i in range(len(dataset))])


def reference_input(batch: Batch) -> np.ndarray:
    """The reference's network input: BGR grey levels minus the mean."""
    return batch.input.numpy()[:, ::-1].astype(np.float64) * 255 - BGR_MEAN


@pytest.fixture(scope="module")
def nyuv2(nyuv2_images: Path) -> Batch:
    return everything(NYUv2(nyuv2_images, "test"))


@pytest.fixture(scope="module")
def taxonomy() -> Batch:
    return everything(TinyTaxonomy(TAXONOMY, "test"))


def test_nyuv2_equals_the_reference(nyuv2: Batch) -> None:
    golden = np.load(FOLDER / "nyuv2_loader.npz")
    stride = (..., slice(None, None, 11), slice(None, None, 11))
    np.testing.assert_allclose(reference_input(nyuv2)[stride], golden["input"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(nyuv2.targets["segmentation"].numpy()[stride], golden["segment_semantic"])
    np.testing.assert_array_equal(nyuv2.targets["normals"].numpy()[:, ::-1][stride], golden["normal"])
    np.testing.assert_array_equal(nyuv2.targets["depth"].numpy()[stride], golden["depth_zbuffer"])
    reference_mask = golden["normal"].max(axis=1, keepdims=True) < 255
    np.testing.assert_array_equal(nyuv2.masks["normals"].numpy()[stride], reference_mask)


def test_nyuv2_statistics_over_all_pixels(nyuv2: Batch) -> None:
    golden = json.loads((FOLDER / "nyuv2_loader.json").read_text())
    assert list(nyuv2.names) == golden["name"]
    full = {
        "input": reference_input(nyuv2),
        "segment_semantic": nyuv2.targets["segmentation"].numpy(),
        "normal": nyuv2.targets["normals"].numpy(),
        "depth_zbuffer": nyuv2.targets["depth"].numpy(),
    }
    for key, values in full.items():
        assert list(values.shape) == golden[key]["shape"]
        found = [values.min(), values.max(), values.mean(dtype=np.float64)]
        assert found == pytest.approx([golden[key][k] for k in ("min", "max", "mean")], abs=1e-4), key


def test_taxonomy_equals_the_reference(taxonomy: Batch) -> None:
    golden = np.load(FOLDER / "tiny_taxonomy_loader.npz")
    stride = (..., slice(None, None, 9), slice(None, None, 9))
    np.testing.assert_allclose(reference_input(taxonomy)[stride], golden["input"], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(taxonomy.targets["segmentation"].numpy()[stride], golden["segment_semantic"])
    names = {
        "normals": "normal",
        "depth": "depth_zbuffer",
        "keypoints2d": "keypoints2d",
        "edge_texture": "edge_texture",
    }
    for task, key in names.items():
        np.testing.assert_allclose(
            taxonomy.targets[task].numpy()[stride], golden[key], rtol=0, atol=1e-4, err_msg=task
        )
    for task, key in {"normals": "normal_mask", "depth": "depth_zbuffer_mask"}.items():
        np.testing.assert_array_equal(taxonomy.masks[task].numpy()[stride], golden[key][:, :1] > 0)


def test_taxonomy_statistics_over_all_pixels(taxonomy: Batch) -> None:
    golden = json.loads((FOLDER / "tiny_taxonomy_loader.json").read_text())
    assert list(taxonomy.names) == golden["name"]
    full = {
        "input": reference_input(taxonomy),
        "segment_semantic": taxonomy.targets["segmentation"].numpy(),
        "normal": taxonomy.targets["normals"].numpy(),
        "normal_mask": taxonomy.masks["normals"].numpy(),
        "depth_zbuffer": taxonomy.targets["depth"].numpy(),
        "keypoints2d": taxonomy.targets["keypoints2d"].numpy(),
        "edge_texture": taxonomy.targets["edge_texture"].numpy(),
    }
    for key, values in full.items():
        found = [values.min(), values.max(), values.mean(dtype=np.float64)]
        assert found == pytest.approx([golden[key][k] for k in ("min", "max", "mean")], abs=1e-4), key


def test_taxonomy_class_weights_are_the_published_ones() -> None:
    dataset = TinyTaxonomy(TAXONOMY, "test")
    assert dataset.class_weights == pytest.approx(CLASS_WEIGHTS, abs=1e-8)
    assert dataset.tasks[0].class_weights == dataset.class_weights


def test_decoded_nyuv2_normals_are_unit_vectors_of_the_raw_bytes(nyuv2_images: Path, nyuv2: Batch) -> None:
    decoded = everything(NYUv2(nyuv2_images, "test", normals="decoded"))
    mask = decoded.masks["normals"]
    length = decoded.targets["normals"].norm(dim=1, keepdim=True)
    assert float((length[mask] - 1).abs().max()) < 1e-5
    assert float(length[~mask].max()) == 0
    # Raw counts zero vectors as valid, about 1.4 % of its valid pixels; decoded does not.
    assert not bool((mask & ~nyuv2.masks["normals"]).any())
    zeros = 1 - int(mask.sum()) / int(nyuv2.masks["normals"].sum())
    assert 0.005 < zeros < 0.03
