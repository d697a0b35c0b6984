"""Statistics of series over training steps. Means of batches are noisy, and their noise is not normal: ranks and
medians of slopes need no such assumption. All of them take steps as independent of each other, given the trend.
"""

from typing import NamedTuple

import numpy as np

from autorule.statistics.matrix import Floats

EQUAL = 1e-9
LEAST_HELD = 3
"""At the end of a log, fewer steps than this are chance."""
LEAST_WINDOW = 10
ALPHA = 0.05
POINTS = 12
"""Blocks of a long window."""
MOST_POINTS = 1000
"""Theil-Sen looks at all pairs of points: longer series are averaged in so many blocks."""


def onset(steps: Floats, values: Floats, threshold: float, hold: int) -> int | None:
    """The first step from which all values are at least `threshold` for `hold` steps, or to the end of the log where
    that comes sooner (but for three steps at least, or `hold` if that is less). NaN is no step."""
    known = ~np.isnan(values)
    steps, held = steps[known], values[known] >= threshold - EQUAL
    n = len(steps)
    run = 0
    found = None
    for i in range(n - 1, -1, -1):
        run = run + 1 if held[i] else 0
        if run >= max(min(hold, n - i), min(LEAST_HELD, hold)):
            found = int(steps[i])
    return found


class Crossing(NamedTuple):
    found: bool
    first: int
    last: int
    """First and last step of the window."""
    p_value: float
    rising_slope: float
    falling_slope: float
    n_windows: int


def first_crossing(steps: Floats, rising: Floats, falling: Floats, window: int, alpha: float = ALPHA) -> Crossing:
    """The first window of about `window` steps in which one series rises and the other falls, both beyond chance.

    In each window the trend of a series is tested by Kendall's tau against the step (Mann 1945), one-sided. Both must
    be there, so the window's p-value is the greater of the two (an intersection-union test, Berger 1982). There are
    many windows: p-values are multiplied by their number (Bonferroni), so that over the whole log a false alarm comes
    with at most `alpha`, however the windows overlap. Slopes are Theil-Sen's (Sen 1968). Without such a window, the one
    with the least p-value is told.

    The test takes points as independent. Neighbouring steps of a run are alike, so long windows are cut into blocks
    whose means are the points (batch means). Needs at least `window` steps, no NaN, and scipy.
    """
    from scipy import stats

    n_blocks = len(steps) // max(1, window // POINTS)
    blocks = np.array_split(steps, n_blocks)
    points, up, down = (_block_means(values, n_blocks) for values in (steps, rising, falling))
    width = window // max(1, window // POINTS)
    n_windows = n_blocks - width + 1
    best, least = 0, np.inf
    for start in range(n_windows):
        part = slice(start, start + width)
        tests = ((up, "greater"), (down, "less"))
        p_values = [stats.kendalltau(points[part], values[part], alternative=side).pvalue for values, side in tests]
        p_value = n_windows * max(1.0 if np.isnan(p) else float(p) for p in p_values)  # NaN: a constant has no trend
        if p_value < least:
            best, least = start, p_value
        if p_value <= alpha:
            break
    part = slice(best, best + width)
    return Crossing(
        found=bool(least <= alpha),
        first=int(blocks[best][0]),
        last=int(blocks[best + width - 1][-1]),
        p_value=min(1.0, least),
        rising_slope=float(stats.theilslopes(up[part], points[part]).slope),
        falling_slope=float(stats.theilslopes(down[part], points[part]).slope),
        n_windows=n_windows,
    )


class Slope(NamedTuple):
    slope: float
    low: float
    high: float


def theil_sen(steps: Floats, values: Floats, confidence: float = 0.95) -> Slope:
    """The median of all slopes between two points, with Sen's interval. NaN is no step; needs two others, and scipy."""
    from scipy import stats

    known = ~np.isnan(values)
    n_points = min(int(known.sum()), MOST_POINTS)
    steps, values = _block_means(steps[known], n_points), _block_means(values[known], n_points)
    found = stats.theilslopes(values, steps, alpha=confidence)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope))


def _block_means(values: Floats, n_blocks: int) -> Floats:
    return np.array([block.mean() for block in np.array_split(values, n_blocks)])


def spearman(one: Floats, other: Floats) -> float | None:
    """The rank correlation over places where both are known; None where one of them is constant. Needs scipy."""
    from scipy import stats

    known = ~(np.isnan(one) | np.isnan(other))
    one, other = one[known], other[known]
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(one, other).statistic)
