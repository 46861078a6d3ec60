"""Tiny-Taxonomy: its formats, its values and masks."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mtlbench.data.augment import Augment
from mtlbench.data.taxonomy_lists import DOMAINS, list_images
from mtlbench.data.tiny_taxonomy import CLASS_WEIGHTS, TinyTaxonomy
from mtlbench.errors import DataError, MissingSplitError, UsageError

Maker = Callable[..., Path]
VIEWS = {"ihlen": ["point_1_view_0", "point_2_view_3"], "uvalda": ["point_7_view_1"]}
NAMES = [f"{b}-rgb-{v}_domain_rgb.png" for b, views in VIEWS.items() for v in views]
OFFICIAL = "{domain}/taskonomy/{building}/{view}_domain_{suffix}.png"


def open_native(root: Path, split: str = "test", **options: object) -> TinyTaxonomy:
    return TinyTaxonomy(root, split, **({"resolution": (32, 32), "base": None} | options))  # type: ignore[arg-type]


def entry(building: str, view: str, prefix: str = "") -> list[str]:
    suffixes = [domain.replace("segment_semantic", "segmentsemantic") for domain in DOMAINS]
    return [f"{prefix}{building}/{d}/{view}_domain_{s}.png" for d, s in zip(DOMAINS, suffixes, strict=True)]


def write_list(root: Path, prefix: str = "", split: str = "test") -> None:
    entries = [entry(building, view, prefix) for building, views in VIEWS.items() for view in views]
    (root / "taskonomy.json").write_text(json.dumps({split: entries}))


@pytest.mark.parametrize(
    ("template", "prefix", "split"),
    [
        ("test/{building}/{domain}/{view}_domain_{suffix}.png", "", "test"),
        ("test/{building}/{domain}/{view}_domain_{suffix}.png", "", "test_small"),
        ("test/{building}/{domain}/{view}_domain_{suffix}.png", "test/", "test"),
        ("train/{building}/{domain}/{view}_domain_{suffix}.png", "", "train1"),
        ("{building}/{domain}/{view}_domain_{suffix}.png", "", "train"),
    ],
)
def test_a_list_file_with_and_without_the_split_folder(
    make_taxonomy: Maker, template: str, prefix: str, split: str
) -> None:
    root = make_taxonomy(VIEWS, template)
    write_list(root, prefix, split)
    dataset = open_native(root, split)
    assert [dataset.sample(i).name for i in range(3)] == [prefix.replace("/", "-") + name for name in NAMES]


@pytest.mark.parametrize("template", ["test/{building}/{domain}/{view}_domain_{suffix}.png", OFFICIAL])
def test_without_a_list_the_folders_are_searched(make_taxonomy: Maker, template: str) -> None:
    dataset = open_native(make_taxonomy(VIEWS, template))
    assert [dataset.sample(i).name for i in range(3)] == NAMES
    assert [file.parent.name for file in dataset.files(0)][:1] == (["ihlen"] if template == OFFICIAL else ["rgb"])
    assert [path.name for path in dataset.files(0)] == [Path(p).name for p in entry("ihlen", "point_1_view_0")]


def test_official_download_is_split_by_building(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS | {"hanson": ["point_0_view_0"], "corozal": ["point_0_view_0"]}, OFFICIAL)
    assert [len(open_native(root, split)) for split in ("train", "val", "test")] == [1, 1, 3]
    assert ("muleshoe", "building not downloaded") in open_native(root).skipped
    with pytest.raises(UsageError, match=r"dataset\.split=test_small: the official download has train, val, test"):
        open_native(root, "test_small")


@pytest.mark.parametrize("with_list", [True, False])
def test_known_bad_images_are_left_out_visibly(make_taxonomy: Maker, with_list: bool) -> None:
    root = make_taxonomy({"muleshoe": ["point_399_view_5", "point_399_view_6"]})
    if with_list:
        views = [entry("muleshoe", view) for view in ("point_399_view_5", "point_399_view_6")]
        (root / "taskonomy.json").write_text(json.dumps({"test": views}))
    dataset = open_native(root)
    assert [dataset.sample(0).name, len(dataset)] == ["muleshoe-rgb-point_399_view_6_domain_rgb.png", 1]
    ((image, reason),) = dataset.skipped
    assert "point_399_view_5" in image
    assert "damaged" in reason


def test_incomplete_images_are_left_out_visibly(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS, OFFICIAL)
    (root / "edge_texture/taskonomy/ihlen/point_1_view_0_domain_edge_texture.png").unlink()
    dataset = open_native(root)
    assert len(dataset) == 2
    assert ("ihlen/point_1_view_0", "no edge_texture file") in dataset.skipped


def test_unknown_folders_and_lists_without_images_are_explained(make_taxonomy: Maker, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither taskonomy.json, nor test/<building>/rgb/, nor .* holds nothing"):
        open_native(tmp_path)
    with pytest.raises(DataError, match=r"neither taskonomy\.json"):
        open_native(make_taxonomy(VIEWS), "../test")
    root = make_taxonomy(VIEWS)
    (root / "taskonomy.json").write_text(json.dumps({"test": [entry("gone", "point_0_view_0")]}))
    with pytest.raises(DataError, match=r"not one image of split 'test' exists; neither .*/test/gone/rgb.* nor"):
        open_native(root)
    (tmp_path / "empty" / "test").mkdir(parents=True)
    with pytest.raises(MissingSplitError, match="empty/test: no building here; the folder holds nothing"):
        list_images(tmp_path / "empty", "test")
    (tmp_path / "empty" / "test" / "ihlen").mkdir()
    with pytest.raises(DataError, match="no image of split 'test' has all of rgb"):
        list_images(tmp_path / "empty", "test")


def test_targets_follow_the_reference_formulas(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS)
    dataset = open_native(root)
    sample = dataset.sample(0)
    image, seg, normal, depth, keypoints, edges = (
        cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(np.float64) for file in dataset.files(0)
    )
    expected = {
        "segmentation": np.where(seg == 0, 0, seg - 1),
        "normals": (normal[..., ::-1] / 255 * 2 - 1).transpose(2, 0, 1),
        "depth": np.log(1 + depth) / np.log(2**16),
        "keypoints2d": np.clip(keypoints / 65536, 0, 0.005) / 0.005 * 2 - 1,
        "edge_texture": np.clip(edges / 65536, 0, 0.08) / 0.08 * 2 - 1,
    }
    assert [task.name for task in dataset.tasks] == list(sample.targets)
    for task, values in expected.items():
        target = sample.targets[task].numpy()
        np.testing.assert_allclose(target if task == "normals" else target[0], values, atol=1e-6, err_msg=task)
        assert target.dtype == (np.uint8 if task == "segmentation" else np.float32)
    np.testing.assert_allclose(sample.input.permute(1, 2, 0) * 255, image[..., ::-1], atol=1e-4)
    for task in ("normals", "depth"):
        np.testing.assert_array_equal(sample.masks[task][0], depth < 64500)
    for task in ("segmentation", "keypoints2d", "edge_texture"):
        assert sample.masks[task].all()
    assert (seg == 0).any()  # uncertain pixels exist and are valid background


def test_base_resamples_the_image_by_the_nearest_rule_first(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS)
    image = cv2.imread(str(open_native(root).files(0)[0]))[..., ::-1]
    sample = TinyTaxonomy(root, "test", resolution=(14, 12), base=16).sample(0)
    expected = cv2.resize(image[::2, ::2].astype(np.float32), (12, 14))
    np.testing.assert_allclose(sample.input.permute(1, 2, 0) * 255, expected, atol=1e-4)
    assert float(sample.input.max()) <= 1
    assert sample.targets["depth"].shape == (1, 14, 12)


def test_training_form_mirrors_normals_and_masks_padding(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS)
    flips = open_native(root, augment=Augment(1, 1))
    plain = flips.sample(0)
    draws = [flips.sample(0, draw) for draw in range(8)]
    mirrored = next(s for s in draws if not torch.equal(s.input, plain.input))
    assert torch.equal(mirrored.input, plain.input.flip(-1))
    sign = torch.tensor([-1.0, 1, 1]).reshape(3, 1, 1)
    assert torch.equal(mirrored.targets["normals"].flip(-1), plain.targets["normals"] * sign)
    small = open_native(root, augment=Augment(0.5, 0.5)).sample(0, 0)
    inner = torch.zeros(32, 32, dtype=torch.bool)
    inner[8:24, 8:24] = True
    assert torch.equal(small.masks["segmentation"][0], inner)
    for task, mask in small.masks.items():
        assert not mask[0, ~inner].any(), task
        padding = small.targets[task][:, ~inner].unique().tolist()
        assert padding == [255 if task == "segmentation" else 0], task


def test_class_weights_come_from_the_file_or_the_published_table(make_taxonomy: Maker) -> None:
    root = make_taxonomy(VIEWS)
    assert open_native(root).tasks[0].class_weights == CLASS_WEIGHTS
    weights = np.linspace(1, 2, 9)
    np.save(root / "semseg_prior_factor.npy", weights)
    dataset = open_native(root)
    assert dataset.tasks[0].class_weights == tuple(weights)
    assert dataset.tasks[0].channels == 9
    with pytest.raises(DataError, match=r"class ids \[10, .*expected 0 \(uncertain\) to 9, one class per entry"):
        dataset.sample(0)
    np.save(root / "semseg_prior_factor.npy", weights - 1)
    with pytest.raises(DataError, match=r"9 weights from 0; expected one above 0"):
        open_native(root)
    with pytest.raises(UsageError, match=r"dataset\.base=0"):
        open_native(root, base=0)


def test_eight_bit_depth_is_refused(make_taxonomy: Maker) -> None:
    dataset = open_native(make_taxonomy(VIEWS))
    cv2.imwrite(str(dataset.files(0)[3]), np.zeros((32, 32), np.uint8))
    with pytest.raises(DataError, match="8-bit grey-scale PNG; expected 16-bit"):
        dataset.sample(0)
