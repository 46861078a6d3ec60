"""Constants that several units must agree on."""

GREY_LEVELS = 255.0
"""The radius eps is in grey levels of an image in [0, 255]; eps / GREY_LEVELS is in the unit of images in [0, 1]."""

SMALLEST_LOSS = 1e-8
"""DGBA clamps losses to it: below, 1 / L would explode, and a loss of 0 (no valid pixel) has no direction."""

MIN_CLEAN = 1e-6
"""Relative to a smaller clean value, a drop is undefined."""

NO_ATTACK = "none"
"""The attack of clean cells and of training without attacks, as in conf/attack and in tables."""

NO_DEFENCE = "none"
"""The defence of a model that is attacked as it is, as in conf/defence."""

LINF = "linf"
"""The norm of attacks unless another is chosen, and of results from before there was a choice; identities omit it."""

FIRST_GROUP = 0.6
"""Share of the clusters that are of class 1 of the first task, unless ``dataset.K1`` says how many."""

INPUT = "image"
"""Where a run of an attack may start: at the clean input. With the two below the values of ``attack.starts``."""

NEAREST_OTHER = "nearest_other"
"""On the way to, for each attacked task, the nearest training input, or centre of them, with another label."""

AVERAGE_OTHER = "average_other"
"""On the way from the average of the input's label to that of the other label, for each attacked task."""

SAMPLE_OF = "sample_of"
"""In the identity of a cell of some images only: the key of the cell of all images whose convergence it checks."""

VOTES, SELECTED, LABEL = "smoothing_votes", "smoothing_selected", "smoothing_label"
"""Arrays ``<task>/<name>`` of a cell under randomised smoothing, a row for each input: how many of the draws vote for
each class; the class that other draws selected; the true one, or -1 where the input does not count."""

NOISE = "smoothing_noise"
"""Beside them, in the unit of the input: deviation of the noise, and the Euclidean length of ``l2`` moves of eps 1."""
