"""Wide frames written down by hand."""

import numpy as np
import pandas as pd

CLEAN = {
    ("segmentation", "miou"): 0.5,
    ("segmentation", "pixel_accuracy"): 0.8,
    ("depth", "abs_err"): 0.4,
    ("normals", "cosine_similarity"): 0.9,
}
CELL = {
    "dataset": "rooms",
    "split": "test",
    "model": "tiny",
    "training": "clean",
    "sharing": "all_shared",
    "shared_blocks": 5,
    "attack": "dgba",
    "step": "pgd",
    "steps": 10,
    "step_size": 0.1,
    "target": "all",
    "eps": 8.0,
    "seed": 0,
    "n_images": 4,
    "scores": "standard",
}
NONE = {"attack": "none", "step": "none", "steps": 0, "eps": 0.0}


def rows(values, **identity):
    """Long rows of one cell: (task, metric) -> value or replicates."""
    cell = CELL | identity
    cell.setdefault("cell", str(sorted((k, str(v)) for k, v in cell.items())))
    return [cell | {"task": t, "metric": m, "values": np.atleast_1d(v)} for (t, m), v in values.items()]


def wide(*parts):
    """A wide frame of the rows of several cells."""
    every = [row for part in parts for row in part]
    keys = pd.DataFrame([{k: v for k, v in row.items() if k != "values"} for row in every])
    return pd.DataFrame(np.array([row["values"] for row in every], dtype=float), index=pd.MultiIndex.from_frame(keys))


def by(frame, *names):
    """Column 0 by the values of some levels."""
    keys = [frame.index.get_level_values(name) for name in names]
    return dict(zip(zip(*keys, strict=True) if len(names) > 1 else keys[0], frame[0], strict=True))


def damages(values, **identity):
    """Rows of damage in percent, through metrics whose clean value is 1 and whose lower value is worse."""
    names = {"segmentation": "miou", "depth": "delta_1.25", "normals": "cosine_similarity"}
    attacked = {(task, names[task]): 1 - percent / 100 for task, percent in values.items()}
    return rows(dict.fromkeys(attacked, 1.0), **(identity | NONE | {"target": "all"})) + rows(attacked, **identity)
