"""Colours: of classes, of numbers, of what does not count.

The first 13 class colours are a greedy choice: the smallest CIEDE2000 difference under normal sight and three
dichromacies is as large as possible (13.8); the next 27 continue it (7.4), see ``scripts/class_colours.py``. Names in
a legend are needed all the same, since in grey no 13 colours can be told apart. Cividis (Nunez, Anderton and Renslow
2018) and inferno (Smith and van der Walt 2015) are given by 33 of their 256 entries (both tables are CC0).
"""

import numpy as np


def _colours(text: str) -> np.ndarray:
    return np.array([list(bytes.fromhex(colour)) for colour in text.split()], np.uint8)


CLASS_COLOURS = _colours(
    "000000 f3fb9a b911e6 2d7a21 03fcfd 514e5b 8b9c9c aeaa22 560580 0e370d ba90f9 53c287 c8edcd "
    "787869 2d002d 783c3c 697887 ffd200 5a964b 784b87 b478b4 c3c3c3 0000d2 2d2d2d 1e5a00 d2a5d2 b4d278 "
    "00005a 969687 695a5a 3c3c5a 875a4b d23cff 0f1e0f b4c3ff f07869 7869a5 69e1a5 3c4bb4 b4fff0"
)
DISTINCT = 13
"""So many of them differ clearly."""

CIVIDIS = _colours(
    "00224e 00285b 002e6a 053371 1a386f 273e6e 32436d 3b496c 434e6c 4b546c 535a6d 5a5f6e 61656f 686a71 6f7073 767676 "
    "7d7c78 838179 8b8778 928d78 9a9376 a29975 aaa073 b3a670 bbad6d c3b369 ccba64 d4c15f ddc858 e6d051 efd748 f8df3c "
    "fee838"
)
INFERNO = _colours(
    "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d 8a226a 972766 a32c61 b0315b "
    "bc3754 c63d4d d04545 da4e3c e35933 eb6429 f1711f f67e14 f98c0a fb9b06 fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 "
    "fcffa4"
)
RIGHT, WRONG = _colours("f2f2f2 c2410c")
HATCH = _colours("767676 b4b4b4")
LEVELS = 64
"""Colours of a scale: with 256 a map of depth or errors takes twice the bytes."""

STRIPE = 2
"""Pixels of a map across half a period of the hatching."""


def of_classes(ids: np.ndarray) -> np.ndarray:
    """Class ids [h, w] -> [h, w, 3] uint8; beyond 40 classes the colours repeat."""
    return CLASS_COLOURS[np.asarray(ids, np.int64) % len(CLASS_COLOURS)]


def of_numbers(values: np.ndarray, low: float, high: float, anchors: np.ndarray) -> np.ndarray:
    """Numbers [h, w] -> [h, w, 3] uint8 in `LEVELS` colours; clipped to `low` .. `high`, NaN is drawn as `low`."""
    share = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    share = np.round(share * (LEVELS - 1)) / (LEVELS - 1) * (len(anchors) - 1)
    below = np.minimum(share.astype(np.int64), len(anchors) - 2)
    part = (share - below)[..., None]
    return np.round(anchors[below] * (1 - part) + anchors[below + 1] * part).astype(np.uint8)


def hatched(picture: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The picture [h, w, 3] with diagonal grey stripes where `valid` [h, w] is False."""
    rows, columns = np.indices(valid.shape)
    stripes = HATCH[(rows + columns) // STRIPE % 2]
    return np.where(valid[..., None], picture, stripes)
