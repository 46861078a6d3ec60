"""The tiny models, batches and numbers that the reference implementation was run on (golden/README.md)."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mtlbench.tasks import (
    DEPTH,
    EDGE_TEXTURE,
    KEYPOINTS2D,
    NORMALS,
    SEGMENTATION,
    Task,
    five_tasks,
    three_tasks,
)
from tests.device import HERE, here

DATASETS = ("nyuv2", "tiny_taxonomy")
BATCH = 3  # images in a batch of the golden run: 3, then 2
BGR_MEAN = (104.00698793, 116.66876762, 122.67891434)
NAMES = {
    "segment_semantic": SEGMENTATION,
    "normal": NORMALS,
    "depth_zbuffer": DEPTH,
    "keypoints2d": KEYPOINTS2D,
    "edge_texture": EDGE_TEXTURE,
}
METRIC_NAMES = {
    "mIoU": "miou",
    "Pixel Acc": "pixel_accuracy",
    "Angle Mean": "angle_mean",
    "Angle Median": "angle_median",
    "Angle 11.25": "within_11.25",
    "Angle 22.5": "within_22.5",
    "Angle 30": "within_30",
    "abs_err": "abs_err",
    "rel_err": "rel_err",
    "sigma_1.25": "delta_1.25",
    "sigma_1.25^2": "delta_1.25^2",
    "sigma_1.25^3": "delta_1.25^3",
    "err": "cross_entropy",
    "cosine_similarity": "cosine_similarity",
    "key_err": "keypoint_err",
    "edge_err": "edge_err",
}

GoldenBatch = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]


FOLDER = Path(__file__).parent / "golden"


@cache
def _arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "attacks.npz") as file:
        return dict(file)


@cache
def golden_numbers() -> dict:
    """attacks.json, untranslated."""
    return json.loads((FOLDER / "attacks.json").read_text())


def golden_tasks(ds: str) -> tuple[Task, ...]:
    """The tasks of dataset `ds`, with the class weights of the golden run."""
    return three_tasks() if ds == "nyuv2" else five_tasks(_arrays()["tiny_taxonomy/semseg_prior_factor"].tolist())


class GoldenModel(nn.Module):
    """Two convolutions and a 1x1 head per task, on BGR pixels minus `BGR_MEAN`."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.c2 = nn.Conv2d(8, 8, 3, padding=1)
        self.heads = nn.ModuleDict({task.name: nn.Conv2d(8, task.channels, 1) for task in tasks})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.c2(self.c1(x).relu()).relu()
        return {name: head(features) for name, head in self.heads.items()}


def golden_model(ds: str) -> GoldenModel:
    """The model of dataset `ds` with its golden weights, frozen, in eval mode."""
    prefix = f"{ds}/weights/"
    weights = {}
    for key, array in _arrays().items():
        if key.startswith(prefix):
            part = key.removeprefix(prefix).split(".")
            weights[".".join(NAMES.get(p, p) for p in part)] = torch.from_numpy(array)
    model = GoldenModel(golden_tasks(ds))
    model.load_state_dict(weights)
    return model.to(**HERE).eval().requires_grad_(False)


def golden_batches(ds: str) -> list[GoldenBatch]:
    """The two batches: (input, targets, masks), targets and masks as in `Batch`, normals raw."""
    return [_batch(ds, f"{ds}/batch{i}/") for i in range(2)]


def _batch(ds: str, prefix: str) -> GoldenBatch:
    arrays = _arrays()
    targets = {
        ours: here(torch.from_numpy(arrays[prefix + theirs]))
        for theirs, ours in NAMES.items()
        if prefix + theirs in arrays
    }
    if ds == "tiny_taxonomy":
        targets[SEGMENTATION] = targets[SEGMENTATION].long()
    masks = {name: (target != 255).any(1, keepdim=True) for name, target in targets.items()}
    masks[NORMALS] = targets[NORMALS].amax(1, keepdim=True) != 255
    if ds == "nyuv2":
        masks[DEPTH] = targets[DEPTH] > 3e-5
    else:
        masks[NORMALS] &= here(torch.from_numpy(arrays[prefix + "normal_mask"]))[:, :1] == 1
        masks[DEPTH] &= here(torch.from_numpy(arrays[prefix + "depth_zbuffer_mask"])) == 1
    return here(torch.from_numpy(arrays[prefix + "input"])), targets, masks


def golden_perturbations(ds: str, attack: str) -> list[Tensor]:
    """x_adv - x in grey levels for each batch; `attack` is ``<step>/<objective>`` in its names."""
    return [here(torch.from_numpy(_arrays()[f"{ds}/adv{i}/{attack}"])) for i in range(2)]


def golden_attacks(ds: str) -> list[str]:
    """Every ``<step>/<objective>`` of the golden run."""
    return list(golden_numbers()[ds]["attacked"])


def golden_metrics(ds: str, attack: str | None) -> dict[tuple[str, str], float]:
    """(task, metric) -> the reference's number, in our names; None for the clean one. Losses are left out."""
    numbers = golden_numbers()[ds]
    metrics = numbers["clean"] if attack is None else numbers["attacked"][attack]["metrics"]
    return {
        (NAMES[task], _metric_name(ds, task, metric)): value
        for task, values in metrics.items()
        for metric, value in values.items()
        if metric != "loss"
    }


def _metric_name(ds: str, task: str, metric: str) -> str:
    if ds == "tiny_taxonomy" and task == "depth_zbuffer":
        return "log_depth_err"
    return METRIC_NAMES[metric]
