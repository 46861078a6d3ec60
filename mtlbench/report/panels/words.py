"""Predictions per image, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlbench.report.panels.scale import class_name
from mtlbench.report.panels.views import sigmoid


@dataclass(frozen=True)
class Words:
    """One line.

    Attributes:
        text: plain text.
        share: a probability, drawn as a bar; None = no bar.
        wrong: whether it contradicts the target.
    """

    text: str
    share: float | None = None
    wrong: bool = False


def truth_of(task: Mapping[str, Any], target: np.ndarray, known: bool) -> list[Words]:
    """The target [c] of one image."""
    if not known:
        return [Words("unknown")]
    if task["holds"] == "classes":
        return [Words(class_name(int(target[0]), task["labels"]))]
    if task["holds"] == "attributes":
        there = [name for name, value in zip(_names(task, len(target)), target, strict=True) if value == 1]
        return [Words(name) for name in there] or [Words("none")]
    return [Words(_number(value, task["unit"])) for value in target]


def said_of(task: Mapping[str, Any], values: np.ndarray, target: np.ndarray, known: bool) -> list[Words]:
    """The prediction [C] of one image: logits of classes or attributes, or numbers."""
    if not np.isfinite(values).all():
        return [Words("not finite", wrong=True)]
    if task["holds"] == "classes":
        powers = np.exp(values - values.max())
        share, best = powers / powers.sum(), int(values.argmax())
        return [Words(class_name(best, task["labels"]), float(share[best]), known and best != int(target[0]))]
    if task["holds"] == "attributes":
        return _attributes(_names(task, len(values)), sigmoid(values), target, known)
    return [Words(_number(value, task["unit"])) for value in values]


def _attributes(names: Sequence[str], shares: np.ndarray, target: np.ndarray, known: bool) -> list[Words]:
    """Those predicted, and those wrongly not."""
    found = []
    for name, share, value in zip(names, shares, target, strict=True):
        wrong = bool(known and value in (0, 1) and (share > 0.5) != (value == 1))
        if share > 0.5 or wrong:
            found.append(Words(name, float(share), wrong))
    return found or [Words("none")]


def _names(task: Mapping[str, Any], number: int) -> list[str]:
    labels = task["labels"]
    return [labels[i] if i < len(labels) else f"attribute {i}" for i in range(number)]


def _number(value: float, unit: str) -> str:
    return f"{float(value):.4g} {unit}".strip()
