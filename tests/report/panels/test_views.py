"""From floats to colours."""

from typing import Any

import numpy as np
import pytest
import torch

from mtlbench.engine.masked import at_size as at_size_of_losses
from mtlbench.report.panels.palette import (
    CIVIDIS,
    CLASS_COLOURS,
    HATCH,
    INFERNO,
    RIGHT,
    WRONG,
    hatched,
    of_classes,
    of_numbers,
)
from mtlbench.report.panels.scale import class_legend
from mtlbench.report.panels.views import VIEWS, View, at_size
from scripts.class_colours import differences, seen

ALL = np.ones((1, 2), bool)


def view(holds: str, target: list[list[float]], *predictions: list[list[float]], **more: Any) -> View:
    """Of maps of 1 x 2 pixels, each given as channels of two values."""
    task = {"name": "t", "holds": holds, "unit": "", "labels": [], **more}
    return VIEWS[holds](task, two(target), ALL, [two(one) for one in predictions])


def two(channels: list[list[float]]) -> np.ndarray:
    return np.array(channels, np.float32)[:, None]


@pytest.mark.parametrize("sight", range(4))
def test_thirteen_classes_differ_under_every_sight(sight: int) -> None:
    labs = seen(CLASS_COLOURS[:13] / 255)
    assert min(differences(labs[:, :i], labs[:, i])[sight].min() for i in range(1, 13)) > 13.5


def test_forty_classes_differ_less() -> None:
    labs = seen(CLASS_COLOURS / 255)
    assert 7 < min(differences(labs[:, :i], labs[:, i]).min() for i in range(1, 40)) < 8


def test_no_two_classes_share_a_colour() -> None:
    assert len(np.unique(CLASS_COLOURS, axis=0)) == len(CLASS_COLOURS) == 40


@pytest.mark.parametrize("anchors", [CIVIDIS, INFERNO])
def test_scales_grow_lighter(anchors: np.ndarray) -> None:
    assert (np.diff(anchors @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_numbers_are_clipped_to_the_scale() -> None:
    colours = of_numbers(np.array([[-5.0, 0.0, 1.0, 9.0, np.nan]]), 0, 1, INFERNO)[0]
    assert np.array_equal(colours, INFERNO[[0, 0, -1, -1, 0]])


def test_a_constant_map_has_one_colour() -> None:
    assert np.array_equal(of_numbers(np.full((1, 1), 3.0), 3, 3, CIVIDIS)[0, 0], CIVIDIS[0])


def test_what_does_not_count_is_striped() -> None:
    drawn = hatched(np.zeros((4, 4, 3), np.uint8), np.eye(4, dtype=bool))
    assert np.array_equal(drawn[range(4), range(4)], np.zeros((4, 3)))
    assert np.array_equal(np.unique(drawn[~np.eye(4, dtype=bool)], axis=0), HATCH)


def test_class_errors() -> None:
    found = view("classes", [[0, 1]], [[0, 2]]).error(two([[0, 2]]))
    assert np.array_equal(found[0], [RIGHT, WRONG])


@pytest.mark.parametrize(
    ("ids", "note"),
    [([0, 12], ""), ([0, 13], "beyond 13 classes"), ([39], "colours are alike"), ([40], "repeat")],
)
def test_the_legend_says_when_colours_are_alike(ids: list[int], note: str) -> None:
    swatches, said = class_legend(np.array(ids), ["wall"])
    assert note in said
    assert bool(said) == bool(note)
    assert [one.name for one in swatches] == ["wall" if one == 0 else f"class {one}" for one in ids]


def test_classes_repeat_their_colours() -> None:
    assert np.array_equal(of_classes(np.array([[0, 40]]))[0, 0], of_classes(np.array([[0, 40]]))[0, 1])


def test_normals_are_coloured_by_their_direction_whatever_their_length() -> None:
    drawn = view("directions", [[0, 0], [0, 0], [1, 1]]).prediction(two([[0, 5], [0, 0], [-3, 0]]))
    assert drawn[0].tolist() == [[128, 128, 0], [255, 128, 128]]


@pytest.mark.parametrize(("normal", "degrees"), [([0, 0, 2], 0), ([1, 0, 1], 45), ([1, 0, 0], 90), ([0, 0, -1], 180)])
def test_angles(normal: list[float], degrees: float) -> None:
    found = view("directions", [[0, 0], [0, 0], [1, 1]]).difference(two([[v, v] for v in normal]).astype(float))
    assert found == pytest.approx(degrees)


def test_depth_is_drawn_over_the_range_of_the_ground_truth() -> None:
    found = view("values", [[1, 3]], unit="m")
    assert np.array_equal(found.prediction(two([[0, 9]]))[0], CIVIDIS[[0, -1]])
    assert found.bar is not None
    assert (found.bar.low, found.bar.high) == ("1", "3 m")


def test_errors_of_depth_end_at_one_metre() -> None:
    found = view("values", [[1, 3]], unit="m")
    assert np.array_equal(found.error(two([[1, 4]]))[0], INFERNO[[0, -1]])
    assert found.error_bar is not None
    assert found.error_bar.high == "1 m"


def test_errors_of_other_units_end_at_the_range() -> None:
    found = view("values", [[10, 30]], unit="mm").error_bar
    assert found is not None
    assert found.high == "20 mm"


def test_attributes_are_compared_as_probabilities() -> None:
    found = view("attributes", [[0, 1], [0, 1]]).difference(np.full((2, 1, 2), 0.0))
    assert found == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (16, 4)])
def test_maps_are_resampled_like_the_labels_of_a_loss(size: tuple[int, int]) -> None:
    values = np.arange(2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)
    assert np.array_equal(at_size(values, size), at_size_of_losses(torch.from_numpy(values)[None], size)[0].numpy())
