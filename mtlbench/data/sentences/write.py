"""The on-disk format of the generated sentences: that of ATIS and SNIPS, see `data.slu.files`."""

from pathlib import Path

from mtlbench.data.generated import Entries, Form
from mtlbench.data.sentences.grammar import render
from mtlbench.data.slu.files import FILES, Sentence

VERSION = 1
"""Increment it whenever the same parameters give different files."""


class SLUForm(Form[Sentence]):
    """Words, tags and intents, a line each."""

    name, folder = "slu", "sentences"
    version = VERSION
    manifest = "sentences.json"
    counted, sized = "sentences", False

    def render(self, seed: int, split: str, index: int, height: int, width: int) -> Sentence:
        """See `render`."""
        return render(seed, split, index)

    def write(self, root: Path, split: str, index: int, sentence: Sentence) -> list[str]:
        """No file of its own: its lines, in the order of `FILES`."""
        return [" ".join(sentence.words), " ".join(sentence.tags), sentence.intent]

    def finish(self, root: Path, entries: Entries) -> None:
        """The files of both splits."""
        for split, lines in entries.items():
            (root / split).mkdir()
            for name, column in zip(FILES, zip(*lines, strict=True), strict=True):
                (root / split / name).write_text("\n".join(column) + "\n", encoding="utf-8", newline="\n")


FORMS: dict[str, Form[Sentence]] = {form.name: form for form in (SLUForm(),)}
