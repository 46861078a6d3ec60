"""Stored cells of made-up numbers, of any names: what a page must be able to show."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.storage.outputs import Outputs
from mtlbench.storage.store import Cell

IMAGES = 12
TASKS = ("depth", "normals", "segmentation")
NONE = {"attack": "none", "objective": {}, "tasks": [], "step": "-", "steps": 0, "step_options": {}, "eps": 0.0}
MADE = {
    "time": "2026-11-27T10:00:00+00:00",
    "commit": "0123456789abcdef",
    "versions": {"python": "3.11.2", "torch": "2.11.0", "mtlbench": "0.9"},
    "device_name": "a fast device",
    "host": "hostname-of-somebody",
    "gradients_per_image": 10,
    "recipe": None,
    "config": {"dataset": {"root": "/home/somebody/data"}, "outputs": "/home/somebody/outputs"},
}


def cell(damage: float, of: Sequence[str] = TASKS, noise: float = 0.05, **identity: Any) -> Cell:
    """A cell whose tasks have a mean error of 1 + `damage`, so that `damage` is the relative drop.

    Args:
        damage: a fraction; NaN gives a task without a valid pixel.
        of: names of the tasks; each has one error metric.
        noise: by which the errors of the images differ, on the scale of their logarithm.
        **identity: other than those of dgba at eps 8 on an all-shared model of three tasks.
    """
    usual = {
        "dataset": "rooms",
        "split": "test",
        "fingerprint": "f" * 24,
        "n_images": IMAGES,
        "model": "tiny",
        "sharing": "all_shared",
        "shared_blocks": 5,
        "tree": "all_shared",
        "training": "clean",
        "seed": 0,
        "attack": "dgba",
        "objective": {"name": "dgba"},
        "target": "all",
        "tasks": list(of),
        "step": "pgd",
        "steps": 10,
        "step_options": {"steps": 10},
        "eps": 8.0,
        "weights": "0" * 24,
    }
    seen = {**usual, **identity}
    random = np.random.default_rng(zlib.crc32(f"{seen['attack']} {seen['eps']} {seen['sharing']}".encode()))
    arrays: dict[str, np.ndarray] = {"losses": np.ones((IMAGES, len(of)))}
    for task in of:
        errors = (1 + damage) * np.exp(random.normal(0, noise, IMAGES))
        rows = np.zeros((IMAGES, 9))
        rows[:, 0], rows[:, 1] = (0, 0) if np.isnan(damage) else (1, errors)
        arrays[f"{task}/depth_sums"] = rows
    return Cell(seen, MADE, {task: ["abs_err"] for task in of}, arrays)


def clean(of: Sequence[str] = TASKS, **identity: Any) -> Cell:
    """The clean cell of the same model."""
    return cell(0, of, **{**identity, **NONE})


def outputs(folder: Path, *cells: Cell) -> Outputs:
    """An outputs folder that holds these cells."""
    found = Outputs(folder)
    for one in cells:
        found.store.save(one)
    return found


def study() -> list[Cell]:
    """Two models under dgba, total and an attack on each task, at two eps."""
    found = []
    for sharing, blocks, transfer in (("independent", 0, 0.05), ("all_shared", 5, 0.6)):
        model: dict[str, Any] = {
            "sharing": sharing,
            "shared_blocks": blocks,
            "tree": sharing,
            "weights": sharing.ljust(24, "0"),
        }
        found.append(clean(**model))
        for eps in (4.0, 8.0):
            found.append(cell(0.06 * eps, **model, eps=eps))
            found.append(cell(0.05 * eps, **model, eps=eps, attack="total", objective={"name": "total"}))
            for task in TASKS:
                found.append(single(task, 0.08 * eps, transfer, **model, eps=eps))
    return found


def single(task: str, damage: float, transfer: float, of: Sequence[str] = TASKS, **identity: Any) -> Cell:
    """An attack on one task that hurts the others by `transfer` of what it does to its own."""
    about = {"attack": "single", "objective": {"name": "single"}, "target": task, "tasks": [task]}
    own, others = (cell(share * damage, of, **{**identity, **about}) for share in (1.0, transfer))
    mixed = {name: own.arrays[name] if name.startswith(task) else array for name, array in others.arrays.items()}
    return Cell(own.identity, own.provenance, own.tasks, mixed)
