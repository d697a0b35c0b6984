"""What the axes of the plots have in common: shares in per cent, intervals as bars, counts as whole numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autorule.statistics.records import Interval

SMALL = 4.7
"""Inches: half of the page."""
ROOM = 0.03


def errors(intervals: Sequence[Interval]) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Values, and the lengths of the intervals below and above them; 0 where there is no interval."""
    values = np.array([interval.value for interval in intervals], dtype=np.float64)
    low = np.array([i.value if i.low is None else i.low for i in intervals], dtype=np.float64)
    high = np.array([i.value if i.high is None else i.high for i in intervals], dtype=np.float64)
    return values, np.maximum(0.0, np.stack([values - low, high - values]))


def share_limits(intervals: Sequence[Interval], least: float = 0.4, most: float = 0.6) -> tuple[float, float]:
    """Ends of an axis that shows all of the intervals, `least` and `most`, and nothing far beyond 0 and 1."""
    values, lengths = errors(intervals)
    low, high = min(least, float(np.min(values - lengths[0]))), max(most, float(np.max(values + lengths[1])))
    return max(0.0, low) - ROOM, min(1.0, high) + ROOM


def percent_axis(axis: Any) -> None:
    """Shares as per cent; a tick that no share can reach has no label."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{100 * value:.4g}%" if -1e-9 <= value <= 1 + 1e-9 else "")
    )


def whole_axis(axis: Any) -> None:
    """Counts have no halves."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
