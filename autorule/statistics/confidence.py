"""Is the one call about both responses as often right as it is sure? Its confidence in bins, and how far off it is."""

from collections.abc import Sequence

import numpy as np

from autorule.statistics.agreement import effective_sizes, wilson
from autorule.statistics.matrix import PairMatrix
from autorule.statistics.records import ConfidenceBin, Interval
from autorule.statistics.rule_statistics import number
from autorule.statistics.weighting import SAME

BINS = 5


def one_call_bins(matrix: PairMatrix) -> list[ConfidenceBin]:
    """Pairs by the confidence max(p, 1 - p), in bins of as many each; p = ½ names no side and is left out."""
    if matrix.one_call is None:
        return []
    p = np.round(matrix.one_call, 9)  # what differs by rounding only belongs together
    confidence = np.maximum(p, 1 - p)
    known = ~np.isnan(p) & (confidence > 0.5 + SAME)
    if not known.any():
        return []
    edges = np.unique(np.quantile(confidence[known], np.linspace(0, 1, BINS + 1)))
    place = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, max(0, len(edges) - 2))
    found = []
    for own in (known & (place == index) for index in range(max(1, len(edges) - 1))):
        if not own.any():
            continue
        right = (p > 0.5)[own, None]
        share = right.mean(axis=0)
        low, high = wilson(share, effective_sizes(right, np.ones_like(right), matrix.prompts[own]))
        found.append(
            ConfidenceBin(
                low=float(confidence[own].min()),
                high=float(confidence[own].max()),
                confidence=float(confidence[own].mean()),
                accuracy=Interval(value=number(share[0]), low=number(low[0]), high=number(high[0])),
                n_pairs=int(own.sum()),
            )
        )
    return found


def calibration_error(bins: Sequence[ConfidenceBin]) -> float | None:
    """The expected calibration error: mean distance of confidence from accuracy, bins weighed by their pairs."""
    n = sum(one.n_pairs for one in bins)
    if not n:
        return None
    return sum(one.n_pairs * abs((one.accuracy.value or 0.0) - one.confidence) for one in bins) / n
