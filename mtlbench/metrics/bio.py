"""Spans of BIO tags in a batch of sentences. As in `statistics`: no synchronisation with the device."""

from functools import lru_cache

import torch
from torch import Tensor

from mtlbench.errors import DataError


def span_counts(
    classes: Tensor, target: Tensor, mask: Tensor, channels: int, _: Tensor | None, labels: tuple[str, ...]
) -> Tensor:
    """Right, predicted and true spans, and the mean of the latter two: [B, 4] float64, see `spans`.

    Args:
        classes: predicted class ids [B, 1, M, 1], NaN where a logit is.
        target: class ids, the same shape.
        mask: bool, true at words.
        channels: number of classes.
        labels: the classes: ``O``, ``B-<slot>`` and ``I-<slot>``.

    Raises:
        DataError: the classes have no names.
    """
    if len(labels) != channels:
        raise DataError(f"span_f1 is of {channels} classes named O, B-<slot>, I-<slot>; they have {len(labels)} names")
    words = mask.flatten(1)
    slots, begins = _tables(labels, classes.device)

    def found(ids: Tensor) -> tuple[Tensor, Tensor]:
        tags = ids.flatten(1).long()
        return _spans(torch.where(words, slots[tags], 0), begins[tags])

    (guessed, guessed_last), (true, last) = found(classes.nan_to_num(0)), found(torch.where(mask, target, 0))
    right = (guessed > 0) & (guessed == true) & (guessed_last == last)
    numbers = torch.stack([which.sum(1) for which in (right, guessed > 0, true > 0)], 1).double()
    counts = torch.cat([numbers, numbers[:, 1:].mean(1, keepdim=True)], 1)
    broken = (classes.isnan() & mask).flatten(1).any(1, keepdim=True)
    return torch.where(broken, torch.nan, counts)


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
