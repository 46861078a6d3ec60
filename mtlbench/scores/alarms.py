"""Alarms that distinguish a broken attack from a robust model, from diagnostics of each cell.

Sources: the checks of AutoAttack and RobustBench, and the failures listed by Carlini et al. 2019 (arXiv 1902.06705).
A NaN always raises an alarm and never counts as robust.
"""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK, SMALLEST_LOSS
from mtlbench.scores.beyond_limit import ACCURACY, MOST, beyond_limit
from mtlbench.scores.damage import arp, damage, relative_drops
from mtlbench.scores.frame import names
from mtlbench.scores.gradient_free import GAIN, GAIN_LOW
from mtlbench.scores.wide import IDENTITY, SAME_MODEL, levels
from mtlbench.storage.store import Cell

NOISE = "noise"
MAX_NOT_RISEN = 0.05
"""Share of images without a rise of the attacked objective above which an alarm is raised."""

MAX_ZERO_GRADIENT = 0.5
MAX_SATURATED = 0.1
"""Share of a task's clean pixels or images without a gradient of cross-entropy. With 29 % of them an attack lost a
fifth of its ARP, with 97 % half of it."""

SCALE_FREE = ("class_margin", "dlr", "label_margin")
"""Losses whose gradient a confident head keeps."""

MAX_OUTSIDE = 1e-3
"""Grey levels; float32 rounding stays below it."""

MAX_GAIN = 5.0
"""Percent that twice the steps may gain (`scores.converged`) before an attack counts as not converged."""

MAX_FALL = 1.0
"""Percentage points by which ARP may fall from one eps to the next."""

ROWS_AT_ONCE = 5000
"""Rows that are dictionaries at the same time; 5 kB each."""

SAME_ATTACK = tuple(n for n in dict.fromkeys((*IDENTITY, *SAME_MODEL)) if n not in ("eps", "scores"))


def checks_frame(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """The table of the rows of `numbers_of`, sorted."""
    frame = pd.DataFrame(rows)
    by = [*SAME_ATTACK, "eps", "options"]
    return frame if frame.empty else frame.sort_values(by, kind="stable", ignore_index=True)


def numbers_of(cell: Cell) -> dict[str, object]:
    """Identity of a cell, and its diagnostics, from which alarms are derived.

    ``not_risen`` share of images, ``outside`` distance beyond ball or box, in the unit of eps; ``nonfinite`` share of
    images with a non-finite loss, ``no_valid_pixel`` share of images that lack a valid pixel for some task,
    ``tiny_loss`` share of images with a loss above 0 but below the clamp of 1 / L, ``training_mode``;
    ``zero_gradient`` and ``nonfinite_gradient`` of the clean images, of the worst task; ``saturated`` share of their
    pixels whose logits leave cross-entropy no gradient, of the worst task, and ``saturated_tasks`` those above the
    limit (older cells have neither); ``l2`` (grey levels), ``psnr`` (dB) and ``ssim`` of the perturbation of images,
    means; ``gradients_per_image`` and ``forwards_per_image`` (older cells lack it) are the attack's cost.
    `beyond_limit` adds its columns.
    """
    arrays = cell.arrays
    losses = arrays["losses"]
    identity = names(cell)
    # Cells that differ only in an option, such as a step size, are different attacks.
    row: dict[str, object] = {name: identity.get(name) for name in (*SAME_ATTACK, "norm", "eps", "options")}
    row |= {"cell": cell.key, "nonfinite": float((~np.isfinite(losses)).any(1).mean())}
    row["gradients_per_image"] = cell.provenance.get("gradients_per_image", 0)
    row["transferred"] = "made_on" in cell.identity
    row["forwards_per_image"] = cell.provenance.get("forwards_per_image")
    # A loss of exactly 0 means that an image has no valid pixel (see `losses`), so the attack has nothing to increase.
    empty = losses == 0
    row["no_valid_pixel"] = float(empty.any(1).mean())
    row["tiny_loss"] = float(((losses < SMALLEST_LOSS) & ~empty).any(1).mean())
    if "rise" in arrays:
        climbed = ~empty[:, _attacked(cell)].all(1)
        row["not_risen"] = float((~(arrays["rise"][climbed] > 0)).mean()) if climbed.any() else 0.0
        row["outside"] = float(np.nanmax(arrays["outside"], initial=0))
        row |= {name: float(arrays[name].mean()) for name in ("l2", "psnr", "ssim") if name in arrays}
        row["training_mode"] = bool(arrays["training_mode"].any())
    if "gradient_zero" in arrays:
        row["zero_gradient"] = float(arrays["gradient_zero"].mean(0).max())
        row["nonfinite_gradient"] = float(arrays["gradient_nonfinite"].mean(0).max())
    if "saturated" in arrays:
        row |= _saturated(cell)
    if cell.identity.get("random"):
        row["single_draw"] = cell.identity.get("eot", 1) == 1 and row["gradients_per_image"] != 0
    row |= {"climbs_raw": _climbs_raw(cell), **beyond_limit(cell)}
    if "eps_unit" in cell.identity:
        row["eps_unit"] = cell.identity["eps_unit"]
    return row


def _climbs_raw(cell: Cell) -> list[str]:
    """The attacked tasks whose own loss an attack climbs, on logits as they are."""
    objective, tasks = cell.identity.get("objective") or {}, list(cell.tasks)
    if cell.identity.get("logits") == "normalised" or objective.get("metrics"):
        return []
    other = objective.get("loss") or {}
    return [tasks[i] for i in _attacked(cell) if other.get(tasks[i]) not in SCALE_FREE]


def _saturated(cell: Cell) -> dict[str, object]:
    """Share of the worst task, and the tasks above the limit."""
    shares = cell.arrays["saturated"].mean(0)
    tasks = [task for task, share in zip(cell.tasks, shares, strict=True) if share > MAX_SATURATED]
    return {"saturated": float(shares.max()), "saturated_tasks": "+".join(tasks)}


def _attacked(cell: Cell) -> list[int]:
    """Columns of the losses of the attacked tasks; all columns if the cell names no tasks."""
    tasks = list(cell.tasks)
    return [tasks.index(name) for name in cell.identity.get("tasks") or tasks] or list(range(len(tasks)))


def alarms(numbers: pd.DataFrame, arp: pd.DataFrame) -> dict[str, str]:
    """Cell -> text of its alarms; cells without an alarm are left out.

    Args:
        numbers: from `checks_frame`, with the columns of `converged.with_gains` and
            `gradient_free.with_gradient_free` if there are any.
        arp: columns ``cell`` and ``arp_percent``, one row per attacked cell.
    """
    if numbers.empty:
        return {}
    rows = numbers.merge(arp, on="cell", how="left")
    rows = _with_clean(rows)
    attacked = rows[rows["attack"] != NO_ATTACK]
    pieces = (attacked.iloc[start : start + ROWS_AT_ONCE] for start in range(0, len(attacked), ROWS_AT_ONCE))
    found = {str(row["cell"]): _own(row) for piece in pieces for row in piece.to_dict("records")}
    _compare_epsilons(rows, found)
    _compare_noise(rows, found)
    return {cell: "alarm: " + "; ".join(texts) for cell, texts in found.items() if texts}


OF_CLEAN = ("zero_gradient", "nonfinite_gradient", "saturated", "saturated_tasks")


def _with_clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the gradient diagnostics of their clean cell to attacked cells."""
    on = [name for name in SAME_MODEL if name in rows and name != "scores"]
    gradients = [name for name in OF_CLEAN if name in rows]
    clean = rows[rows["attack"] == NO_ATTACK][[*on, *gradients]].drop_duplicates(on)
    return rows.drop(columns=gradients).merge(clean, on=on, how="left")


def _own(row: Mapping[Hashable, object]) -> list[str]:
    """The alarms from a cell's own diagnostics."""

    def share(name: str, above: float) -> float:
        value = row.get(name)
        return float(value) if isinstance(value, float) and value > above else 0.0

    texts = []
    if row["eps"] != 0 and row["attack"] != NOISE and (value := share("not_risen", MAX_NOT_RISEN)):
        texts.append(f"the attacked objective did not rise on {value:.0%} of the images")
    if value := share("outside", MAX_OUTSIDE):
        unit = row.get("eps_unit")
        what = f"{value:.3g} grey levels" if not isinstance(unit, str) else f"{value:.3g} ({unit})"
        texts.append(f"{'inputs' if isinstance(unit, str) else 'images'} left the ball or box by {what}")
    if value := share("nonfinite", 0):
        texts.append(f"losses are not finite on {value:.0%} of the images")
    if value := share("tiny_loss", 0):
        texts.append(f"a loss is so small on {value:.0%} of the images that 1/L was cut off")
    if value := share("zero_gradient", MAX_ZERO_GRADIENT):
        texts.append(f"{value:.0%} of a task's input gradient is zero")
    if value := share("nonfinite_gradient", 0):
        texts.append(f"{value:.2%} of a task's input gradient is not finite")
    hidden, climbed = str(row.get("saturated_tasks", "")).split("+"), row.get("climbs_raw")
    tasks = [task for task in climbed if task in hidden] if isinstance(climbed, list) else []
    if tasks and row["attack"] != NOISE:
        texts.append(
            f"cross-entropy has no gradient on {share('saturated', 0):.0%} of {' and '.join(tasks)}, where logits are "
            "more than 17 apart: use attack.logits=normalised, or a task's attack_loss class_margin or label_margin"
        )
    if value := share("converged_gain", MAX_GAIN):
        texts.append(f"not converged: twice the steps do {value:.2g}% more damage to what it attacks")
    if value := share(GAIN_LOW, 0):
        texts.append(
            f"an attack without gradients does {share(GAIN, 0):.1f} points more (at least {value:.1f}): are gradients "
            "hidden? See straight_through"
        )
    if row.get("single_draw") is True:
        texts.append("the model draws random numbers, of which each step saw one draw: use eot=10 (attack.eot)")
    if row["attack"] != NOISE and (value := share(ACCURACY, 0)):
        texts.append(f"accuracy {value:.2f} is beyond the limit: no classifier keeps more than {share(MOST, 0):.2f}")
    if row.get("training_mode") is True:
        texts.append("the model was not in evaluation mode")
    return texts


def _compare_epsilons(rows: pd.DataFrame, found: dict[str, list[str]]) -> None:
    """Damage must not fall as eps grows."""
    on = [name for name in (*SAME_ATTACK, "options") if name in rows]
    known = rows[rows["arp_percent"].notna()]
    attack = known.groupby(on, dropna=False).ngroup()
    ordered = known[["cell", "eps", "arp_percent"]].assign(attack=attack).sort_values(["attack", "eps"], kind="stable")
    below = ordered.shift()
    falls = (ordered["attack"] == below["attack"]) & (ordered["eps"] > below["eps"])
    falls &= ordered["arp_percent"] < below["arp_percent"] - MAX_FALL
    for high, low in zip(ordered[falls].itertuples(), below[falls].itertuples(), strict=True):
        found[str(high.cell)].append(
            f"ARP falls from {low.arp_percent:.1f} at eps {low.eps:g} to {high.arp_percent:.1f}"
        )


def _compare_noise(rows: pd.DataFrame, found: dict[str, list[str]]) -> None:
    """Random noise of the same eps must be weaker than every attack."""
    on = [name for name in (*SAME_MODEL, "eps", "norm") if name in rows and name != "scores"]
    noise = rows[rows["attack"] == NOISE][[*on, "arp_percent"]].drop_duplicates(on)
    attacked = rows[~rows["attack"].isin([NO_ATTACK, NOISE]) & (rows["eps"] > 0)]
    for row in attacked.merge(noise, on=on, suffixes=("", "_noise")).to_dict("records"):
        if row["arp_percent_noise"] >= row["arp_percent"]:
            found[row["cell"]].append(f"random noise is as strong ({row['arp_percent_noise']:.1f})")


def arp_of_cells(metrics: pd.DataFrame) -> pd.DataFrame:
    """Columns cell and arp_percent, in the standard scores, for `alarms`, from a wide frame of metrics."""
    points = metrics.iloc[:, :1]
    wide = arp(damage(relative_drops(points[points.index.get_level_values("scores") == "standard"])))
    return levels(wide)[["cell"]].assign(arp_percent=wide.iloc[:, 0].to_numpy())
