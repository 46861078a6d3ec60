"""Which words of a sentence an attack may replace by which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Substitutes:
    """The substitutes for the words of B sentences of length M, by several rules.

    Attributes:
        vectors: [V, D], the input that stands for each word of the vocabulary.
        members: rule -> [G, K] numbers of words, in no order, -1 behind the last of a group; group 0 is empty.
        words: [B, M] their numbers in the vocabulary.
        groups: rule -> [B, M], the group of words that may stand in the place of each.
    """

    vectors: Tensor
    members: Mapping[str, Tensor]
    words: Tensor
    groups: Mapping[str, Tensor]

    def of(self, rule: str) -> Tensor:
        """The substitutes [B, M, K] of each word, -1 for none; never the word itself."""
        found = self.members[rule][self.groups[rule]]
        return torch.where(found == self.words[..., None], -1, found)

    def __getitem__(self, part: slice | list[int]) -> "Substitutes":
        """Those of some of the sentences."""
        return replace(self, words=self.words[part], groups={rule: group[part] for rule, group in self.groups.items()})

    def to(self, device: torch.device | str) -> "Substitutes":
        """The same on `device`."""
        return Substitutes(
            self.vectors.to(device, non_blocking=True),
            {rule: found.to(device, non_blocking=True) for rule, found in self.members.items()},
            self.words.to(device, non_blocking=True),
            {rule: found.to(device, non_blocking=True) for rule, found in self.groups.items()},
        )

    @staticmethod
    def stack(of_sentences: Sequence["Substitutes"]) -> "Substitutes":
        """One of several that have no batch dimension, [M], and the same vocabulary."""
        return _together(of_sentences, torch.stack)

    @staticmethod
    def join(parts: Sequence["Substitutes"]) -> "Substitutes":
        """Those of several batches of the same vocabulary, whose sentences are equally long."""
        return _together(parts, torch.cat)


def _together(several: Sequence[Substitutes], join: Callable[[list[Tensor]], Tensor]) -> Substitutes:
    first = several[0]
    return replace(
        first,
        words=join([one.words for one in several]),
        groups={rule: join([one.groups[rule] for one in several]) for rule in first.groups},
    )
