"""``dataset=slu``: ATIS and SNIPS as people have them, and ``dataset=sentences``, which is generated in that form.

    <root>/train/{seq.in,seq.out,label}     and valid/ or dev/, and test/

Three tasks of every sentence: its intent, the slot of each word, and how many slots it has. A word is read as its
vector in a table that the training text alone defines (`data.embedding`), and a 1; padding is all 0. Every split is
padded to the length of its longest sentence, so that no sentence depends on what is computed beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mtlbench.data.base import MultiTaskDataset
from mtlbench.data.batch import Sample
from mtlbench.data.listed import existing_root
from mtlbench.data.slu.files import Sentence, files_of, read
from mtlbench.data.slu.spans import spans
from mtlbench.data.slu.text import text_of, with_new
from mtlbench.data.substitutes import Substitutes
from mtlbench.errors import UsageError
from mtlbench.options import flag, whole
from mtlbench.space import Space
from mtlbench.tasks import Task, classification, segmentation

INTENT, SLOTS, COUNT = "intent", "slots", "count"
COUNTS = ("0-1", "2", "3", "4+")
"""Classes of the number of slots in a sentence."""

WORDS = Space("text", "RMS of an embedding coordinate", per_word=True, block=32)
"""Sentences [B, M, E + 1]; the vector of a word has root mean square 1."""

LARGEST_DIM = 1000
"""Of a vector; the table has as many contexts."""


class SLU(MultiTaskDataset):
    """One split of a folder of sentences.

    Args:
        root: the folder that holds train/ and test/. The training text is always read: it defines the table of word
            vectors.
        split: ``train``, ``valid`` or ``test``.
        dim: of a word's vector.
        window: words to the left and to the right that the table counts as beside a word.
        seed: not used, sentences are not augmented.
        limit: keep the first so many sentences; None keeps all.
        name: as in conf/dataset.
        follow_links: symbolic links may lead out of the root. It changes no sample and no setting.

    Raises:
        UsageError: an option is out of range.
        DataError: a file cannot be used, see `files.read`.
    """

    space = WORDS

    def __init__(
        self,
        root: Path | str,
        split: str,
        dim: int = 64,
        window: int = 3,
        seed: int = 0,
        limit: int | None = None,
        name: str = "slu",
        follow_links: bool = False,
    ) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"limit={limit}: expected at least 1 sentence, or null for all")
        flag(follow_links, "dataset.follow_links")
        dim, window = _checked(dim, window)
        self.name, self.root, self.split, self.seed = name, existing_root(root, name), split, seed
        training = files_of(self.root, "train", follow_links)
        self._files = files_of(self.root, split, follow_links)
        self.text = text_of(training, dim, window)
        sentences = self.text.sentences if self._files == training else read(self._files)
        self._listed, self.sentences = len(sentences), sentences[:limit]
        self.length = max(len(sentence.words) for sentence in sentences)
        tested = sentences if split == "test" else read(files_of(self.root, "test", follow_links))
        self.intents = with_new(self.text.intents, (one.intent for one in tested))
        self.tags = with_new(self.text.tags, (tag for one in tested for tag in one.tags))
        self.tasks = _tasks(self.intents, self.tags)

    @classmethod
    def tasks_of(cls, options: Mapping[str, object]) -> tuple[Task, ...] | None:
        """They depend on the files; the options are checked."""
        _checked(options.get("dim", 64), options.get("window", 3))
        return None

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def listed(self) -> int:
        """Sentences of the whole split."""
        return self._listed

    def sample(self, index: int, draw: int | None = None) -> Sample:
        """Sentence `index`; `draw` changes nothing."""
        sentence = self.sentences[index]
        words = torch.zeros(self.length, dtype=torch.long)
        words[: len(sentence.words)] = torch.tensor(self.text.numbers(sentence.words))
        is_word = torch.arange(self.length) < len(sentence.words)
        inputs = torch.where(is_word[:, None], self.text.inputs[words], 0)
        movable = is_word[:, None].repeat(1, inputs.shape[1])
        movable[:, -1] = False
        return Sample(
            inputs,
            self._targets(sentence),
            {INTENT: _whole(True), SLOTS: is_word[None, :, None], COUNT: _whole(True)},
            str(index + 1),
            movable,
            self.space,
            Substitutes(self.text.inputs, self.text.members, words, self.text.groups(sentence, self.length)),
        )

    def _targets(self, sentence: Sentence) -> dict[str, Tensor]:
        tags = torch.zeros(self.length, dtype=torch.long)
        tags[: len(sentence.tags)] = torch.tensor([self.tags.index(tag) for tag in sentence.tags])
        slots = min(max(len(spans(sentence.tags)), 1), len(COUNTS))
        return {
            INTENT: _whole(self.intents.index(sentence.intent)),
            SLOTS: tags[None, :, None],
            COUNT: _whole(slots - 1),
        }

    def files(self, index: int) -> Iterable[Path]:
        """The files of the split: all sentences lie in them."""
        return self._files

    def settings(self) -> dict[str, object]:
        """The table, by its options and the training text that it follows from; the labels that only the test has."""
        new = [*self.intents[len(self.text.intents) :], *self.tags[len(self.text.tags) :]]
        table = {"dim": self.text.dim, "window": self.text.window, "text": self.text.fingerprint}
        return {"embedding": table} | ({"only_in_test": new} if new else {})


def _checked(dim: object, window: object) -> tuple[int, int]:
    return (
        whole(dim, "dataset.embedding.dim", 1, LARGEST_DIM),
        whole(window, "dataset.embedding.window", 1),
    )


def _tasks(intents: Sequence[str], tags: Sequence[str]) -> tuple[Task, ...]:
    """All of them are trained by cross-entropies, and attacked through them."""
    accuracy = ("accuracy",)
    # A class needs another one to be told from.
    named = intents if len(intents) > 1 else (*intents, "<other>")
    return (
        classification(named, name=INTENT, attack_loss=None, metrics=accuracy),
        segmentation(tags, name=SLOTS, ignore=None, metrics=("span_f1", "token_accuracy")),
        classification(COUNTS, name=COUNT, attack_loss=None, metrics=accuracy),
    )


def _whole(value: int | bool) -> Tensor:
    """The target or mask of a task per sentence, [1, 1, 1]."""
    return torch.tensor(value)[None, None, None]
