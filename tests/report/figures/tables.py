"""Tidy tables with numbers of any kind."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

MODEL = {"dataset": "rooms", "model": "tiny", "training": "clean", "n_images": 100, "scores": "standard"}
TASKS = ("segmentation", "normals", "depth")


def tables(
    attacks: Sequence[str] = ("dgba", "total"),
    tasks: Sequence[str] = TASKS,
    sharings: Sequence[str] = ("independent", "all_shared"),
    eps: Sequence[float] = (4.0, 8.0),
    seeds: Sequence[int] = (0,),
) -> dict[str, pd.DataFrame]:
    """Tables arp, damage and transferability of `attacks` and of one attack on each single task."""
    random = np.random.default_rng(0)
    arps: list[dict[str, object]] = []
    damages: list[dict[str, object]] = []
    transfers: list[dict[str, object]] = []
    for level, sharing in enumerate(sharings):
        for attack, target in [*((name, "all") for name in attacks), *(("single", task) for task in tasks)]:
            for value in eps:
                for seed in seeds:
                    row = MODEL | {"sharing": sharing, "shared_blocks": level, "attack": attack, "target": target}
                    row |= {"step": "pgd", "steps": 10, "eps": value, "seed": seed}
                    hurt = {task: value * (1 + level) + random.normal(0, 0.3) for task in tasks}
                    for table, name, found in (
                        (arps, "arp_percent", {"": float(np.mean(list(hurt.values())))}),
                        (damages, "damage_percent", hurt),
                    ):
                        for task, number in found.items():
                            about = {"status": "ok"} if task == "" else {"task": task}
                            ends = {"ci_low": number - 1, "ci_high": number + 1}
                            table.append({**row, **about, name: number, **ends, "cell": "c"})
                    if attack == "single":
                        for other in (*(task for task in tasks if task != target), "mean"):
                            transfers.append({**row, **ratios(random.uniform(0, 1)), "source": target})
                            transfers[-1] |= {"destination": other, "cell": "c"}
    return {"arp": pd.DataFrame(arps), "damage": pd.DataFrame(damages), "transferability": pd.DataFrame(transfers)}


def ratios(value: float) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("ratio", "normalised"):
        found |= {"ratio" if name == "ratio" else "normalised_ratio": value}
        found |= {f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
    gain = {"gain_vs_independent": 1.0, "gain_low": 1.0, "gain_high": 1.0}
    return found | gain | {"status": "ok", "normalised_status": "ok"}
