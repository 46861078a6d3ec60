"""Metrics of tasks that predict one number per pixel: depth, keypoints and edges."""

from mtlbench.metrics.base import Metric, PixelMean
from mtlbench.metrics.layout import DELTAS


def _error(name: str, unit: str, statistic: str, total: str) -> Metric:
    """A mean error; the reference averages the means of its batches."""
    return PixelMean(name, unit, False, statistic=statistic, total=total, paper_batches=True)


def _delta(name: str) -> Metric:
    """Percentage of pixels with max(p/g, g/p) within the threshold; the reference lets a negative p pass."""
    return PixelMean(name, "%", True, statistic="depth_sums", total=f"positive_{name}", paper_total=name, scale=100)


METRICS: tuple[Metric, ...] = (
    _error("abs_err", "m", "depth_sums", "abs"),
    _error("rel_err", "1", "depth_sums", "rel"),
    *(_delta(name) for name in DELTAS),
    _error("log_depth_err", "log units", "l1_sums", "abs"),
    _error("keypoint_err", "1", "l1_sums", "abs"),
    _error("edge_err", "1", "l1_sums", "abs"),
)
