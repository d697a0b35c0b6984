"""Weights of rules from preferences: what to multiply each verdict with so that preferred sides score higher.

Every method gives one number for each rule; the score of a side is the weighted mean of its verdicts. Differences of a
pair where a rule counts for nothing are 0: they speak for neither side. The methods that are fitted (logistic, hinge)
look at weighted sums of differences, which order a pair as the means do where all rules count on both sides, and nearly
so elsewhere; what they are worth is measured on the means.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from autorule.statistics.matrix import Floats, PairMatrix

SHRINKAGE = 0.1
SAME = 1e-9
"""Scores as near as this are equal: they differ by rounding only."""


def uniform(matrix: PairMatrix) -> Floats:
    return np.ones(matrix.n_rules)


def log_odds(matrix: PairMatrix) -> Floats:
    """log of agreeing over disagreeing discordant pairs, each plus a half; 0 for a rule that tells nothing, negative
    for one that points the wrong way."""
    differences = matrix.differences()
    return np.asarray(np.log((differences == 1).sum(axis=0) + 0.5) - np.log((differences == -1).sum(axis=0) + 0.5))


def logistic(
    matrix: PairMatrix, penalty: Literal["l1", "l2"] = "l2", c: float = 1.0, nonnegative: bool = False
) -> Floats:
    """Bradley–Terry on verdict differences (Bradley and Terry 1952), without an intercept, since sides have no order.

    Strengths of preference scale the loss of a pair (HelpSteer2-Preference, arXiv 2410.01257). scikit-learn fits it;
    the non-negative one is scipy's L-BFGS-B, under an L2 penalty.
    """
    x = np.nan_to_num(matrix.differences())
    strength = _strengths(matrix)
    if nonnegative:
        return _nonnegative_logistic(x, strength, c)
    from sklearn.linear_model import LogisticRegression

    # Both orders of every pair: scikit-learn wants two classes.
    both, labels = np.concatenate([x, -x]), np.repeat([1, 0], len(x))
    solver = (
        {"l1_ratio": 1.0, "solver": "liblinear", "random_state": 0}
        if penalty == "l1"
        else {"solver": "newton-cholesky"}
    )
    model = LogisticRegression(C=c / 2, fit_intercept=False, max_iter=2000, **solver)
    return np.asarray(model.fit(both, labels, sample_weight=np.concatenate([strength, strength])).coef_[0])


def hinge(matrix: PairMatrix, c: float = 1.0) -> Floats:
    """Weights that lift preferred sides a margin of 1 above the others on top of a reward model's scores.

    The least ½|w|² + C · Σ strength · max(0, 1 − d_rm − w·d)² with w ≥ 0, where d_rm is the model's score of the
    chosen side minus that of the rejected one; scipy solves it. Pairs that the model did not score are left out.
    """
    assert matrix.chosen_model is not None and matrix.rejected_model is not None
    scored = ~np.isnan(matrix.chosen_model - matrix.rejected_model)
    x = np.nan_to_num(matrix.differences())[scored]
    ahead = (matrix.chosen_model - matrix.rejected_model)[scored]
    strength = _strengths(matrix)[scored]

    def loss(weights: Floats) -> tuple[float, Floats]:
        short = np.maximum(0.0, 1.0 - ahead - x @ weights)
        value = 0.5 * float(weights @ weights) + c * float(strength @ short**2)
        return value, weights - 2 * c * (strength * short) @ x

    return _minimise(loss, matrix.n_rules)


def whitened(matrix: PairMatrix, shrinkage: float = SHRINKAGE) -> Floats:
    """Σ^(−1/2) · 1 on the covariance of verdicts (both sides): rules that say the same share one vote (RRD, arXiv
    2602.05125). Shrunk towards its diagonal, so that few pairs can be inverted; 0 for a rule that never varies."""
    chosen, rejected = matrix.values()
    values = np.concatenate([chosen, rejected])
    known = ~np.isnan(values)
    centred = np.where(known, values - np.nan_to_num(values).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    shared = known.T.astype(np.float64) @ known
    covariance = centred.T @ centred / np.maximum(1, shared - 1)
    weights = np.zeros(matrix.n_rules)
    varies = np.flatnonzero(np.diag(covariance) > SAME)
    own = covariance[np.ix_(varies, varies)]
    eigenvalues, vectors = np.linalg.eigh((1 - shrinkage) * own + shrinkage * np.diag(np.diag(own)))
    if len(varies):  # each two rules have their own gaps: the matrix may be no covariance, with an eigenvalue below 0
        eigenvalues = np.maximum(eigenvalues, shrinkage * np.diag(own).min())
    weights[varies] = vectors @ ((vectors.T @ np.ones(len(varies))) / np.sqrt(eigenvalues))
    return weights


def on_model(matrix: PairMatrix, weights: Floats) -> tuple[Floats, Floats]:
    """(chosen, rejected): a reward model's score plus the sum of the weights times the weighted fraction, as a reward
    would add it; the model alone where rules are silent about a side. NaN where the model has no score."""
    assert matrix.chosen_model is not None and matrix.rejected_model is not None
    chosen, rejected = pair_scores(matrix, weights)
    silent = np.isnan(chosen - rejected)
    total = weights.sum()
    return (
        matrix.chosen_model + np.where(silent, 0.0, total * chosen),
        matrix.rejected_model + np.where(silent, 0.0, total * rejected),
    )


def pair_scores(matrix: PairMatrix, weights: Floats, soft: bool = False) -> tuple[Floats, Floats]:
    """(chosen, rejected): the weighted mean of each side over the rules that count; NaN where none does."""
    return tuple(_means(values, weights) for values in matrix.values(soft))  # type: ignore[return-value]


def pair_accuracy(chosen: Floats, rejected: Floats) -> Floats:
    """1 where the preferred side scores higher, ½ where both score the same, 0 else; NaN where a side has no score."""
    difference = chosen - rejected
    right = np.where(np.abs(difference) < SAME, 0.5, (difference > 0).astype(np.float64))
    return np.where(np.isnan(difference), np.nan, right)


def _strengths(matrix: PairMatrix) -> Floats:
    """With a mean of 1, so that a penalty weighs the same on whatever scale they are; 1 where there is none."""
    if matrix.strength is None or np.isnan(matrix.strength).all():
        return np.ones(matrix.n_pairs)
    return np.nan_to_num(matrix.strength / np.nanmean(matrix.strength), nan=1.0)


def _means(values: Floats, weights: Floats) -> Floats:
    counted = ~np.isnan(values)
    total = counted @ np.abs(weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, np.nan_to_num(values) @ weights / total, np.nan)


def _nonnegative_logistic(x: Floats, strength: Floats, c: float) -> Floats:
    def loss(weights: Floats) -> tuple[float, Floats]:
        margins = x @ weights
        wrong = 1 / (1 + np.exp(np.clip(margins, -500, 500)))
        value = float(strength @ np.logaddexp(0, -margins))
        return 0.5 * float(weights @ weights) + c * value, weights - c * (strength * wrong) @ x

    return _minimise(loss, x.shape[1])


def _minimise(loss: Callable[[Floats], tuple[float, Floats]], n: int) -> Floats:
    from scipy.optimize import minimize

    found = minimize(loss, np.zeros(n), jac=True, method="L-BFGS-B", bounds=[(0, None)] * n)
    return np.asarray(found.x)
