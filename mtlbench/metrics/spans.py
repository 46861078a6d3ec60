"""F1 of spans of BIO tags, as the evaluation of CoNLL and seqeval define it (micro average, not strict).

A span is right if slot, first and last word are. It is not additive over words, so each sentence keeps its number of
right, predicted and true spans; the metric is one quotient of their sums.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mtlbench.metrics.base import PixelMean

RIGHT, BOTH = 0, 3
"""Columns of the statistic: right, predicted and true spans, and the mean of the latter two."""


@dataclass(frozen=True)
class SpanCounts:
    """Spans of sentences: a statistic, see `metrics.base.Compute`.

    Args:
        tags: the classes: ``O``, ``B-<slot>`` and ``I-<slot>``.
    """

    tags: tuple[str, ...]

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Right, predicted and true spans, and the mean of the latter two: [B, 4] float64.

        Args:
            prediction: logits [B, C, M, 1].
            target: class ids [B, 1, M, 1].
            mask: [B, 1, M, 1] bool, true at words.
        """
        words = mask.flatten(1)
        guessed, true = (
            _spans(*self._looked_up(classes.flatten(1).long(), words))
            for classes in (prediction.argmax(1), torch.where(mask, target, 0))
        )
        right = (guessed[0] > 0) & (guessed[0] == true[0]) & (guessed[1] == true[1])
        numbers = torch.stack([found.sum(1) for found in (right, guessed[0] > 0, true[0] > 0)], 1).double()
        counts = torch.cat([numbers, numbers[:, 1:].mean(1, keepdim=True)], 1)
        broken = (prediction.isnan().any(1).flatten(1) & words).any(1, keepdim=True)
        return torch.where(broken, torch.nan, counts)

    def _looked_up(self, classes: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Of class ids [B, M] the slot, from 1, 0 outside of slots, and whether the tag is a ``B-``."""
        slots, begins = _tables(self.tags, classes.device)
        return torch.where(words, slots[classes], 0), begins[classes]


def span_f1(tags: tuple[str, ...]) -> PixelMean:
    """F1 of spans for a task whose classes are these tags: the quotient of two sums over the sentences."""
    return PixelMean("span_f1", "1", True, statistic="span_counts", total=RIGHT, count=BOTH, compute=SpanCounts(tags))


def _spans(slots: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
    """Of each word [B, M] the slot if a span begins at it, else 0, and the last word of the span that it is in."""
    before = torch.cat([torch.zeros_like(slots[:, :1]), slots[:, :-1]], 1)
    inside = slots > 0
    continues = inside & ~begins & (slots == before)
    goes_on = torch.cat([continues[:, 1:], torch.zeros_like(continues[:, :1])], 1)
    place = torch.arange(slots.shape[1], device=slots.device).expand_as(slots)
    ends = torch.where(goes_on, slots.shape[1], place)
    last = ends.flip(1).cummin(1).values.flip(1)
    return torch.where(inside & ~continues, slots, 0), last


@lru_cache(maxsize=16)
def _tables(tags: tuple[str, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each class its slot, from 1, and whether it is a ``B-``; cached, as copying would synchronise."""
    names = [tag.partition("-")[2] for tag in tags]
    number = {name: i for i, name in enumerate(dict.fromkeys(name for name in names if name), start=1)}
    slots = torch.tensor([number.get(name, 0) for name in names], device=device)
    return slots, torch.tensor([tag.startswith("B-") for tag in tags], device=device)
