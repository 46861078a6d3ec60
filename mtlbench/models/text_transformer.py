"""A small transformer over word vectors (Vaswani et al. 2017, arXiv 1706.03762), normalised before each part."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlbench.errors import UsageError
from mtlbench.models.backbone import Backbone, Head
from mtlbench.models.inputs import CONVENTIONS
from mtlbench.models.sentences import SentenceHead, check_input, with_words, words_of
from mtlbench.options import number, whole
from mtlbench.tasks import Task

LONGEST_WAVE = 10_000.0


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each beside a shortcut; padding is attended to by no word.

    Args:
        width: features of a word.
        attending: heads of the self-attention.
        dropout: share of what each part adds that is left out in training.
    """

    def __init__(self, width: int, attending: int, dropout: float) -> None:
        super().__init__()
        self.attending, self.dropout = attending, nn.Dropout(dropout)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, M, width + 1] -> the same shape."""
        values, words = words_of(x)
        values = values + self.dropout(self.out(self._attended(self.before(values), words)))
        values = values + self.dropout(self.narrow(F.gelu(self.wide(self.between(values)))))
        return with_words(values, words)

    def _attended(self, values: Tensor, words: Tensor) -> Tensor:
        """[B, M, width]."""
        b, m, width = values.shape
        queries, keys, found = self.mix(values).view(b, m, 3, self.attending, -1).permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(width / self.attending)
        shares = scores.masked_fill(~words[:, None, None], -torch.inf).softmax(-1)
        return (shares @ found).transpose(1, 2).reshape(b, m, width)


class First(nn.Module):
    """Word vectors to features, with waves that tell places apart, then a `Layer`.

    Args:
        dim: values of a word's vector.
        width: see `Layer`.
        attending: see `Layer`.
        dropout: see `Layer`.
    """

    def __init__(self, dim: int, width: int, attending: int, dropout: float) -> None:
        super().__init__()
        self.dim, self.embed, self.dropout = dim, nn.Linear(dim, width), nn.Dropout(dropout)
        self.layer = Layer(width, attending, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, M, dim + 1] -> [B, M, width + 1]."""
        check_input(x, self.dim, "text_transformer")
        values, words = words_of(x)
        values = self.embed(self.dropout(values))
        return self.layer(with_words(values + waves(values), words))


class TextTransformer(Backbone):
    """Three layers, one a block; max over the words for tasks per sentence, linear heads.

    Args:
        dim: values of a word's vector, as in ``dataset.embedding.dim``.
        width: features of a word, an even multiple of `attending`.
        layers: how many, and with them sharing levels.
        attending: heads of the self-attention.
        dropout: share left out in training of inputs, of features, and of what each part of a layer adds.
    """

    name = "text_transformer"
    inputs, forms = CONVENTIONS["rgb01"], ("text",)  # inputs as they are

    def __init__(
        self, dim: int = 64, width: int = 64, layers: int = 3, attending: int = 4, dropout: float = 0.1
    ) -> None:
        self.dim, self.attending = whole(dim, "model.dim"), whole(attending, "model.attending")
        self.width = _features(width, self.attending)
        self.layers = self.blocks = whole(layers, "model.layers", 1, 12)
        self.dropout = number(dropout, "model.dropout", "a share from 0 to below 1", least=0, below=1)
        if (width, layers) != (64, 3):
            self.name = f"text_transformer-{layers}x{width}"  # in tables

    def block(self, index: int) -> nn.Module:
        """The embedding and a layer for index 0, a layer otherwise."""
        if index == 0:
            return First(self.dim, self.width, self.attending, self.dropout)
        return Layer(self.width, self.attending, self.dropout)

    def head(self, task: Task) -> Head:
        """A `SentenceHead`."""
        return SentenceHead(self.width, task.channels, task.per_image, self.dropout)


def _features(width: object, attending: int) -> int:
    """`model.width`, checked."""
    found = whole(width, "model.width")
    if found % (2 * attending):
        raise UsageError(f"model.width={width}: expected an even multiple of model.attending={attending}")
    return found


def waves(like: Tensor) -> Tensor:
    """Sines and cosines of the places of words [M, W], W even, for a map [B, M, W]."""
    places = torch.arange(like.shape[1], device=like.device, dtype=like.dtype)[:, None]
    rates = torch.arange(0, like.shape[2], 2, device=like.device, dtype=like.dtype) / like.shape[2]
    angles = places * torch.exp(-math.log(LONGEST_WAVE) * rates)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
