import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.feature import hessian_matrix_det
from skimage.filters import gaussian, sobel

from mtlbench.data import generated
from mtlbench.data.generated import split_sizes
from mtlbench.data.rooms import CLASSES, class_weights, render
from mtlbench.data.rooms import FORMS as BY_NAME
from mtlbench.data.rooms.derived import edge_texture, grey, keypoint_sigmas, keypoints2d
from mtlbench.data.rooms.layout import MAX_OBJECTS, draw
from mtlbench.data.rooms.raycast import View, camera_normals, shade, trace
from mtlbench.data.rooms.scene import Camera
from mtlbench.data.rooms.solids import Ball, Box, Frustum
from mtlbench.errors import BusyError, DataError, UsageError

# Properties of the generator: same numbers, same bytes; geometry that agrees with itself; the two formats of others
# (the folder with eight tasks: test_rooms8.py).

LISTS = {"nyuv2": "nyu_v2_3task.json", "tiny_taxonomy": "taskonomy.json"}
FORMS = tuple(LISTS)
WALL, FLOOR, CEILING = 0, 1, 2


def make(root, form, images, resolution, seed, progress=None):
    generated.make(root, BY_NAME[form], images, resolution, seed, progress)


def default_root(folder, form, images, resolution, seed):
    return generated.default_root(folder, BY_NAME[form], images, resolution, seed)


def scene_of(index, seed=0):
    return draw(np.random.default_rng([seed, 0, index]))


def reflected(scene, view, hits):
    albedo, light = shade(scene, view, hits)
    return albedo * light


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] if image.ndim == 3 else image


@pytest.fixture(scope="module", params=FORMS)
def made(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("rooms") / request.param
    make(root, request.param, 14, (32, 48), 3)
    return request.param, root


@pytest.fixture(scope="module")
def pictures():
    return [render(0, "train", index, 64, 64) for index in range(100)]


# --- geometry


def normals_from_depth(scene, height, width):
    """Given normals, those of the back-projected points, where the surface is smooth, where furniture."""
    view = View(scene.camera, height, width)
    hits = trace(scene, view)
    across = (np.arange(width) + 0.5 - width / 2) / view.focal
    down = (np.arange(height) + 0.5 - height / 2) / view.focal
    z = hits.depth.astype(float)
    points = np.stack([across * z, down[:, None] * z, z])
    right, below = points[:, 1:-1, 2:] - points[:, 1:-1, :-2], points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    expected = np.cross(below, right, axis=0)
    expected /= np.linalg.norm(expected, axis=0)
    normal = camera_normals(hits, view)
    centre = normal[:, 1:-1, 1:-1]
    smooth = np.ones(centre.shape[1:], bool)
    for dy in range(3):
        for dx in range(3):
            here = (slice(dy, dy + height - 2), slice(dx, dx + width - 2))
            smooth &= hits.surface[here] == hits.surface[1:-1, 1:-1]
            smooth &= np.abs(normal[:, *here] - centre).max(axis=0) < 0.1
    return centre, expected, smooth, hits.surface[1:-1, 1:-1] >= len(scene.faces) + len(scene.patches)


def test_depth_and_normals_of_the_walls_agree():
    for index in range(6):
        given, expected, smooth, _ = normals_from_depth(replace(scene_of(index), things=()), 60, 80)
        assert smooth.mean() > 0.8
        np.testing.assert_allclose(given[:, smooth], expected[:, smooth], atol=2e-3)


def test_depth_and_normals_of_the_furniture_agree():
    for index in range(6):
        given, expected, smooth, furniture = normals_from_depth(scene_of(index), 120, 160)
        where = smooth & furniture
        assert where.sum() > 100
        assert (np.abs(given - expected).max(axis=0)[where] < 0.02).mean() > 0.98


def test_normals_are_unit_and_face_the_camera(pictures):
    view = View(Camera((0, 0, 0), 0.0, 0.0, np.pi / 2), 64, 64)
    assert view.focal == pytest.approx(32)
    for index, picture in enumerate(pictures[:30]):
        np.testing.assert_allclose(np.linalg.norm(picture.normal, axis=0), 1, atol=1e-4)
        focal = View(scene_of(index).camera, 64, 64).focal
        steps = (np.arange(64) + 0.5 - 32) / focal
        x, y, z = picture.normal
        toward = x * steps[None, :] + y * steps[:, None] + z
        assert (toward < 1e-3).all()


def test_floor_points_up_ceiling_down_and_depth_is_indoors(pictures):
    for picture in pictures:
        assert (picture.normal[1][picture.label == FLOOR] < -0.9).all()
        assert (picture.normal[1][picture.label == CEILING] > 0.9).all()
        assert picture.depth.min() > 0.3
        assert picture.depth.max() < 9


@pytest.mark.parametrize(
    ("solid", "inside"),
    [
        (Ball((0.1, 0.2, 0.3), 0.7), lambda x, y, z: x * x + y * y + z * z < 0.49),
        (
            Box((0.1, 0.2, 0.3), (0.7, 0.4, 0.5), 0.6),
            lambda x, y, z: (
                (abs(np.cos(0.6) * x + np.sin(0.6) * y) < 0.7)
                & (abs(np.cos(0.6) * y - np.sin(0.6) * x) < 0.4)
                & (abs(z) < 0.5)
            ),
        ),
        (
            Frustum((0.1, 0.2, 0.3), 0.9, 0.6, 0.25),
            lambda x, y, z: (z > 0) & (z < 0.9) & (np.hypot(x, y) < 0.6 - 0.35 / 0.9 * z),
        ),
    ],
    ids=["ball", "box", "frustum"],
)
def test_a_solid_is_met_where_marching_along_the_ray_meets_it(solid, inside):
    rng = np.random.default_rng(0)
    origin = rng.normal(size=(3, 400))
    origin = (2.5 * origin / np.linalg.norm(origin, axis=0)).astype(np.float32)
    direction = (rng.uniform(-0.7, 0.7, size=(3, 400)) - origin).astype(np.float32)
    found = solid.distance(origin, direction)
    steps = np.linspace(0, 3, 6001)
    march = origin[..., None] + direction[..., None] * steps - np.reshape([0.1, 0.2, 0.3], (3, 1, 1))
    within = inside(*march)
    met = within.any(axis=1)
    first = np.where(met, steps[within.argmax(axis=1)], np.inf)
    # A ray that only grazes an edge may pass between two marching steps.
    assert (np.isfinite(found) == met).mean() > 0.99
    both = np.isfinite(found) & met
    assert 50 < both.sum() < 400
    np.testing.assert_allclose(found[both], first[both], atol=1e-3)
    normal = solid.normal((origin + found * direction)[:, both])
    np.testing.assert_allclose(np.linalg.norm(normal, axis=0), 1, atol=1e-5)
    assert ((normal * direction[:, both]).sum(axis=0) < 1e-3).all()


def test_looking_only_where_a_solid_can_be_changes_nothing(monkeypatch):
    scenes = [scene_of(index) for index in range(10)]
    windowed = [trace(s, View(s.camera, 48, 64)) for s in scenes]
    monkeypatch.setattr(View, "window", lambda self, solid: (slice(None), slice(None)))
    for scene, hits in zip(scenes, windowed, strict=True):
        everywhere = trace(scene, View(scene.camera, 48, 64))
        for one, other in zip(hits, everywhere, strict=True):
            np.testing.assert_array_equal(one, other)


def test_light_changes_brightness_and_not_geometry():
    scene = scene_of(1)
    bright = replace(scene, light=replace(scene.light, strength=2 * scene.light.strength))
    view = View(scene.camera, 48, 64)
    before, after = trace(scene, view), trace(bright, view)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    dim, lit = reflected(scene, view, before), reflected(bright, view, after)
    assert (lit >= dim).all()
    assert (lit > 1.05 * dim).mean() > 0.3


def test_things_only_take_light_away_from_what_they_do_not_cover():
    darkened = 0
    for index in range(10):
        scene = scene_of(index)
        view = View(scene.camera, 48, 64)
        empty = replace(scene, things=())
        hits, bare = trace(scene, view), trace(empty, view)
        same = hits.depth == bare.depth
        furnished, lit = reflected(scene, view, hits)[:, same], reflected(empty, view, bare)[:, same]
        assert (furnished <= lit).all()
        darkened += (furnished < 0.9 * lit).mean()
    assert darkened > 0.1


def test_a_scene_has_few_objects_and_all_classes_occur(pictures):
    seen = {value for picture in pictures for value in np.unique(picture.label).tolist()}
    assert seen == set(range(len(CLASSES))) == set(range(13))
    for index in range(100):
        scene = scene_of(index)
        objects = {(thing.label, thing.material) for thing in scene.things}
        assert 1 <= len(objects) + len(scene.patches) <= MAX_OBJECTS


def test_a_finer_grid_shows_the_same_scene():
    coarse, fine = render(0, "train", 5, 64, 64), render(0, "train", 5, 192, 192)
    middle = fine.label[1::3, 1::3]
    assert (middle == coarse.label).all()
    np.testing.assert_allclose(fine.depth[1::3, 1::3], coarse.depth, rtol=1e-4)


# --- same numbers, same bytes


@pytest.mark.parametrize("form", FORMS)
def test_same_seed_same_bytes_and_images_do_not_depend_on_how_many_there_are(form, tmp_path):
    make(tmp_path / "a", form, 4, 24, 1)
    make(tmp_path / "b", form, 4, 24, 1)
    make(tmp_path / "more", form, 8, 24, 1)
    make(tmp_path / "other", form, 4, 24, 2)
    a, more, other = (contents(tmp_path / name) for name in ("a", "more", "other"))
    assert a == contents(tmp_path / "b")
    shared = [name for name in a if name not in (LISTS[form], "rooms.json")]
    assert len(shared) >= 16
    assert [name for name in shared if a[name] != more[name]] == []
    images = [name for name in shared if "img" in name or "/rgb/" in name]
    assert len({a[name] for name in images} | {other[name] for name in images}) == 2 * len(images)


def test_same_bytes_with_any_number_of_threads(tmp_path, monkeypatch):
    for count in (1, 5):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        make(tmp_path / str(count), "tiny_taxonomy", 6, (130, 132), 0)
    assert contents(tmp_path / "1") == contents(tmp_path / "5")


def test_what_version_1_looks_like(pictures):
    # Change VERSION in write.py whenever these have to change.
    assert np.mean([p.depth.mean() for p in pictures]) == pytest.approx(2.7371, rel=1e-3)
    assert np.mean([p.rgb.mean() for p in pictures]) == pytest.approx(124.52, rel=1e-3)
    np.testing.assert_allclose(
        class_weights(),
        [0.409, 0.833, 1.262, 1.804, 1.722, 2.274, 1.738, 1.666, 1.757, 2.049, 2.016, 1.368, 1.961],
        rtol=5e-3,
    )


# --- what lies on the disk


def test_list_and_files(made):
    form, root = made
    entries = json.loads((root / LISTS[form]).read_text())
    assert list(entries) == ["train", "test"]
    assert {k: len(v) for k, v in entries.items()} == split_sizes(14) == {"train": 13, "test": 1}
    prefix = {"nyuv2": lambda split: root, "tiny_taxonomy": lambda split: root / split}[form]
    paths = [prefix(split) / path for split, rows in entries.items() for row in rows for path in row]
    assert all(path.is_file() for path in paths)
    beside = {root / LISTS[form], root / "rooms.json", root / "semseg_prior_factor.npy"}
    assert {p for p in root.rglob("*") if p.is_file()} - beside == set(paths)
    if form == "nyuv2":
        assert entries["train"][7] == [
            "img/train_00007.png",
            "seg/train_00007.png",
            "normal_mask/train_00007.png",
            "depth/train_00007.npy",
        ]
        assert len({row[0] for rows in entries.values() for row in rows}) == 14
    else:
        domains = ["rgb", "segment_semantic", "normal", "depth_zbuffer", "keypoints2d", "edge_texture"]
        assert entries["test"][0] == [
            f"test_000/{domain}/point_0_view_0_domain_{domain.replace('t_s', 'ts')}.png" for domain in domains
        ]


def test_nyuv2_form_holds_the_picture(tmp_path):
    make(tmp_path / "r", "nyuv2", 14, (32, 48), 3)
    rows = json.loads((tmp_path / "r" / "nyu_v2_3task.json").read_text())["train"]
    for index, row in enumerate(rows):
        picture = render(3, "train", index, 32, 48)
        image, seg, normal = (read(tmp_path / "r" / path) for path in row[:3])
        depth = np.load(tmp_path / "r" / row[3])
        np.testing.assert_array_equal(image, picture.rgb)
        np.testing.assert_array_equal(seg, picture.label)
        np.testing.assert_array_equal(depth, picture.depth)
        assert (image.dtype, seg.dtype, normal.dtype, depth.dtype) == (
            np.uint8,
            np.uint8,
            np.uint8,
            np.float32,
        )
        assert depth.flags.f_contiguous
        assert not depth.flags.c_contiguous
        assert normal.max() <= 254
        x, y, z = picture.normal
        decoded = (normal.astype(float) - 127) / 127.5
        np.testing.assert_allclose(decoded, np.stack([x, z, -y], axis=-1), atol=0.0079)
        assert (normal[..., 2][seg == FLOOR] > 240).all()  # up
        assert (normal[..., 1][seg == FLOOR] <= 127).all()  # the camera looks down or straight ahead
        assert (normal[..., 1][(seg == WALL) & (z < -0.9)] < 13).all()  # towards the camera


def test_tiny_taxonomy_form_holds_the_picture(tmp_path):
    root = tmp_path / "r"
    make(root, "tiny_taxonomy", 8, (32, 48), 3)
    for index, row in enumerate(json.loads((root / "taskonomy.json").read_text())["train"]):
        picture = render(3, "train", index, 32, 48)
        image, seg, normal, depth, keypoints, edges = (read(root / "train" / path) for path in row)
        np.testing.assert_array_equal(image, picture.rgb)
        np.testing.assert_array_equal(seg, picture.label + 1)
        assert [a.dtype for a in (seg, normal, depth, keypoints, edges)] == [
            np.uint8,
            np.uint8,
            np.uint16,
            np.uint16,
            np.uint16,
        ]
        np.testing.assert_allclose(depth / 512, picture.depth, atol=1 / 1024 + 1e-6)
        decoded = normal / 127.5 - 1
        np.testing.assert_allclose(decoded, picture.normal.transpose(1, 2, 0), atol=0.004)
        assert not (normal == 128).all(axis=-1).any()
        assert (normal[..., 1][seg == FLOOR + 1] <= 7).all()
        np.testing.assert_array_equal(keypoints, keypoints2d(image))
        np.testing.assert_array_equal(edges, edge_texture(image))
    weights = np.load(root / "semseg_prior_factor.npy")
    assert (weights.dtype, weights.shape) == (np.float64, (13,))
    np.testing.assert_array_equal(weights, class_weights())


def test_rarer_classes_weigh_more_and_the_mean_weight_is_one(pictures):
    weights = class_weights()
    share = np.bincount(np.concatenate([p.label.ravel() for p in pictures]), minlength=13) / (100 * 64 * 64)
    assert weights.argmin() == share.argmax() == WALL
    assert np.corrcoef(weights, share)[0, 1] < -0.8
    assert (weights * share).sum() == pytest.approx(1, abs=0.05)
    assert ((weights > 0.3) & (weights < 10)).all()


# --- keypoints2d and edge_texture


def test_keypoints_and_edges_are_what_the_definition_says(pictures):
    image_module = pytest.importorskip("PIL.Image")
    for picture in pictures[:3]:
        image = np.asarray(image_module.fromarray(picture.rgb).convert("L")) / 255
        np.testing.assert_array_equal(grey(picture.rgb), image)
        surf = np.max([hessian_matrix_det(image, sigma=s) for s in keypoint_sigmas(64)], axis=0)
        np.testing.assert_array_equal(keypoints2d(picture.rgb), np.floor(surf.clip(0, 1) * 65535))
        # Repeating the border is another way not to see it as an edge; inside, the two agree.
        edges = sobel(gaussian(image, sigma=3, mode="nearest")) * 65535
        inner = (slice(13, -13), slice(13, -13))
        np.testing.assert_allclose(edge_texture(picture.rgb)[inner], edges[inner], atol=1.01)


def test_keypoint_scales_are_the_original_ones_where_images_are_large_enough():
    np.testing.assert_array_equal(keypoint_sigmas(480), np.linspace(1, 30, 10))
    assert keypoint_sigmas(64).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert keypoint_sigmas(16).tolist() == [1, 2]


def test_a_flat_image_has_neither_keypoints_nor_edges():
    flat = np.full((64, 64, 3), 200, np.uint8)
    assert (keypoints2d(flat)[13:-13, 13:-13] == 0).all()
    assert (edge_texture(flat) == 0).all()


def test_five_task_targets_are_neither_saturated_nor_constant(pictures):
    for transform, largest in ((keypoints2d, 0.005), (edge_texture, 0.08)):
        values = np.stack([transform(p.rgb) for p in pictures]) / 65536 / largest
        assert (values >= 1).mean() < 0.05
        assert 2 * values.clip(0, 1).std() > 0.25


# --- make


def test_make_reports_progress_and_does_nothing_the_second_time(tmp_path):
    calls = []
    make(tmp_path / "r", "nyuv2", 4, 16, 0, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    make(tmp_path / "r", "nyuv2", 4, 16, 0, lambda done, total: pytest.fail("made again"))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_make_refuses_a_folder_that_holds_something_else(tmp_path):
    make(tmp_path / "r", "nyuv2", 4, 16, 0)
    before = contents(tmp_path / "r")
    with pytest.raises(DataError, match=r"rooms.json.*'seed': 0.*'seed': 1"):
        make(tmp_path / "r", "nyuv2", 4, 16, 1)
    assert contents(tmp_path / "r") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="not a generated dataset"):
        make(tmp_path / "mine", "nyuv2", 4, 16, 0)
    assert contents(tmp_path / "mine") == {"thesis.tex": b"x"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file"):
        make(tmp_path / "file" / "r", "nyuv2", 4, 16, 0)


def test_make_fills_an_empty_folder(tmp_path):
    make(tmp_path, "nyuv2", 2, 16, 0)
    assert (tmp_path / "rooms.json").is_file()


def test_an_interrupted_make_leaves_nothing(tmp_path):
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "r", "nyuv2", 500, 16, 0, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_make_leaves_no_dataset_and_the_next_one_cleans_up(tmp_path):
    code = (
        "import pathlib, sys; from mtlbench.data.generated import make; from mtlbench.data.rooms import FORMS; "
        "make(pathlib.Path(sys.argv[1]), FORMS['nyuv2'], 100000, 16, 0, lambda d, t: print(d, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "r")], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGKILL)
    assert len([path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]) == 1
    (tmp_path / ".other.another-machine~b~1~2~3.tmp").mkdir()
    make(tmp_path / "r", "nyuv2", 4, 16, 0)
    assert {path.name for path in tmp_path.iterdir()} == {".other.another-machine~b~1~2~3.tmp", "r"}


def test_two_makers_of_the_same_folder(tmp_path):
    def second(done, total):
        with pytest.raises(BusyError, match="generating r: process"):
            make(tmp_path / "r", "nyuv2", 2, 16, 0)

    make(tmp_path / "r", "nyuv2", 2, 16, 0, second)
    make(tmp_path / "r", "nyuv2", 2, 16, 0, lambda done, total: pytest.fail("made twice"))
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 1}, "dataset.images=1"),
        ({"seed": -1}, "dataset.seed=-1"),
        ({"seed": 2**32}, "dataset.seed=4294967296"),
        ({"resolution": 15}, "dataset.resolution=15x15"),
        ({"resolution": (481, 640)}, "dataset.resolution=481x640"),
        ({"resolution": (480, 641)}, "dataset.resolution=480x641"),
    ],
)
def test_parameters_out_of_range(change, message, tmp_path):
    good = {"form": "nyuv2", "images": 4, "resolution": 16, "seed": 0}
    with pytest.raises(UsageError, match=message):
        make(tmp_path / "r", **(good | change))
    with pytest.raises(UsageError, match=message):
        default_root(tmp_path, **(good | change))
    assert list(tmp_path.iterdir()) == []


def test_splits_and_folder_names():
    assert split_sizes(2600) == {"train": 2400, "test": 200}
    assert split_sizes(4) == {"train": 3, "test": 1}
    assert split_sizes(2) == {"train": 1, "test": 1}
    outputs = Path("out")
    assert default_root(outputs, "nyuv2", 2600, 64, 0) == outputs / "rooms-v1-2600x64x64-s0"
    assert default_root(outputs, "tiny_taxonomy", 2, (480, 640), 7).name == "rooms5-v1-2x480x640-s7"


@pytest.mark.parametrize("form", FORMS)
def test_the_largest_size_works(form, tmp_path):
    make(tmp_path / "r", form, 2, (480, 640), 0)
    images = (tmp_path / "r").rglob("*.png")
    assert {read(p).shape[:2] for p in images} == {(480, 640)}
