"""A bidirectional LSTM over word vectors (Graves and Schmidhuber 2005), an encoder that ATIS and SNIPS are used to."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from mtlbench.models.backbone import Backbone, Head
from mtlbench.models.inputs import CONVENTIONS
from mtlbench.models.sentences import SentenceHead, check_input, with_words, words_of
from mtlbench.options import number, whole
from mtlbench.tasks import Task


class BiLSTMBlock(nn.Module):
    """One layer of it. Padding is behind the words in either direction, so no output at a word reads it.

    Args:
        dim: values of a word's vector.
        width: features of each direction.
        dropout: share of the inputs left out in training.
    """

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dim, self.dropout = dim, nn.Dropout(dropout)
        self.forwards = nn.LSTM(dim, width, batch_first=True)
        self.backwards = nn.LSTM(dim, width, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, M, dim + 1] -> [B, M, 2 width + 1]."""
        check_input(x, self.dim, "bilstm")
        values, words = words_of(x)
        values = self.dropout(values)
        order = _reversed(words)
        with nullcontext() if self.training else _without_cudnn():
            ahead, _ = self.forwards(values)
            back, _ = self.backwards(_ordered(values, order))
        return with_words(torch.cat([ahead, _ordered(back, order)], -1), words)


class BiLSTM(Backbone):
    """One block; max over the words for tasks per sentence, linear heads.

    140 thousand parameters all-shared, 389 thousand independent (three tasks of SNIPS, the default options).

    Args:
        dim: values of a word's vector, as in ``dataset.embedding.dim``.
        width: features of each direction.
        dropout: share of inputs and features left out in training.
    """

    name = "bilstm"
    blocks = 1
    inputs, forms = CONVENTIONS["rgb01"], ("text",)  # inputs as they are

    def __init__(self, dim: int = 64, width: int = 96, dropout: float = 0.3) -> None:
        self.dim, self.width = whole(dim, "model.dim"), whole(width, "model.width")
        self.dropout = number(dropout, "model.dropout", "a share from 0 to below 1", least=0, below=1)
        if width != 96:
            self.name = f"bilstm-{width}"  # in tables

    def block(self, index: int) -> nn.Module:
        """The one block."""
        return BiLSTMBlock(self.dim, self.width, self.dropout)

    def head(self, task: Task) -> Head:
        """A `SentenceHead`."""
        return SentenceHead(2 * self.width, task.channels, task.per_image, self.dropout)


@contextmanager
def _without_cudnn() -> Iterator[None]:
    """Context manager: the LSTM of cuDNN gives no gradient in evaluation mode."""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def _reversed(words: Tensor) -> Tensor:
    """Places [B, M] that put the words of each sentence in reverse order and leave padding where it is."""
    place = torch.arange(words.shape[1], device=words.device).expand(words.shape)
    return torch.where(words, words.sum(1, keepdim=True) - 1 - place, place)


def _ordered(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(1, order[..., None].expand_as(values))
