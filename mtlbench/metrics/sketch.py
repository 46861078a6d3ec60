"""What a finished cell keeps of a histogram that only gives a median: the two middle counts, and how many lie beside.

The median is the same, to the bin; the other counts are no longer needed once no image will be added.
"""

from collections.abc import Mapping

import numpy as np

FINE = "angle_histogram_fine"


def sketched(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays ``<task>/<statistic>`` of a finished cell, fine histograms replaced by their sketch."""
    return {name: sketch(a) if name.rpartition("/")[2] == FINE else a for name, a in arrays.items()}


def sketch(counts: np.ndarray) -> np.ndarray:
    """A histogram [K + 1] of the same length, sum, NaN count (the last bin) and middle bins.

    The counts below the middle bins are in the first bin, those above in the last bin before that of NaN. The sketch
    of a sketch is itself.
    """
    total = int(counts[:-1].sum())
    found = np.zeros_like(counts)
    found[-1] = counts[-1]
    if total:
        middle = np.array([(total - 1) // 2, total // 2])
        low, high = np.searchsorted(np.cumsum(counts[:-1]), middle, side="right")
        found[0] += counts[:low].sum()
        found[-2] += counts[high + 1 : -1].sum()
        found[low] += counts[low]
        if high != low:
            found[high] += counts[high]
    return found
