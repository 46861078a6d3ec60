"""Saved images made up for tests of panels."""

from typing import Any

import numpy as np

from mtlbench.report.panels import Gallery, panels
from mtlbench.storage.images import SavedImages
from mtlbench.storage.outputs import Outputs

NASTY = "</script><img src=x onerror=alert(1)>'\"& {{ 7*7 }}"
IMAGES, HEIGHT, WIDTH, EPS = 3, 6, 8, 8 / 255


def task(name: str, holds: str, channels: int, **more: Any) -> dict[str, Any]:
    usual = {"per_image": False, "unit": "", "labels": []}
    return {"name": name, "holds": holds, "channels": channels, **usual, **more}


FIVE = [
    task("segmentation", "classes", 4, labels=["wall", NASTY, "door"]),
    task("normals", "directions", 3),
    task("depth", "values", 1, unit="m"),
    task("defect", "classes", 3, per_image=True, labels=["good", NASTY]),
    task(f"tags {NASTY}", "attributes", 2, per_image=True),
]


def arrays(tasks: list[dict[str, Any]], attacked: float, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, Any]:
    """Of one cell, with targets; the attacked images differ by up to `attacked`."""
    random = np.random.default_rng(0)
    image = random.random((IMAGES, 3, *size)).astype(np.float32) * 0.9 + 0.05
    found = {"image": image + np.float32(attacked) * np.sign(random.random(image.shape) - 0.5).astype(np.float32)}
    for one in tasks:
        h, w = (1, 1) if one["per_image"] else size
        ids = one["holds"] == "classes"
        channels = 1 if ids and not one["per_image"] else one["channels"]
        values = random.normal(size=(IMAGES, channels, max(h // 2, 1), max(w // 2, 1)))
        found[f"prediction/{one['name']}"] = (
            (np.abs(values * 9) % one["channels"]).astype(np.int16)
            if ids and not one["per_image"]
            else values.astype(np.float32)
        )
        target = random.normal(size=(IMAGES, 1 if ids else one["channels"], h, w)).astype(np.float32)
        whole = ids or one["holds"] == "attributes"
        found[f"target/{one['name']}"] = (target > 0).astype(np.uint8) if whole else target
        mask = np.ones((IMAGES, 1, h, w), bool)
        mask[2, :, 0, 0] = False
        found[f"mask/{one['name']}"] = mask
    return found


def write(outputs: Outputs, attacks: dict[str, float], tasks: list[dict[str, Any]] | None = None, **more: Any) -> None:
    """The files of a clean cell and of some attacks: key -> loss."""
    tasks = FIVE if tasks is None else tasks
    about = {
        "clean": "clean",
        "names": ["one", NASTY, "three"],
        "roles": ["worst", "median", "best"],
        "ranks": [1, 2, 3],
        "over": len(attacks),
        "n_images": 3,
        "tasks": tasks,
    }
    for key, loss in {"clean": 1.0, **attacks}.items():
        losses = {name: [[loss] * len(tasks)] * IMAGES for name in ("losses", "losses_rounded", "losses_of_cell")}
        found = arrays(tasks, 0.0 if key == "clean" else EPS, **more)
        outputs.images.save("set", SavedImages(key, {**about, **losses}, found))


def identity(attack: str, **more: Any) -> dict[str, Any]:
    usual = {"dataset": "d", "model": "m", "sharing": "s", "training": "clean", "seed": 0, "target": "all", "eps": 8.0}
    step = {"step": "pgd", "steps": 2, "step_options": {}}
    return {**usual, **step, "attack": attack, "objective": {"name": attack}, **more}


def gallery(outputs: Outputs, *attacks: str) -> Gallery:
    return panels(outputs.images, {"clean": identity("none", eps=0.0), **{key: identity(key) for key in attacks}})
