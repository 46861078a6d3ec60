"""The alarm of an accuracy that no classifier can have."""

import numpy as np
import pytest

from mtlbench.scores.alarms import alarms, checks_frame, numbers_of
from mtlbench.scores.beyond_limit import beyond_limit
from mtlbench.storage.store import Cell
from tests.scores.test_alarms import MODEL

LIMITS = {"a": [0.7, 0.6], "b": [0.7, 0.5]}


def cell(right: dict[str, int], eps: float = 0.8, **more: object) -> Cell:
    """Ten inputs, of which so many are right in each task; half of them are of class 1."""
    identity = {**MODEL, "attack": "total", "step": "pgd", "steps": 1, "target": "all", "eps": eps, "norm": "l2"}
    identity |= {"tasks": list(right)} | more
    arrays = {"losses": np.ones((10, 2)), "rise": np.ones((10, 1)), "outside": np.zeros((10, 1))}
    arrays |= {"training_mode": np.zeros((10, 1))}
    for task, number in right.items():
        truth = np.repeat(np.eye(2), 5, 0)
        correct = truth * (np.arange(10) < number)[:, None]
        arrays[f"{task}/class_counts"] = np.concatenate([correct, truth, correct], 1)
    return Cell(identity, {"limits": LIMITS}, {task: ["accuracy"] for task in ("a", "b")}, arrays)


def test_the_task_that_is_farthest_beyond_its_limit_is_told():
    assert beyond_limit(cell({"a": 7, "b": 8})) == {"accuracy_left": 0.8, "accuracy_limit": 0.5}
    assert beyond_limit(cell({"a": 7, "b": 5})) == {"accuracy_left": 0.7, "accuracy_limit": 0.6}


@pytest.mark.parametrize(
    "sound",
    [
        cell({"a": 6, "b": 5}),
        cell({"a": 10, "b": 10}, eps=0.69),
        cell({"a": 10, "b": 10}, norm="linf"),
        cell({"a": 6}),
    ],
    ids=["within the limits", "smaller radius", "another norm", "the other task is not attacked"],
)
def test_other_cells_are_not(sound):
    assert beyond_limit(sound) == {}


def constant(zeros: int, ones: int, most: float) -> Cell:
    """A classifier that says class 0 of so many inputs of class 0 and 1, and the limit of the distribution."""
    truth, said = np.repeat(np.eye(2), [zeros, ones], 0), np.array([[1.0, 0.0]] * (zeros + ones))
    found = cell({"a": 0})
    found.provenance["limits"] = {"a": [0.7, most]}
    found.arrays["a/class_counts"] = np.concatenate([truth * said, truth, said], 1)
    return found


@pytest.mark.parametrize(
    ("zeros", "ones", "most"),
    [(7, 5, 1 - 5 / 12), (12, 4, 0.6), (119, 81, 1 - 5 / 12), (10, 0, 0.6)],
    ids=["rounding", "16 vectors of K=10", "200 vectors of K=12", "one class"],
)
def test_a_constant_classifier_is_within_the_limit(zeros, ones, most):
    """It keeps the share of its class among the inputs at every radius."""
    assert beyond_limit(constant(zeros, ones, most)) == {}


def test_a_larger_share_among_the_inputs_is_the_limit():
    found = constant(6, 4, most=0.5)
    found.arrays["a/class_counts"][-1, 1] = 1  # one input of class 1 is right as well
    assert beyond_limit(found) == {"accuracy_left": 0.7, "accuracy_limit": 0.6}


def test_noise_is_not_held_to_it():
    noise = cell({"a": 10, "b": 5}, attack="noise")
    frame = checks_frame([numbers_of(noise)])
    assert alarms(frame, frame[["cell"]].assign(arp_percent=[1.0])) == {}


def test_the_alarm():
    failed, arps = cell({"a": 10, "b": 5}), {"arp_percent": [1.0]}
    frame = checks_frame([numbers_of(failed)])
    (text,) = alarms(frame, frame[["cell"]].assign(**arps)).values()
    assert text == "alarm: accuracy 1.00 is beyond the limit: no classifier keeps more than 0.60"
