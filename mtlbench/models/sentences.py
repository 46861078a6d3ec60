"""What models of sentences share: inputs [B, M, E + 1], whose last channel is 1 at words and 0 at padding.

Maps between blocks, [B, M, W + 1], carry the same channel, so that every block and head knows where words are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Head


def words_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """The values [B, M, W] of a map [B, M, W + 1], and where words are, [B, M] bool."""
    return x[..., :-1], x[..., -1] > 0


def with_words(values: Tensor, words: Tensor) -> Tensor:
    """Values [B, M, W], 0 at padding, with the channel that says where words [B, M] are: [B, M, W + 1]."""
    there = words[..., None].to(values.dtype)
    return torch.cat([values * there, there], -1)


def check_input(x: Tensor, dim: int, model: str) -> None:
    """Refuse what is no batch of sentences with vectors of `dim` values.

    Raises:
        UsageError: the message names the model.
    """
    if x.ndim != 3 or x.shape[-1] != dim + 1:
        raise UsageError(
            f"model={model}: it reads sentences of word vectors, inputs [B, words, {dim + 1}]; those of the dataset "
            f"are {['B', *x.shape[1:]]}; expected a dataset such as sentences or slu"
        )


class SentenceHead(Head):
    """A linear map: of each word, or for a task per sentence of the largest value of each feature over the words.

    Args:
        width: features of a word.
        channels: outputs.
        per_sentence: one prediction a sentence.
        dropout: share of the features left out in training.
    """

    def __init__(self, width: int, channels: int, per_sentence: bool, dropout: float) -> None:
        super().__init__()
        self.per_sentence = per_sentence
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """The last map [B, M, width + 1] -> [B, channels, M, 1], or [B, channels, 1, 1] of a task per sentence."""
        values, words = words_of(features[-1])
        if self.per_sentence:
            values = values.masked_fill(~words[..., None], -torch.inf).amax(1, keepdim=True)
        return self.classify(self.dropout(values)).movedim(-1, 1)[..., None]
