"""The sketch of a fine histogram has its median, and next to nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.metrics.normals import fine_median
from mtlbench.metrics.sketch import FINE, sketch, sketched

COUNTS = st.lists(st.integers(0, 5), min_size=4, max_size=40).map(lambda counts: np.array([*counts, 0]))


@given(COUNTS)
def test_the_median_is_the_same(counts: np.ndarray) -> None:
    assert np.array_equal(fine_median(sketch(counts)), fine_median(counts), equal_nan=True)


@given(COUNTS)
def test_it_is_small_and_counts_every_pixel(counts: np.ndarray) -> None:
    small = sketch(counts)
    assert (len(small), small.sum()) == (len(counts), counts.sum())
    assert np.count_nonzero(small) <= 4
    assert np.array_equal(sketch(small), small)


def test_pixels_whose_angle_is_not_known_stay_counted() -> None:
    assert sketch(np.array([0, 2, 9, 1, 0, 3])).tolist() == [2, 0, 9, 0, 1, 3]
    assert np.isnan(fine_median(sketch(np.array([0, 2, 9, 1, 0, 3]))))


def test_other_arrays_stay() -> None:
    arrays = {f"normals/{FINE}": np.array([0, 1, 2, 3, 0]), "normals/angle_sums": np.array([0.0, 1, 2, 3, 0])}
    found = sketched(arrays)
    assert found["normals/angle_sums"] is arrays["normals/angle_sums"]
    assert found[f"normals/{FINE}"].tolist() == [1, 0, 2, 3, 0]
