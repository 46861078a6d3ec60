"""Constants that several units must agree on."""

GREY_LEVELS = 255.0
"""The radius eps is in grey levels of an image in [0, 255]; eps / GREY_LEVELS is in the unit of images in [0, 1]."""

SMALLEST_LOSS = 1e-8
"""DGBA clamps losses to it: below, 1 / L would explode, and a loss of 0 (no valid pixel) has no direction."""

MIN_CLEAN = 1e-6
"""Relative to a smaller clean value, a drop is undefined."""

NO_ATTACK = "none"
"""The attack of clean cells and of training without attacks, as in conf/attack and in tables."""

INPUT = "image"
"""Where a run of an attack may start: at the clean input. With the two below the values of ``attack.starts``."""

NEAREST_OTHER = "nearest_other"
"""On the way to, for each attacked task, the nearest training input, or centre of them, with another label."""

AVERAGE_OTHER = "average_other"
"""On the way from the average of the input's label to that of the other label, for each attacked task."""

SAMPLE_OF = "sample_of"
"""In the identity of a cell of some images only: the key of the cell of all images whose convergence it checks."""
