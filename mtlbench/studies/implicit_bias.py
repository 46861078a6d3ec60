"""Does training find the robust classifier, or one that averages features? Accuracy over the radius, and alignment.

Min and Vidal 2024 (arXiv 2405.15942) and 2025; Frei et al. 2023 (arXiv 2303.01456); Li et al. 2025 (arXiv 2410.10322).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mtlbench.constants import NO_ATTACK
from mtlbench.scores import over_seeds
from mtlbench.scores.frame import names as names_of
from mtlbench.scores.wide import OK, levels, mean_over, with_status
from mtlbench.storage.store import Cell
from mtlbench.studies.base import MODEL, Evidence, Study, Table, arranged, labels, tidy
from mtlbench.studies.plot import Axis, Plot
from mtlbench.tasks import EVERY_TASK

ACCURACY, HALF = "accuracy", 0.5
WORST = "worst of all"
"""The attack that leaves the least at a radius."""

NAMES = ("dataset", "model", "training", "sharing", "shared_blocks")
STATUS, TRAININGS = "status", "trainings"
MEASURES = {"centre": "cos_centre", "average": "cos_average", "rank": "stable_rank"}
"""In a cell's provenance -> column, see `mtlbench.models.alignment`."""

RADII = {"1/sqrt(K)": "relu_radius", "sqrt(2)/2": "largest_radius"}
"""The same of `MultiTaskDataset.radii`."""


def implicit_bias(evidence: Evidence) -> Study:
    """Accuracy under attack over the l2 radius, the radius that halves it, and what neurons have aligned with.

    Accuracies are means over the attacked tasks. ``worst of all`` takes at every radius the attack that leaves least.
    ``radius`` is where the line between two radii crosses one half; its bounds, and those of the alignment, are the
    smallest and largest of the trainings.
    """
    wide = accuracies(evidence)
    table = _table(wide, _radii(evidence))
    known = [*NAMES, "method", "step", "steps", "eps", "seeds", "n_images", "scores"]
    table = arranged(table, known, [ACCURACY, "ci_low", "ci_high", *RADII.values()])
    plot = Plot(
        "implicit_bias", "Accuracy under attack over the l2 radius", _for_plot(table), "line",
        Axis("eps", "l2 radius"), Axis(ACCURACY, "accuracy", "", "ci_low", "ci_high"), "method",
        panel=("dataset", "model", "training", "sharing"),
        marked=tuple(Axis(column, name) for name, column in RADII.items()),
    )  # fmt: skip
    aligned = alignments(evidence)
    return Study(
        (
            Table("implicit_bias_radius", "The l2 radius at which half of the inputs are wrong", _halves(wide)),
            Table("alignment", "What the hidden neurons have aligned with", aligned),
            Table("implicit_bias", "Accuracy under attack over the l2 radius", table),
        ),
        (plot, *_alignment_plots(aligned)),
    )


def accuracies(evidence: Evidence) -> pd.DataFrame:
    """Wide frame of the mean accuracy of the attacked tasks; those of `single` count together."""
    keys = levels(evidence.metrics)
    own = (keys["target"] == EVERY_TASK) | (keys["target"] == keys["task"])
    chosen = (keys["metric"] == ACCURACY) & (keys["attack"] != NO_ATTACK) & (keys["scores"] == "standard") & own
    keys = keys[chosen]
    keys["cell"] = keys["cell"].where(keys["target"] == EVERY_TASK, "")
    keys["target"] = EVERY_TASK
    frame = evidence.metrics[chosen.to_numpy()].set_axis(pd.MultiIndex.from_frame(keys))
    frame = with_status(frame, [OK] * len(frame))
    return mean_over("task", frame, lambda _, why: why, "; ") if len(frame) else frame


def _table(wide: pd.DataFrame, radii: pd.DataFrame) -> pd.DataFrame:
    """Rows averaged over seeds, those of `WORST` added, with the radii of their dataset."""
    mean = over_seeds(wide)
    table = tidy(mean, ACCURACY, method=labels(levels(mean)))
    same = [name for name in (*MODEL, "eps") if name in table]
    worst = table.loc[table.groupby(same, dropna=False)[ACCURACY].idxmin()]
    table = pd.concat([table, worst.assign(method=WORST, step="-", steps=0, options="{}")], ignore_index=True)
    return table.merge(radii, how="left", on="dataset")


def _for_plot(table: pd.DataFrame) -> pd.DataFrame:
    """All attacks on a model in one panel: step rule and steps stand in the name of an attack that has several."""
    several = table.groupby("method")[["step", "steps"]].transform("nunique").max(axis=1) > 1
    told = table["method"] + " " + table["step"] + " " + table["steps"].astype(str)
    return table.assign(method=told.where(several, table["method"])).drop(columns=["step", "steps"])


def _radii(evidence: Evidence) -> pd.DataFrame:
    """The radii that theory knows, a row for each dataset."""
    found = {cell.identity["dataset"]: cell.provenance.get("radii", {}) for cell in evidence.cells}
    rows = [{"dataset": name} | {column: radii.get(k) for k, column in RADII.items()} for name, radii in found.items()]
    return pd.DataFrame(rows, columns=["dataset", *RADII.values()]).astype(dict.fromkeys(RADII.values(), float))


def _halves(wide: pd.DataFrame) -> pd.DataFrame:
    """The radius that halves the accuracy, of each model and attack and of `WORST`."""
    keys = levels(wide).assign(accuracy=wide.iloc[:, 0].to_numpy(), method=labels(levels(wide)))
    of_model = [name for name in (*NAMES, "tree", "recipe", "n_images", "scores") if name in keys]
    worst = keys.groupby([*of_model, "seed", "eps"], dropna=False, sort=False)[ACCURACY].min().reset_index()
    keys = pd.concat([keys, worst.assign(method=WORST, step="-", steps=0, options="{}")], ignore_index=True)
    curve = [*of_model, "method", "step", "steps", "options"]
    rows = []
    for names, group in keys.groupby(curve, dropna=False, sort=False):
        each = {int(one["seed"].iloc[0]): _half(one.sort_values("eps")) for _, one in group.groupby("seed")}
        found, known = dict(zip(curve, names, strict=True)), np.array(list(each.values()))
        status = OK if np.isfinite(known).all() else f"{int(np.isnan(known).sum())} of {len(known)} never at one half"
        rows.append(
            {**found, "seeds": ",".join(map(str, sorted(each))), **_over_trainings("radius", known), STATUS: status}
        )
    table = pd.DataFrame(rows, columns=[*curve, "seeds", "radius", "radius_low", "radius_high", STATUS])
    known_as = [*NAMES, "method", "step", "steps", "seeds", "n_images", "scores"]
    return arranged(table.assign(over=TRAININGS), known_as, ["radius", "radius_low", "radius_high"])


def _half(curve: pd.DataFrame) -> float:
    """Where the line between neighbouring radii falls to one half for the first time; NaN where it does nowhere."""
    eps, kept = curve["eps"].to_numpy(float), curve[ACCURACY].to_numpy(float)
    for at in range(1, len(eps)):
        if kept[at - 1] >= HALF > kept[at]:
            return float(eps[at - 1] + (eps[at] - eps[at - 1]) * (kept[at - 1] - HALF) / (kept[at - 1] - kept[at]))
    return float("nan")


def _over_trainings(name: str, values: np.ndarray) -> dict[str, float]:
    """Mean, smallest and largest."""
    return {name: float(values.mean()), f"{name}_low": float(values.min()), f"{name}_high": float(values.max())}


def alignments(evidence: Evidence) -> pd.DataFrame:
    """The measures of each model, over its trainings."""
    rows = [_alignment(cell) for cell in evidence.clean_cells if "alignment" in cell.provenance]
    values = [column + end for column in MEASURES.values() for end in ("", "_low", "_high")]
    names = [*NAMES, "iterations", "recipe"]
    found = []
    for key, group in pd.DataFrame(rows, columns=[*names, "seed", *MEASURES.values()]).groupby(names, sort=False):
        group = group.drop_duplicates("seed")  # of a whole split and of its beginning
        measured = [_over_trainings(column, group[column].to_numpy(float)) for column in MEASURES.values()]
        seeds = ",".join(map(str, sorted(group["seed"])))
        found.append(
            {
                **dict(zip(names, key, strict=True)),
                "seeds": seeds,
                **{k: v for one in measured for k, v in one.items()},
            }
        )
    table = pd.DataFrame(found, columns=[*names, "seeds", *values])
    return arranged(table.assign(over=TRAININGS), [*NAMES, "iterations", "seeds"], values)


def _alignment(cell: Cell) -> dict[str, object]:
    """A row of one training."""
    training = (cell.provenance.get("recipe") or {}).get("training", {})
    found = {name: cell.identity.get(name) for name in (*NAMES, "seed")}
    found |= {"iterations": training.get("iterations", 0), "recipe": names_of(cell)["recipe"]}
    return found | {column: cell.provenance["alignment"][name] for name, column in MEASURES.items()}


def _alignment_plots(table: pd.DataFrame) -> Iterator[Plot]:
    """Each measure over the iterations, if models were trained for several numbers of them."""
    if table["iterations"].nunique() < 2:
        return
    titles = {"cos_centre": "cosine with the nearest centre", "cos_average": "cosine with the nearest class average"}
    for column, name in (titles | {"stable_rank": "stable rank of the hidden layer"}).items():
        yield Plot(
            f"alignment_{column}", f"Alignment over training: {name}", table, "line",
            Axis("iterations", "iterations", log=True), Axis(column, name, "", f"{column}_low", f"{column}_high"),
            "model", panel=("dataset", "training", "sharing"),
        )  # fmt: skip
