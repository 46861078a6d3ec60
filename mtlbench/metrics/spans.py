"""F1 of spans of BIO tags, as the evaluation of CoNLL and seqeval define it (micro average, not strict).

A span is right if slot, first and last word are. It is not additive over words, so each sentence keeps its number of
right, predicted and true spans; F1 is right / ((predicted + true) / 2), one quotient of sums over the sentences.
"""

from dataclasses import dataclass

from mtlbench.metrics.base import Metric, PixelMean


@dataclass(frozen=True)
class SpanF1(PixelMean):
    """The quotient; what is climbed in its place is the tag of each word, since one wrong word loses its span."""

    stand_in = "one_minus_p"


METRICS: tuple[Metric, ...] = (SpanF1("span_f1", "1", True, statistic="span_counts", total="right", count="both"),)
