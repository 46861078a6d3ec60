"""Generated sentences to an assistant, in the form of ATIS and SNIPS: intents, and slots with values."""

from mtlbench.data.sentences.write import FORMS

__all__ = ["FORMS"]
