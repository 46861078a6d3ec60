"""Views are reproducible, stay in bounds, and move image and labels together."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.augment import Augment, View, resize_nearest, squash
from mtlbench.errors import UsageError

SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(SIZES, SIZES, st.integers(0, 2**40), st.integers(0, 10**6), st.integers(0, 10**6))
def test_same_seed_index_and_draw_give_the_same_view(
    size: tuple[int, int], crop: tuple[int, int], seed: int, index: int, draw: int
) -> None:
    state = np.random.get_state()[1].copy()
    assert Augment().view(size, crop, seed, index, draw) == Augment().view(size, crop, seed, index, draw)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_seed_index_and_draw_each_matter() -> None:
    arguments = [(s, i, d) for s in range(4) for i in range(4) for d in range(4)]
    scales = {Augment().view((100, 100), (32, 32), *a).scale for a in arguments}
    assert len(scales) == len(arguments)


@given(SIZES, SIZES, st.integers(0, 1000))
def test_crop_lies_inside_the_image_or_the_image_is_centred_in_it(
    size: tuple[int, int], crop: tuple[int, int], draw: int
) -> None:
    view = Augment().view(size, crop, 0, 0, draw)
    for scaled, corner, length in zip(view.scaled, view.corner, crop, strict=True):
        if scaled >= length:
            assert 0 <= corner <= scaled - length
        else:
            before, after = -corner, length - scaled + corner
            assert before >= 0
            assert after - before == (length - scaled) % 2
    assert view.covered().sum() == np.prod(np.minimum(view.scaled, crop))


def test_draws_follow_the_stated_distribution() -> None:
    views = [Augment().view((100, 100), (50, 50), 0, 0, draw) for draw in range(2000)]
    scales = np.array([view.scale for view in views])
    assert scales.min() >= 0.5
    assert scales.max() <= 1.5
    assert abs(scales.mean() - 1) < 0.03
    assert abs(np.mean([view.mirrored for view in views]) - 0.5) < 0.05
    # Every position of the crop occurs, the last one included.
    fixed = [Augment(1, 1).view((8, 8), (5, 5), 0, 0, draw).corner for draw in range(500)]
    assert {corner[0] for corner in fixed} == {0, 1, 2, 3}
    assert {corner[1] for corner in fixed} == {0, 1, 2, 3}


@given(SIZES, st.integers(0, 1000))
def test_scale_one_at_the_stored_size_only_flips(size: tuple[int, int], draw: int) -> None:
    array = np.arange(size[0] * size[1], dtype=np.float32).reshape(size)
    view = Augment(1, 1).view(size, size, 0, 0, draw)
    np.testing.assert_array_equal(view.image(array), array[:, ::-1] if view.mirrored else array)
    np.testing.assert_array_equal(view.labels(array, 0), view.image(array))
    assert not Augment(1, 1, mirror=False).view(size, size, 0, 0, draw).mirrored


@given(SIZES)
def test_mirroring_twice_is_the_identity(size: tuple[int, int]) -> None:
    array = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    mirror = View(scaled=size, mirrored=True, corner=(0, 0), crop=size)
    np.testing.assert_array_equal(mirror.image(mirror.image(array)), array)


@given(st.integers(0, 1000))
def test_image_and_labels_show_the_same_place(draw: int) -> None:
    # A ramp: its bilinear and its nearest resize agree to within the size of a pixel.
    rows, columns = np.mgrid[:40, :50].astype(np.float32)
    view = Augment().view((40, 50), (32, 32), 0, 0, draw)
    for ramp in (rows, columns):
        difference = np.abs(view.image(ramp) - view.labels(ramp, 0))[view.covered()]
        assert difference.max() <= max(1, 1 / view.scale) + 0.01


@pytest.mark.parametrize(("stored", "wanted"), [((480, 640), (321, 321)), ((512, 512), (256, 256)), ((7, 5), (9, 11))])
def test_labels_are_sampled_at_floor_of_i_in_over_out(stored: tuple[int, int], wanted: tuple[int, int]) -> None:
    array = np.arange(stored[0] * stored[1], dtype=np.int32).reshape(stored).astype(np.float32)
    rows, columns = (np.arange(n) * m // n for n, m in zip(wanted, stored, strict=True))
    np.testing.assert_array_equal(resize_nearest(array, wanted), array[rows][:, columns])


def test_uint8_images_are_rounded_by_the_resize_as_in_the_reference() -> None:
    array = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert squash((32, 32)).image(array).dtype == np.uint8
    np.testing.assert_array_equal(squash((32, 32)).image(array), cv2.resize(array, (32, 32)))
    np.testing.assert_array_equal(squash((48, 64)).image(array), array)


@pytest.mark.parametrize("scales", [(0, 1), (-1, 1), (1.5, 0.5), (1, 1000), (float("nan"), 1)])
def test_impossible_scales_are_refused(scales: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="scale_min="):
        Augment(*scales)
