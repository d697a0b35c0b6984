"""Which rules say the same: correlation of verdicts, and of what they say about pairs."""

import numpy as np

from autorule.evaluation.matrix import Floats, PairMatrix


def phi_of_verdicts(matrix: PairMatrix) -> Floats:
    """The phi coefficient of each two rules over both sides of the pairs; 0 where a rule never varies."""
    chosen, rejected = matrix.values()
    return correlations(np.concatenate([chosen, rejected]))


def phi_of_differences(matrix: PairMatrix) -> Floats:
    """The same of chosen minus rejected: rules that tell the same pairs apart, the same way."""
    return correlations(matrix.differences())


def correlations(values: Floats) -> Floats:
    """Pearson's correlation of each two columns over the rows where both are known."""
    known = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    n = known.T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        sums, squares = filled.T @ known, (filled**2).T @ known
        covariance = filled.T @ filled / n - sums * sums.T / n**2
        variance = squares / n - (sums / n) ** 2
        found = covariance / np.sqrt(np.maximum(variance, 0) * np.maximum(variance.T, 0))
    return np.where(np.isfinite(found), np.clip(found, -1, 1), 0.0)
