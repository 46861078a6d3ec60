"""Small folders of sentences in the form of ATIS and SNIPS."""

from collections.abc import Sequence
from pathlib import Path

TRAIN = (
    ("show flights from boston to denver", "O O O B-from O B-to", "atis_flight"),
    ("flights from denver to new york", "O O B-from O B-to I-to", "atis_flight"),
    ("fares from boston please", "O O B-from O", "atis_airfare#atis_flight"),
    ("what is the fare from denver to boston on monday", "O O O O O B-from O B-to O B-day", "atis_airfare"),
    ("please show fares on monday 17", "O O O O B-day I-day", "atis_airfare"),
    ("thanks", "O", "atis_thanks"),
)
TEST = (
    ("flights to boston on tuesday", "O O B-to O B-day", "atis_flight#atis_airline"),
    ("is dinner served from denver", "O B-meal O O B-from", "atis_meal"),
)


def write(root: Path, split: str, lines: Sequence[Sequence[str]], end: str = " \n") -> Path:
    """Write a split; lines end in a space, as those of SNIPS do."""
    (root / split).mkdir(parents=True)
    for name, column in zip(("seq.in", "seq.out", "label"), zip(*lines, strict=True), strict=True):
        (root / split / name).write_text("".join(line + end for line in column), encoding="utf-8")
    return root


def atis(root: Path, valid: str = "dev") -> Path:
    """A folder with all splits, in the form of ATIS."""
    write(root, "train", TRAIN)
    write(root, valid, TRAIN[:1])
    return write(root, "test", TEST, end="\n")
