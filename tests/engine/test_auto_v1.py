"""The recipe `auto-v1` is frozen: its constants, its step rule, and what it climbs of every metric, as numbers.

What it climbs is computed anew here, in NumPy and double precision, with its temperatures written out.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlbench.api.attacks import FIXED
from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import Auto
from mtlbench.attacks.steps import MIMLinear
from mtlbench.constants import MIN_CLEAN
from mtlbench.data.batch import Batch
from mtlbench.engine import scale_free, smooth
from mtlbench.engine.losses import TaskLosses
from mtlbench.metrics import METRICS
from mtlbench.tasks import KINDS, Kind, Task
from tests.device import DEVICE

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("one_thread")]

FROZEN = "auto-v1 is frozen: whoever changes this makes auto-v2 and leaves auto-v1 as it is"

VALID = np.array([1, 1, 1, 1, 0], dtype=bool)
CLASSES = np.array([[0.0, 1, 2, 1, 0]])
CLEAN_LOGITS = np.array([[3.0, -1, 0, 0.5, 9], [1, 2, -2, 1, -9], [-1, 0, 2.5, 0, 0]])
LOGITS = np.array([[0.5, 1, 0, 0.5, 0], [1, 2, 1, -1, 0], [-1, 0, 1.5, 2, 5]])
DIRECTIONS = np.array([[0.0, 0, 1, 1, 0], [0, 0, 1, 0, 1], [1, 2, 0, 0, 0]])
SEEN_DIRECTIONS = np.array([[0.2, 1, 1, 1, 1], [0, 0.5, 0.8, 0.5, 0], [1, 2, 0, -0.3, 0]])
DEPTHS = np.array([[1.0, 2, 4, 2.5, 3]])
SEEN_DEPTHS = np.array([[1.1, 3, 3, -0.5, 1]])
LABELS = np.array([[1.0, 0, 1, 0, 0], [0, 0, 1, 1, 1]])
CLEAN_LABEL_LOGITS = np.array([[2.0, -1, 3, 1, 9], [-2, -1, 0.5, 1, 9]])
LABEL_LOGITS = np.array([[0.5, 1.5, 1, -2, 0], [-1, 0.3, -2, 1, 0]])
MAPS: dict[Kind, tuple[np.ndarray, np.ndarray, np.ndarray]] = {
    "classes": (CLEAN_LOGITS, LOGITS, CLASSES),
    "directions": (DIRECTIONS, SEEN_DIRECTIONS, DIRECTIONS),
    "values": (DEPTHS, SEEN_DEPTHS, DEPTHS),
    "attributes": (CLEAN_LABEL_LOGITS, LABEL_LOGITS, LABELS),
}
"""What a target holds -> clean prediction, attacked prediction and target, [channels, 5 pixels]; 4 are valid."""


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def of_classes() -> dict[str, float]:
    z, right = LOGITS[:, VALID], np.eye(3)[CLASSES[0, VALID].astype(int)].T
    raised = np.exp(z / (CLEAN_LOGITS[:, VALID].std(0).mean() / 3))
    p = raised / raised.sum(0)
    hit, truth, predicted = (p * right).sum(1), right.sum(1), p.sum(1)
    return {
        **dict.fromkeys(("pixel_accuracy", "token_accuracy", "accuracy", "error"), 1 - hit.sum() / 4),
        "miou": 1 - (hit / (truth + predicted - hit)).mean(),
        "macro_f1": 1 - (2 * hit / (truth + predicted)).mean(),
        "balanced_accuracy": 1 - (hit / truth).mean(),
        "cross_entropy": (np.log(np.exp(z).sum(0)) - (z * right).sum(0)).mean(),
    }


def of_directions() -> dict[str, float]:
    seen, truth = SEEN_DIRECTIONS[:, VALID], DIRECTIONS[:, VALID]
    cosine = (seen * truth).sum(0) / np.linalg.norm(seen, axis=0) / np.linalg.norm(truth, axis=0)
    angle = np.degrees(np.arccos(0.9999 * cosine))
    return {
        **dict.fromkeys(("angle_mean", "angle_median"), angle.mean()),
        **{f"within_{most:g}": 100 * sigmoid((angle - most) / 4).mean() for most in (11.25, 22.5, 30)},
        "cosine_similarity": 1 - cosine.mean(),
    }


def of_values() -> dict[str, float]:
    seen, truth = SEEN_DEPTHS[0, VALID], DEPTHS[0, VALID]
    error, off = np.abs(seen - truth), np.abs(np.log(np.maximum(seen / truth, 0.1)))
    thresholds = {"delta_1.25": 1.25, "delta_1.25^2": 1.5625, "delta_1.25^3": 1.953125}
    return {
        **dict.fromkeys(("abs_err", "log_depth_err", "keypoint_err", "edge_err", "mae"), error.mean()),
        "rmse": np.sqrt(np.square(error).mean()),
        "rel_err": (error / truth).mean(),
        **{name: 100 * sigmoid((off - np.log(most)) / 0.08).mean() for name, most in thresholds.items()},
    }


def of_attributes() -> dict[str, float]:
    others = np.where(LABELS == 1, -LABEL_LOGITS, LABEL_LOGITS)[:, VALID]
    return {"label_accuracy": sigmoid(others / (np.abs(CLEAN_LABEL_LOGITS[:, VALID]).mean() / 3)).mean()}


GOLDEN = of_classes() | of_directions() | of_values() | of_attributes()
"""Metric -> what stands for it."""


def image(values: np.ndarray) -> Tensor:
    """[1, channels, 1, 5], as precise as NumPy."""
    return torch.tensor(values, device=DEVICE)[None, :, None]


def climbed(metric: str) -> float:
    """What `auto` sees of an image whose only task has only this metric, of the clean value 2."""
    kind = KINDS.get(str(METRICS[metric].smooth), "values")
    clean, attacked, target = map(image, MAPS[kind])
    loss = {"classes": "cross_entropy", "directions": "cosine", "values": "l1", "attributes": "bce"}[kind]
    task = Task("one", clean.shape[1], loss, (metric,))
    batch = Batch(clean, {"one": target}, {"one": image(VALID[None])}, ("image",))

    def itself(x: Tensor, names: object) -> dict[str, Tensor]:
        return {"one": x}

    seen = TaskLosses.seen_by(Attack(Auto(), FIXED[Auto](), (task,)), itself, batch, lambda _: {("one", metric): 2.0})
    return Auto().score(seen(attacked)).item()


def test_its_constants() -> None:
    assert Auto().identity()["recipe"] == "auto-v1"
    assert (smooth.ANGLE, smooth.LOG_RATIO, scale_free.SOFT) == (4.0, 0.08, 3.0), FROZEN
    assert (smooth.SHORT_OF_1, smooth.SMALLEST_RATIO, MIN_CLEAN) == (0.9999, 0.1, 1e-6), FROZEN


def test_its_step_rule() -> None:
    step = FIXED[Auto]()
    assert isinstance(step, MIMLinear)
    assert step.identity() == {"name": "mim_linear", "steps": 100, "size": 2.0, "momentum": 0.5}, FROZEN
    assert [step.size_at(k) for k in range(100)] == pytest.approx([2 - k / 50 for k in range(100)]), FROZEN


@pytest.mark.parametrize("metric", GOLDEN)
def test_what_it_climbs(metric: str) -> None:
    assert climbed(metric) == pytest.approx(GOLDEN[metric] / 2, rel=1e-9), FROZEN


def test_the_tasks_count_alike() -> None:
    assert Auto().score(torch.tensor([[1.0], [1.0], [4.0]], device=DEVICE)).tolist() == [2.0], FROZEN


def test_every_metric_with_a_level_is_here() -> None:
    assert GOLDEN.keys() == {name for name, metric in METRICS.items() if metric.smooth}
    assert smooth.LEVELS.keys() <= {METRICS[name].smooth for name in GOLDEN}
