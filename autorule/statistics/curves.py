"""Learning curves: what more rules, and more labelled pairs, would bring. Fitted on dev, measured on test prompts."""

import numpy as np

from autorule.statistics.agreement import measure_agreement
from autorule.statistics.choosing import LEAST_SCORED, dev_and_test
from autorule.statistics.matrix import Floats, PairMatrix
from autorule.statistics.records import CurvePoint, Curves
from autorule.statistics.resampling import ROUNDS, bootstrap_means
from autorule.statistics.weighting import log_odds, pair_accuracy, pair_scores

STEPS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200)
PAIR_STEPS = (25, 50, 100, 200, 400, 800, 1600, 3200, 6400)
DRAWS = 20


def learning_curves(
    matrix: PairMatrix, rounds: int = ROUNDS, seed: int = 0, min_scored: float = LEAST_SCORED
) -> Curves:
    """Accuracy on test prompts by the number of rules (surest first by dev) and by the number of pairs of dev.

    Raises ConfigError when dev or test has too few prompts.
    """
    dev, test = dev_and_test(matrix, seed, min_scored)
    by_rules, by_pairs = _by_rules(dev, test), _by_pairs(dev, test, seed)
    return Curves(
        by_rules=_points(by_rules, test, rounds, seed),
        by_pairs=_points(by_pairs, test, rounds, seed),
    )


def _points(right: dict[int, Floats], test: PairMatrix, rounds: int, seed: int) -> tuple[CurvePoint, ...]:
    columns = np.column_stack(list(right.values()))
    found = bootstrap_means(columns, test.prompts, seed, rounds, n_shares=len(right))
    return tuple(CurvePoint(n=n, accuracy=one) for n, one in zip(right, found, strict=True))


def _by_rules(dev: PairMatrix, test: PairMatrix) -> dict[int, Floats]:
    """Number of rules -> whether each test pair is told right by as many, with equal weights."""
    order = np.argsort(-np.nan_to_num(measure_agreement(dev).low), kind="stable")
    sizes = [n for n in STEPS if n < dev.n_rules] + [dev.n_rules]
    return {n: _told(test, np.isin(np.arange(dev.n_rules), order[:n]).astype(float)) for n in sizes}


def _by_pairs(dev: PairMatrix, test: PairMatrix, seed: int) -> dict[int, Floats]:
    """Number of pairs -> how often each test pair is told right, over the draws of so many pairs of dev.

    Pairs are drawn prompt by prompt, in the order of a permutation, until there are so many; the last is cut.
    """
    rng = np.random.default_rng(seed)
    distinct, inverse = np.unique(dev.prompts, return_inverse=True)
    sizes = [n for n in PAIR_STEPS if n < dev.n_pairs] + [dev.n_pairs]
    right = {n: np.zeros(test.n_pairs) for n in sizes}
    for _ in range(DRAWS):
        order = np.argsort(rng.permutation(len(distinct))[inverse], kind="stable")
        for n in sizes:
            right[n] += _told(test, np.maximum(0.0, log_odds(dev.of(order[:n])))) / DRAWS
    return right


def _told(matrix: PairMatrix, weights: Floats) -> Floats:
    return np.nan_to_num(pair_accuracy(*pair_scores(matrix, weights)), nan=0.5)
