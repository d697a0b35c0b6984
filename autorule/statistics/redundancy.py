"""Which rules say the same: correlation of verdicts, and of what they say about pairs."""

import numpy as np

from autorule.statistics.matrix import Bools, Floats, PairMatrix

LEAST_SHARED = 20
"""Verdicts, or pairs, that both rules speak about: fewer correlate by chance."""
DUPLICATE_PHI = 0.8
DUPLICATE_OVERLAP = 0.5
"""Of the verdicts of the rarer rule: two rules that mostly speak about other completions are no duplicates."""


def phi_of_verdicts(matrix: PairMatrix) -> Floats:
    """The phi coefficient of each two rules over both sides of the pairs; NaN where they share few verdicts, or one
    never varies."""
    return _where_shared(np.concatenate(matrix.values()))


def phi_of_differences(matrix: PairMatrix) -> Floats:
    """The same of chosen minus rejected: rules that tell the same pairs apart, the same way."""
    return _where_shared(matrix.differences())


def shared_verdicts(matrix: PairMatrix) -> Floats:
    """On how many sides both rules have a value, for each two; on the diagonal, each rule."""
    return _shared(np.concatenate(matrix.values()))


def duplicates(phi: Floats, shared: Floats) -> Bools:
    """Whether each two rules say the same, by their correlation and by what they speak about."""
    own = np.diag(shared)
    overlap = shared / np.maximum(np.minimum(own[:, None], own[None, :]), 1)
    return np.asarray((phi >= DUPLICATE_PHI) & (overlap >= DUPLICATE_OVERLAP))


def correlations(values: Floats) -> Floats:
    """Pearson's correlation of each two columns over the rows where both are known; NaN where one does not vary."""
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    n = known.T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        sums, squares = filled.T @ known, (filled**2).T @ known
        covariance = filled.T @ filled / n - sums * sums.T / n**2
        variance = squares / n - (sums / n) ** 2
        # A variance of rounding alone is none.
        spread = np.where(variance > 1e-12 * np.maximum(squares / n, 1e-300), variance, np.nan)
        found = covariance / np.sqrt(spread * spread.T)
    return np.asarray(np.clip(found, -1, 1))


def _where_shared(values: Floats) -> Floats:
    return np.where(_shared(values) >= LEAST_SHARED, correlations(values), np.nan)


def _shared(values: Floats) -> Floats:
    known: Floats = (~np.isnan(values)).astype(np.float64)
    return np.asarray(known.T @ known, dtype=np.float64)
