"""The score of a side as the reward itself counts it: own weights, hard or soft, none where verdicts are missing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autorule.config.stages import RewardConfig
from autorule.records import Rule
from autorule.statistics.baselines import Scores
from autorule.statistics.matrix import UNSCORED, Bools, Floats, PairMatrix

ROUNDING = 1e-9


def rewarded_scores(matrix: PairMatrix, rules: Sequence[Rule], reward: RewardConfig) -> Scores:
    """(chosen, rejected): the fraction that rewards/rule_reward.py would give; NaN where the reward is unscored."""
    weights = np.array([rule.weight for rule in rules])
    chosen, rejected = matrix.values(soft=reward.fraction == "soft")
    return (
        _fractions(chosen, matrix.chosen, weights, reward.min_scored),
        _fractions(rejected, matrix.rejected, weights, reward.min_scored),
    )


def failed_pairs(matrix: PairMatrix, rules: Sequence[Rule], reward: RewardConfig) -> Bools:
    """Whether each pair has a side without a reward because the verifier failed, not because no rule applies."""
    scores = rewarded_scores(matrix, rules, reward)
    labels = matrix.chosen, matrix.rejected
    chosen, rejected = (np.isnan(one) & (own == UNSCORED).any(axis=1) for one, own in zip(scores, labels, strict=True))
    return np.asarray(chosen | rejected)


def _fractions(values: Floats, labels: NDArray[np.int8], weights: Floats, min_scored: float) -> Floats:
    counted = ~np.isnan(values)
    enough = (labels != UNSCORED) @ weights >= min_scored * weights.sum() - ROUNDING
    total = counted @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(enough & (total > 0), np.nan_to_num(values) @ weights / total, np.nan)
