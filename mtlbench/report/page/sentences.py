"""What was run, what it shows and what it does not show, in sentences made from the numbers of the tables."""

from collections.abc import Iterator, Sequence

import pandas as pd

from mtlbench.scores.tables import ALWAYS_SHOWN, eps_units
from mtlbench.studies.findings import Findings

NAMES = ("dataset", "model", "training", "sharing", "seed", "n_images")
MOST_MODELS = 4
"""Of more models a sentence gives the range only."""
MOST_SENTENCES = 8
MOST_BASELINES = 8


def run(arp: pd.DataFrame, board: pd.DataFrame) -> list[str]:
    """Models, images, attacks and epsilons.

    Args:
        arp: the ARP table of one score set.
        board: the leaderboard of the same.
    """
    if board.empty:
        return ["Models were evaluated on clean images only: nothing was attacked yet."]
    attacks = sorted(set(arp["attack"]))
    steps = sorted({step for step in arp["step"] if step not in ("-", "none")})
    epsilons = listed(f"{eps:g}" for eps in sorted(set(arp["eps"])))
    inputs = "inputs" if ALWAYS_SHOWN[0] in arp else "images"
    images = listed(str(n) for n in sorted(set(board["n_images"])))
    shared = {name: sorted(set(map(str, board[name]))) for name in ("dataset", "model", "training", "sharing", "seed")}
    what = "; ".join(f"{name} {listed(values)}" for name, values in shared.items())
    with_step = f" with the step rule {listed(steps, 'or')}" if steps else ""
    return [
        f"{counted(len(board), 'model')} ({what}) "
        f"{'was' if len(board) == 1 else 'were'} attacked on {images} test {inputs} each by "
        f"{counted(len(attacks), 'attack')} ({listed(attacks)})"
        f"{with_step} at eps {epsilons} "
        f"({'; '.join(eps_units(arp))})."
    ]


def strongest(arp: pd.DataFrame) -> Iterator[str]:
    """For each eps which attack has the highest ARP, on how many models, and how high it is."""
    known = arp[arp["arp_percent"].notna()]
    model = [name for name in NAMES if name in known]
    for eps, part in known.groupby("eps"):
        best = part.sort_values("arp_percent", ascending=False, kind="stable").drop_duplicates(model)
        groups = best.groupby(_attack(best), sort=False)
        many = f" on {{}} of {counted(len(best), 'model')}" if len(best) > 1 else ""
        texts = [f"{attack}{many.format(len(group))}: {_values(group, best)}" for attack, group in groups]
        yield f"At eps {eps:g} the strongest stored attack is {'; '.join(texts)}."


def _attack(rows: pd.DataFrame) -> pd.Series:
    return rows["attack"].where(rows["target"] == "all", rows["attack"] + ":" + rows["target"])


def _values(group: pd.DataFrame, every: pd.DataFrame) -> str:
    """ARP with interval of a few models, or the range of many."""
    if len(group) > MOST_MODELS:
        return f"ARP {_range(group['arp_percent'], '.1f')} %"
    names = model_names(every).reindex(group.index)
    texts = [
        f"{value:.1f} %{interval(low, high)}{f' ({name})' if len(every) > 1 else ''}"
        for value, low, high, name in zip(group["arp_percent"], group["ci_low"], group["ci_high"], names, strict=True)
    ]
    return f"ARP {listed(texts)}"


def model_names(rows: pd.DataFrame) -> pd.Series:
    """For each row what tells its model from the others, by the columns `NAMES`."""
    varying = [name for name in NAMES if name in rows and rows[name].nunique() > 1]
    parts = [rows[n].map(str) if n in ("model", "sharing", "dataset") else n + " " + rows[n].map(str) for n in varying]
    return pd.Series([", ".join(row) for row in zip(*parts, strict=True)] if parts else "", index=rows.index)


def against_baselines(found: Findings) -> tuple[list[str], list[str]]:
    """Whether dgba is above each baseline: sentences that show it, and those that say where it is not told apart."""
    shows, does_not = [], []
    for eps, rows in found.baselines.groupby("eps", sort=True):
        above, below = rows["ci_low"] > 0, rows["ci_high"] < 0
        for known, side in ((above, "above"), (below, "below")):
            if known.any():
                shows.append(
                    f"At eps {eps:g} dgba is {side} {_each(rows, known)}: the 95 % interval of the paired difference "
                    "leaves out 0 (points of ARP)."
                )
        if not (above | below).all():
            does_not.append(
                f"At eps {eps:g} the images do not tell dgba apart from {_each(rows, ~(above | below))}: the "
                "interval of the paired difference holds 0 (points of ARP)."
            )
    return shows, does_not


def _each(rows: pd.DataFrame, which: pd.Series) -> str:
    """Every baseline of the rows `which`, in how many of its comparisons, and by how much."""
    names = sorted(set(rows["baseline"][which]))
    texts = []
    for name in names[:MOST_BASELINES]:
        part, every = rows[which & (rows["baseline"] == name)], (rows["baseline"] == name).sum()
        of = "" if every == 1 else f" in {len(part)} of {every}"
        texts.append(f"{name}{of} ({_span(part)})")
    more = len(names) - MOST_BASELINES
    return listed(texts + ([counted(more, "more baseline")] if more > 0 else []))


def _span(rows: pd.DataFrame) -> str:
    """The differences of some comparisons."""
    if len(rows) > 1:
        return _range(rows["difference"], "+.1f")
    row = rows.iloc[0]
    return f"{row['difference']:+.1f}{interval(row['ci_low'], row['ci_high'], '+.1f')}"


def with_sharing(found: Findings) -> tuple[list[str], list[str]]:
    """Whether the transferability ratio grows with sharing, as above."""
    shows, does_not = [], []
    for (eps, sharing), rows in found.sharing.groupby(["eps", "sharing"], sort=True):
        more = (rows["increase_low"] > 0).sum()
        less = (rows["increase_high"] < 0).sum()
        span = f"by {_range(rows['increase'], '+.2f')}"
        if more or less:
            sides = [f"higher in {more}"] if more else []
            sides += [f"lower in {less}"] if less else []
            shows.append(
                f"At eps {eps:g} the transferability ratio of {sharing} models is {listed(sides)} of "
                f"{counted(len(rows), 'attacked task')} than that of independent models ({span}; interval without 0)."
            )
        if len(rows) - more - less:
            does_not.append(
                f"At eps {eps:g} it is open for {len(rows) - more - less} of {counted(len(rows), 'attacked task')} "
                f"whether an attack transfers more on {sharing} than on independent models."
            )
    return shows, does_not


def limits(arp: pd.DataFrame, transferability: pd.DataFrame, board: pd.DataFrame) -> Iterator[str]:
    """What no sentence above can say: other trainings, the width of the intervals, undefined values, alarms."""
    if board.empty:
        return
    seeds = board.groupby([name for name in NAMES[:4] if name in board])["seed"].nunique()
    half = ((arp["ci_high"] - arp["ci_low"]) / 2).dropna()
    width = f", here up to ±{half.max():.1f} points of ARP" if len(half) else ""
    if (seeds == 1).any():
        yield (
            f"Intervals are over the test images only{width}. {counted(int((seeds == 1).sum()), 'model')} "
            f"{'has' if (seeds == 1).sum() == 1 else 'have'} one training (seed): another training may give other "
            "numbers; -m seed=0,1,2 would tell."
        )
    else:
        yield f"Intervals of single rows are over the test images{width}; studies give those over images and seeds."
    if undefined := int(arp["arp_percent"].isna().sum()):
        yield f"{undefined} of {len(arp)} ARPs are undefined; an undefined value never counts as robust."
    means = transferability[transferability["destination"] == "mean"]
    if undefined := int(means["ratio"].isna().sum()):
        yield f"{undefined} of {len(means)} transferability ratios are undefined; the column status says why."
    if alarmed := int(arp["status"].str.startswith("alarm").sum()):
        yield f"{alarmed} of {len(arp)} ARPs carry an alarm: a weak number may be a broken attack, not a robust model."
    counts = board.filter(regex=r"^attacks_")
    if any(column.nunique() > 1 for _, column in counts.items()):
        yield "Models were not all attacked by the same number of attacks: those attacked by fewer look more robust."


def too_many(results: int) -> str:
    """That more could have been compared."""
    return (
        f"{results} further results were not compared for these sentences, which would take long; "
        "study=clean_models and study=transfer compare all."
    )


def at_most(sentences: Sequence[str]) -> list[str]:
    """The first few sentences, and how many there are more."""
    if len(sentences) <= MOST_SENTENCES:
        return list(sentences)
    more = len(sentences) - MOST_SENTENCES + 1
    return [*sentences[: MOST_SENTENCES - 1], f"{more} more such comparisons are in the tables."]


def _range(values: pd.Series, form: str) -> str:
    """The smallest and the largest of some numbers, or the one that they round to."""
    low, high = f"{values.min():{form}}", f"{values.max():{form}}"
    return low if low == high else f"{low} to {high}"


def interval(low: float, high: float, form: str = ".1f") -> str:
    """`` [low, high]``, or nothing where it is undefined."""
    return f" [{low:{form}}, {high:{form}}]" if pd.notna(low) and pd.notna(high) else ""


def listed(texts: "Sequence[str] | Iterator[str]", last: str = "and") -> str:
    """``a, b and c``."""
    *most, end = list(texts) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def counted(number: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
