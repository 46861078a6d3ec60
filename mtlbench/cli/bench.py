"""`mtlbench bench`: the cost table of a model, tree and batch size, in the terminal and as CSV."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import torch
from rich.table import Table

from mtlbench.attacks.attack import Attack
from mtlbench.attacks.objectives import DGBA, Objective
from mtlbench.attacks.steps import APGD, Step
from mtlbench.config.build import build
from mtlbench.config.dataset import dataset_root, known_tasks, open_dataset
from mtlbench.config.model import build_backbone, choose_device, sharing_tree
from mtlbench.data.loader import in_order
from mtlbench.engine import precision
from mtlbench.engine.timing import ENGINE, NAIVE, Timing, peak_memory_mib, run, whole_pass
from mtlbench.errors import UsageError
from mtlbench.experiment import provenance
from mtlbench.models.inference import for_inference
from mtlbench.models.tree_model import build as build_model
from mtlbench.options import whole
from mtlbench.reference import NaiveDGBA
from mtlbench.report.terminal import console, progress_bar
from mtlbench.storage.files import write_atomically
from mtlbench.storage.outputs import Outputs
from mtlbench.tasks import Task


def bench(config: Mapping[str, Any]) -> None:
    """Time the configured model with random weights on images of the configured dataset."""
    device, size = choose_device(config), config["batch_size"]
    precision.check(config["precision"])
    whole(config["repeats"], "repeats")
    objectives, steps = _chosen(config, "objectives"), _chosen(config, "steps")
    backbone, known = build_backbone(config), known_tasks(config)
    if known is not None:
        sharing_tree(config, len(known), backbone.blocks)  # refuses what is wrong before any rooms are made
    with progress_bar(f"generate {config['dataset']['name']}") as progress:
        root = dataset_root(config, progress)
    data = open_dataset(config, "test", root, limit=config["limit"])
    tree = sharing_tree(config, len(data.tasks), backbone.blocks)
    model = build_model(backbone, tree, data.tasks, config["seed"], device).eval()
    batch = next(iter(in_order(data, size))).to(device)
    attacks, dgba = _attacks(objectives, steps, data.tasks), Attack(DGBA(), APGD(), data.tasks)
    with progress_bar("bench") as progress, precision.computing_in(config["precision"], model):
        fast = for_inference(model)
        if config["compile"]:
            fast.compile()
        timings = run(model, fast, data.tasks, batch, attacks, NaiveDGBA(), config["repeats"], progress)
        summary = whole_pass(fast, data.tasks, lambda: list(in_order(data, size)), dgba, device)
    summary["peak_memory_mib"] = max(peak_memory_mib(device), *(timing.peak_mib for timing in timings))
    about = {
        "model": model.backbone.name,
        "sharing": tree.name,
        "tasks": len(data.tasks),
        "resolution": "x".join(map(str, batch.input.shape[-2:])),
        "batch_size": len(batch),
        "precision": config["precision"],
        "threads": torch.get_num_threads(),
        "device": provenance.device_name(device),
    }
    frame = pd.DataFrame([about | asdict(timing) for timing in timings])
    name = "-".join(str(about[k]) for k in ("model", "sharing", "tasks", "resolution", "batch_size", "precision"))
    folder = Outputs.of(config).bench
    write_atomically(folder / f"{name}.csv", frame.to_csv(index=False))
    write_atomically(folder / f"{name}-pass.csv", pd.DataFrame([about | summary]).to_csv(index=False))
    _show(about, timings, summary)


def _attacks(
    objectives: Mapping[str, Objective], steps: Mapping[str, Step], tasks: tuple[Task, ...]
) -> dict[str, Attack]:
    """Every chosen objective with every chosen step rule."""
    found: dict[str, Attack] = {}
    for name, objective in objectives.items():
        seen = tasks[:1] if name == "single" else tasks
        found |= {f"{name} {step_name}": Attack(objective, step, seen) for step_name, step in steps.items()}
    return found


def _chosen(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Name -> what is built of its entry in the catalogue."""
    catalogue, chosen = config["catalogue"], config[kind]
    if not isinstance(catalogue, Mapping) or not isinstance(catalogue.get(kind), Mapping):
        raise UsageError(f"catalogue={catalogue}: expected objectives and steps by name")
    known = catalogue[kind]
    if not isinstance(chosen, list) or not all(isinstance(name, str) and name in known for name in chosen):
        raise UsageError(f"{kind}={chosen}: expected a list of {', '.join(known)}")
    return {name: build(known[name], config["plugins"]) for name in chosen}


def _show(about: Mapping[str, Any], timings: Sequence[Timing], summary: Mapping[str, float]) -> None:
    out = console()
    out.print(", ".join(f"{key} {value}" for key, value in about.items()), soft_wrap=True)
    table = Table()
    for column in ("item", "steps", "seconds", "per step", "x floor"):
        table.add_column(column, justify="left" if column == "item" else "right")
    for row in timings:
        table.add_row(row.item, str(row.steps), f"{row.seconds:.3f}", f"{row.per_step:.4f}", f"{row.floors:.2f}")
    out.print(table)
    seconds = {row.item: row.seconds for row in timings}
    out.print(f"dgba with APGD-10: {seconds[NAIVE] / seconds[ENGINE]:.2f} times faster than the naive form")
    out.print(
        f"whole pass, dgba with APGD-10: {summary['images_per_second']:.2f} images/s, "
        f"of which loading {100 * summary['loading_share']:.2f} %, metrics {100 * summary['metrics_share']:.2f} %, "
        f"attack and checks {100 * (1 - summary['loading_share'] - summary['metrics_share']):.1f} %; "
        f"peak memory {summary['peak_memory_mib']:.0f} MiB"
    )
