"""The columns of each statistic, shared by the torch code and the NumPy code. No torch.

Every statistic but `label_scores` is additive: the row of a set of images is the sum of the rows of its images.
"""

COLUMNS: dict[str, tuple[str, ...]] = {
    "cross_entropy": ("weight", "loss"),
    "angle_sums": ("count", "angle", "within_11.25", "within_22.5", "within_30"),
    "cosine_sums": ("count", "cosine"),
    "depth_sums": (
        "count",
        "abs",
        "rel",
        # max(p/g, g/p) <= threshold; a negative prediction p passes
        "delta_1.25",
        "delta_1.25^2",
        "delta_1.25^3",
        # the same, with a positive prediction
        "positive_delta_1.25",
        "positive_delta_1.25^2",
        "positive_delta_1.25^3",
    ),
    "l1_sums": ("count", "abs"),
    "span_counts": ("right", "predicted", "truth", "both"),  # spans of tags; both: the mean of predicted and truth
    "error_sums": ("count", "abs", "square"),  # over all outputs of a regression; each output of a pixel is counted
}
"""Column names of the statistics with a fixed width, in order."""

CLASS_BLOCKS = ("correct", "truth", "predicted")
"""`class_counts` is [.., 3 * C]: for each class its pixels predicted correctly, in the truth, predicted."""

LABEL_BLOCKS = ("hit", "true_positive", "false_positive", "false_negative")
"""`label_counts` is [.., 4 * A]: for each attribute those known and predicted so."""

SCORE_BLOCKS = ("score", "label")
"""`label_scores` is [N, 2 * A]: each attribute's logit and its label, NaN where it is not known. Never summed."""

VARIANCE_BLOCKS = ("count", "square", "truth", "truth_square")
"""`variance_sums` is [.., 4 * k]: for each output the targets, their squared errors, their sum and squares."""

WITHIN = {"within_11.25": 11.25, "within_22.5": 22.5, "within_30": 30.0}
"""Angle thresholds in degrees, inclusive."""

DELTAS = {"delta_1.25": 1.25, "delta_1.25^2": 1.25**2, "delta_1.25^3": 1.25**3}
"""Depth ratio thresholds, inclusive."""

BINS_PER_DEGREE = {"angle_histogram": 1, "angle_histogram_fine": 512}
"""Histograms of the angle over 0..180 degrees; one more bin at the end counts pixels whose angle is NaN."""


NAMES = frozenset(
    {*COLUMNS, *BINS_PER_DEGREE, "class_counts", "label_counts", "label_scores", "variance_sums"},
)
"""The built-in statistics; user-defined ones must have other names."""


def bins(name: str) -> int:
    """Number of angle bins of histogram `name`, without the bin for NaN."""
    return 180 * BINS_PER_DEGREE[name]


def column(statistic: str, name: str) -> int:
    """Position of column `name` in `statistic`."""
    return COLUMNS[statistic].index(name)
