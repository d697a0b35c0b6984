"""Learning curves: what more rules, and more labelled pairs, would bring. Fitted on dev, measured on test prompts."""

import numpy as np

from autorule.evaluation.agreement import measure_agreement
from autorule.evaluation.matrix import Floats, PairMatrix
from autorule.evaluation.records import CurvePoint, Curves, Interval
from autorule.evaluation.resampling import ROUNDS, bootstrap_means
from autorule.evaluation.splits import on_test
from autorule.evaluation.weighting import log_odds, pair_accuracy, pair_scores

STEPS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200)
PAIR_STEPS = (25, 50, 100, 200, 400, 800, 1600, 3200, 6400)
DRAWS = 20


def learning_curves(matrix: PairMatrix, rounds: int = ROUNDS, seed: int = 0) -> Curves:
    """Accuracy on test prompts by the number of rules (surest first by dev) and by the number of pairs of dev."""
    test = on_test(matrix.prompts, seed)
    dev_part, test_part = matrix.of(~test), matrix.of(test)
    return Curves(by_rules=_by_rules(dev_part, test_part, rounds, seed), by_pairs=_by_pairs(dev_part, test_part, seed))


def _by_rules(dev: PairMatrix, test: PairMatrix, rounds: int, seed: int) -> tuple[CurvePoint, ...]:
    order = np.argsort(-np.nan_to_num(measure_agreement(dev).low), kind="stable")
    sizes = [n for n in STEPS if n < dev.n_rules] + [dev.n_rules]
    columns = np.column_stack([_told(test, np.isin(np.arange(dev.n_rules), order[:n]).astype(float)) for n in sizes])
    found = bootstrap_means(columns, test.prompts, seed, rounds)
    return tuple(CurvePoint(n=n, accuracy=one) for n, one in zip(sizes, found, strict=True))


def _by_pairs(dev: PairMatrix, test: PairMatrix, seed: int) -> tuple[CurvePoint, ...]:
    """Pairs are drawn prompt by prompt, in the order of a permutation, until there are so many; the last is cut."""
    rng = np.random.default_rng(seed)
    sizes = [n for n in PAIR_STEPS if n < dev.n_pairs] + [dev.n_pairs]
    accuracies = np.empty((DRAWS, len(sizes)))
    for draw in range(DRAWS):
        distinct, inverse = np.unique(dev.prompts, return_inverse=True)
        order = np.argsort(rng.permutation(len(distinct))[inverse], kind="stable")
        for column, n in enumerate(sizes):
            weights = np.maximum(0.0, log_odds(dev.of(order[:n])))
            accuracies[draw, column] = _told(test, weights).mean()
    low, high = np.quantile(accuracies, [0.025, 0.975], axis=0)
    means = accuracies.mean(axis=0)
    # The last is all of dev, the same in every draw: there is no spread to tell.
    ends = [*((float(a), float(b)) for a, b in zip(low[:-1], high[:-1], strict=True)), (None, None)]
    return tuple(
        CurvePoint(n=n, accuracy=Interval(value=float(means[i]), low=ends[i][0], high=ends[i][1]))
        for i, n in enumerate(sizes)
    )


def _told(matrix: PairMatrix, weights: Floats) -> Floats:
    return np.nan_to_num(pair_accuracy(*pair_scores(matrix, weights)), nan=0.5)
