"""What the fast copy of a frozen model (`mtlbench.models.inference`) saves, and how far its rounding moves results.

    PYTHONPATH=. python scripts/fast_copy.py cost --threads 1
    PYTHONPATH=. python scripts/fast_copy.py attack --threads 1
    PYTHONPATH=. python scripts/fast_copy.py memory
    mtlbench train outputs=FOLDER; mtlbench train sharing=independent outputs=FOLDER
    PYTHONPATH=. python scripts/fast_copy.py rounding FOLDER [--images 32]

`cost` times one forward and one backward to the images as the model is, with its normalisations folded, with channels
last, and with both; `attack` times dgba with APGD on the model and on its copy. Rounds are interleaved, seconds are
CPU time of the process, and a factor is the median over the rounds, so that other work on the machine matters little.
`memory` counts the weights that the copy adds.
`rounding` attacks rooms with and without the copy, and compares ARP.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective, Single, Total
from mtlbench.attacks.random import PerImage
from mtlbench.attacks.steps import APGD, PGD
from mtlbench.constants import GREY_LEVELS
from mtlbench.data.batch import Batch
from mtlbench.data.loader import in_order
from mtlbench.data.nyuv2 import NYUv2
from mtlbench.engine.evaluate import Pass, cpu_block, evaluate
from mtlbench.engine.losses import TaskLosses
from mtlbench.engine.plan import Plan
from mtlbench.metrics import values
from mtlbench.models.backbone import Backbone
from mtlbench.models.checkpoint import load_weights
from mtlbench.models.deeplab_resnet34 import DeepLabResNet34
from mtlbench.models.inference import for_inference
from mtlbench.models.mobilenet_v2 import MobileNetV2
from mtlbench.models.model import MultiTaskModel
from mtlbench.models.sharing import BLOCKS, level
from mtlbench.models.tiny import Tiny
from mtlbench.models.tree_model import TreeModel, build
from mtlbench.tasks import Task, five_tasks, three_tasks
from scripts.gpu_check import percent_lost, random_batch, table

KINDS: dict[str, type[Backbone]] = {one.name: one for one in (Tiny, DeepLabResNet34, MobileNetV2)}
SHAPES = (
    ("tiny", 3, BLOCKS, 64, 32),
    ("tiny", 3, 0, 64, 32),
    ("deeplab_resnet34", 3, BLOCKS, 65, 4),
    ("deeplab_resnet34", 3, 0, 65, 4),
    ("mobilenet_v2", 3, BLOCKS, 65, 16),
    ("mobilenet_v2", 3, BLOCKS, 224, 4),
)
"""Backbone, tasks, shared blocks, side, batch."""

ATTACKED = (
    ("deeplab_resnet34", 3, BLOCKS, 65, 4),
    ("deeplab_resnet34", 5, BLOCKS, 65, 4),
    ("deeplab_resnet34", 3, 0, 65, 4),
)
MOVED, MOST = 1e-4, 1e-3
"""Relative change of a loss that moved, and of a metric that an audit does not accept."""
Action = Callable[[], object]


class AsItIs(TreeModel):
    """A tree model of which no fast copy is made."""


def factors(actions: Mapping[str, Action], rounds: int) -> dict[str, tuple[float, float]]:
    """Name -> median CPU seconds, and by what factor it is faster than the first, after one round to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            start = time.process_time()
            action()
            if number:
                taken[name].append(time.process_time() - start)
    first = next(iter(taken.values()))
    return {
        name: (median(found), median(a / b for a, b in zip(first, found, strict=True)))
        for name, found in taken.items()
    }


def forms(kind: str, tasks: int, shared: int) -> dict[str, MultiTaskModel]:
    """A model with random weights, as it is and in the forms of its copy."""
    found: dict[str, MultiTaskModel] = {}
    all_tasks = three_tasks(13) if tasks == 3 else five_tasks([1.0] * 17)
    for name, folds, last in (("as it is", 0, 0), ("folded", 1, 0), ("channels last", 0, 1), ("both", 1, 1)):
        backbone = KINDS[kind]()
        backbone.folds, backbone.channels_last = bool(folds), bool(last)
        model = build(backbone, level(tasks, shared), all_tasks, 0).eval().requires_grad_(False)
        found[name] = for_inference(model)
    return found


def floor(model: MultiTaskModel, images: Tensor) -> None:
    """One forward and one backward to the images."""
    x = images.clone().requires_grad_()
    torch.autograd.grad(sum((y.square().sum() for y in model(x).values()), start=x.new_zeros(())), x)


def cost(rounds: int) -> list[str]:
    """A row for each shape."""
    rows = []
    for kind, tasks, shared, side, images in SHAPES:
        x = torch.rand(images, 3, side, side, generator=torch.Generator().manual_seed(0))
        models = forms(kind, tasks, shared)
        found = factors({name: partial(floor, model, x) for name, model in models.items()}, rounds)
        about = kind, words(shared), f"{side}x{side}", str(images), f"{1000 * found['as it is'][0]:.0f}"
        rows.append([*about, *(f"{factor:.2f}" for _, factor in list(found.values())[1:])])
        print(" ".join(rows[-1]), flush=True)
    return table(("backbone", "sharing", "size", "batch", "ms as it is", "folded", "channels last", "both"), rows)


def run(model: MultiTaskModel, batch: Batch, tasks: Sequence[Task], steps: int) -> None:
    """One attack."""
    losses = TaskLosses(model, tasks, batch.targets, batch.masks)
    eps = torch.full((len(batch),), 8 / GREY_LEVELS)
    Attack(DGBA(), APGD(steps), tuple(tasks))(losses, batch.input, eps, PerImage(0, batch.names))


def attack(rounds: int, steps: int) -> list[str]:
    """Dgba with APGD: a row for each shape."""
    rows = []
    for kind, count, shared, side, images in ATTACKED:
        tasks = three_tasks(40) if count == 3 else five_tasks([1.0] * 17)
        model = build(KINDS[kind](), level(count, shared), tasks, 0).eval().requires_grad_(False)
        batch = random_batch(tasks, images, side)
        copies = {"as it is": model, "copy": for_inference(model)}
        found = factors({name: partial(run, one, batch, tasks, steps) for name, one in copies.items()}, rounds)
        about = kind, f"{words(shared)}, {count} tasks", f"{side}x{side}", str(images)
        rows.append([*about, *(f"{seconds:.2f}" for seconds, _ in found.values()), f"{found['copy'][1]:.2f}"])
        print(" ".join(rows[-1]), flush=True)
    return table(("backbone", "sharing", "size", "batch", "s as it is", "s copy", "times faster"), rows)


def memory() -> list[str]:
    """Weights of a model, and what its copy adds, in MiB of float32; a row for each backbone and two levels."""
    rows = []
    for kind, shared in product(KINDS, (BLOCKS, 0)):
        model = TreeModel(KINDS[kind](), level(3, shared), three_tasks(40)).eval()
        known = {one.data_ptr() for one in model.parameters()}
        added = [one for one in for_inference(model).parameters() if one.data_ptr() not in known]
        sizes = (sum(one.numel() for one in found) * 4 / 2**20 for found in (model.parameters(), added))
        rows.append([kind, words(shared), *(f"{size:.1f}" for size in sizes)])
    return table(("backbone", "sharing", "MiB", "MiB added"), rows)


def words(shared: int) -> str:
    """A level of sharing."""
    return {0: "independent", BLOCKS: "all-shared"}.get(shared, f"{shared} blocks")


def rounding(outputs: Path, images: int) -> list[str]:
    """ARP with and without the copy."""
    (root,) = (path for path in (outputs / "datasets").glob("rooms-*") if path.is_dir())
    data = NYUv2(root, "test", (64, 64), classes=13, normals="decoded", limit=images)
    block, device = cpu_block((64, 64)), torch.device("cpu")
    objectives: dict[str, tuple[Objective, tuple[int, ...]]] = {
        **{f"single:{task.name}": (Single(), (i,)) for i, task in enumerate(data.tasks)},
        "total": (Total(), (0, 1, 2)),
        "dgba": (DGBA(), (0, 1, 2)),
    }
    cells = [Plan("clean", None, 0.0)] + [
        Plan(f"{name} {step.name}, eps {eps:g}", Attack(objective, step, tuple(data.tasks[i] for i in which)), eps)
        for (name, (objective, which)), step, eps in product(objectives.items(), (PGD(10), APGD(10)), (4.0, 8.0))
    ]
    rows = []
    for name, shared in (("independent", 0), ("all_shared", BLOCKS)):
        model = build(Tiny(), level(3, shared), data.tasks, 0).eval()
        load_weights(model, outputs / "checkpoints" / f"rooms-tiny-{name}-clean-s0" / "model.safetensors")
        found = {}
        for kind in (AsItIs, TreeModel):
            model.__class__ = kind
            records = evaluate(Pass(model, data.tasks, cells, 0), in_order(data, block), device, len(data))
            found[kind] = {key: record.arrays() for key, record in records.items()}
        before, after = (percent_lost(data.tasks, found[kind]) for kind in (AsItIs, TreeModel))
        for cell in cells[1:]:
            old, new = (found[kind][cell.key]["losses"] for kind in (AsItIs, TreeModel))
            moved = (np.abs(new - old) > MOVED * np.abs(old)).any(1).sum()
            change = largest_change(data.tasks, *(found[kind][cell.key] for kind in (AsItIs, TreeModel)))
            difference = after[cell.key] - before[cell.key]
            numbers = f"{before[cell.key]:.3f}", f"{difference:+.4f}", f"{change:.1e}", str(moved)
            rows.append([words(shared), cell.key, *numbers])
            print(" ".join(rows[-1]), flush=True)
    head = ("sharing", "attack", "ARP as it is", "difference", "a metric", f"images moved, of {images}")
    return [*table(head, rows), "", summary(rows)]


def summary(rows: Sequence[Sequence[str]]) -> str:
    """All rows of `rounding` in a line."""
    differences, changes = ([float(row[column]) for row in rows] for column in (3, 4))
    mean, most = np.mean(differences), max(map(abs, differences))
    return (
        f"{len(rows)} cells: ARP differs by {mean:+.3f} in the mean, by {most:.2f} at most; in "
        f"{sum(change > MOST for change in changes)} a metric changes by more than {MOST:g}"
    )


def largest_change(tasks: Sequence[Task], before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> float:
    """Of a metric, relative."""
    old, new = (values(tasks, arrays, np.ones((1, len(arrays["losses"]))), "standard") for arrays in (before, after))
    return max(float(np.abs(new[name] / old[name] - 1).max()) for name in old)


def main() -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "attack", "memory", "rounding"))
    parser.add_argument("outputs", type=Path, nargs="?", help="of rounding")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="of attack")
    parser.add_argument("--images", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.what == "rounding":
        if given.outputs is None:
            parser.error("rounding: give the outputs folder with the two trained models")
        lines = rounding(given.outputs, given.images)
    else:
        timed = {"cost": lambda: cost(given.rounds), "attack": lambda: attack(given.rounds, given.steps)}
        lines = {**timed, "memory": memory}[given.what]()
    print("\n".join(lines))


if __name__ == "__main__":
    main()
