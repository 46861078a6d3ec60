"""The leaderboard for people: fewer columns than leaderboard.csv, the largest eps first."""

import re

import pandas as pd

AT_EPS = re.compile(r"rank_((?:\w+_)?eps[\d.e+-]+)")


def for_people(board: pd.DataFrame) -> pd.DataFrame:
    """The columns of the page: rank, ARP and names first, then what explains them.

    Args:
        board: as `studies.leaderboard` makes it, of one score set.
    """
    ends = [found[1] for name in reversed(list(map(str, board))) if (found := AT_EPS.fullmatch(name))]
    clean = [str(name) for name in board if str(name).startswith("clean_")]
    columns: dict[str, pd.Series] = {}
    for end in ends:
        columns[f"rank at {_eps(end)}"] = board[f"rank_{end}"]
        columns[f"ARP at {_eps(end)}, %"] = board[f"arp_{end}"]
        columns |= {f"ARP at {_eps(end)}_{side}": board[f"arp_{end}_{side}"] for side in ("low", "high")}
    columns |= {name: board[name] for name in ("dataset", "model", "training", "sharing", "seed", "n_images")}
    columns |= {name.replace("_", " "): board[name] for name in clean}
    columns["parameters"] = board["parameters"]
    for end in ends:
        columns[f"attack at {_eps(end)}"] = board[f"attack_{end}"].fillna("") + _of(board[f"attacks_{end}"])
        columns[f"worst task at {_eps(end)}"] = board[f"worst_task_{end}"].fillna("") + _damage(board, end)
    columns |= {name: board[name] for name in ("weights", "computed_by", "status")}
    table = pd.DataFrame(columns, index=board.index)
    return table[[name for name in table if _told(table[name])]]


def _told(column: pd.Series) -> bool:
    """Whether a column says anything."""
    return bool((column.notna() & (column.astype(str) != "")).any())


def _of(attacks: pd.Series) -> list[str]:
    return ["" if pd.isna(number) else f" (of {number:.0f})" for number in attacks]


def _damage(board: pd.DataFrame, end: str) -> list[str]:
    space = "\N{NO-BREAK SPACE}"
    return ["" if pd.isna(damage) else f"{space}{damage:.1f}{space}%" for damage in board[f"worst_damage_{end}"]]


def _eps(end: str) -> str:
    """``eps8`` -> ``eps 8``."""
    return end.replace("_", " ").replace("eps", "eps ")
