"""How often a way of scoring tells which side people preferred: the rule set, and what it must beat."""

from collections.abc import Sequence

import numpy as np

from autorule.config.stages import RewardConfig
from autorule.records import Rule
from autorule.statistics.agreement import effective_sizes, wilson
from autorule.statistics.baselines import Scores, baseline_scores
from autorule.statistics.matrix import PairMatrix
from autorule.statistics.records import Accuracy, Interval, MarginBin, SliceAccuracy
from autorule.statistics.resampling import bootstrap_means
from autorule.statistics.rewarded import rewarded_scores
from autorule.statistics.rule_statistics import length_matched, number
from autorule.statistics.weighting import SAME, pair_accuracy, pair_scores

LEAST_SLICE = 20
MARGIN_BINS = 5
AS_REWARDED = "as rewarded"


def accuracies(
    matrix: PairMatrix, rules: Sequence[Rule], reward: RewardConfig, rounds: int, seed: int
) -> list[Accuracy]:
    """As the reward counts, then hard and soft verdicts with equal weights and with the rules' own, and the baselines
    that the matrix holds."""
    baselines = baseline_scores(matrix)
    ways = {AS_REWARDED: rewarded_scores(matrix, rules, reward), **_rule_scores(matrix, rules), **baselines}
    right = {name: pair_accuracy(*scores) for name, scores in ways.items()}
    plain = right["uniform, hard"]
    matched = length_matched(matrix)
    if matched is not None and matched.any():
        for name in ("uniform, hard", "weighted, hard"):
            if name in right:
                right[f"{name}, lengths alike"] = np.where(matched, right[name], np.nan)
    over_plain = [value - plain for value in right.values()]
    over_baselines = [right[AS_REWARDED] - right[name] for name in baselines]
    columns = np.column_stack([*right.values(), *over_plain, *over_baselines])
    estimates = bootstrap_means(columns, matrix.prompts, seed, rounds, n_shares=len(right))
    rewarded_over = dict(zip(baselines, estimates[2 * len(right) :], strict=True))
    found = []
    for i, (name, column) in enumerate(right.items()):
        n = int((~np.isnan(column)).sum())
        comparable = name != "uniform, hard" and not name.endswith("lengths alike")
        found.append(
            Accuracy(
                name=name,
                accuracy=estimates[i],
                over_uniform=estimates[len(right) + i] if comparable else None,
                rewarded_over=rewarded_over.get(name),
                n_pairs=n,
                tied=int((column == 0.5).sum()) / n if n else None,
            )
        )
    return found


def slice_accuracies(
    matrix: PairMatrix, rules: Sequence[Rule], reward: RewardConfig, rounds: int, seed: int
) -> list[SliceAccuracy]:
    """Accuracy of the reward by each value of each column; values with few pairs are one slice together."""
    right = pair_accuracy(*rewarded_scores(matrix, rules, reward))
    found = []
    for column, values in matrix.slices.items():
        names, place = np.unique(np.asarray(values), return_inverse=True)
        known = ~np.isnan(right)
        n_known = np.bincount(place[known], minlength=len(names))
        few = np.flatnonzero(n_known < LEAST_SLICE)
        parts = [(str(names[i]), known & (place == i)) for i in np.flatnonzero(n_known >= LEAST_SLICE)]
        if n_known[few].any():
            name = f"({len(few)} values of fewer than {LEAST_SLICE} pairs each)"
            parts.append((name, known & np.isin(place, few)))
        for name, own in parts:
            [estimate] = bootstrap_means(right[own, None], matrix.prompts[own], seed, rounds, n_shares=1)
            found.append(SliceAccuracy(column=column, value=name, accuracy=estimate, n_pairs=int(own.sum())))
    return found


def margin_bins(matrix: PairMatrix, rules: Sequence[Rule]) -> list[MarginBin]:
    """Is a greater difference between the sides a surer sign? Pairs in bins of as many each; ties are left out."""
    chosen, rejected = pair_scores(matrix, np.array([rule.weight for rule in rules]))
    margins = np.round(np.abs(chosen - rejected), 9)  # margins that differ by rounding only belong together
    apart = ~np.isnan(margins) & (margins > SAME)
    if not apart.any():
        return []
    edges = np.unique(np.quantile(margins[apart], np.linspace(0, 1, MARGIN_BINS + 1)))
    place = np.clip(np.searchsorted(edges, margins, side="right") - 1, 0, max(0, len(edges) - 2))
    found = []
    for number_of_bin in range(max(1, len(edges) - 1)):
        own = apart & (place == number_of_bin)
        if own.any():
            right = (chosen > rejected)[own, None]
            share = right.mean(axis=0)
            sizes = effective_sizes(right, np.ones_like(right), matrix.prompts[own])
            low, high = wilson(share, sizes)
            value = Interval(value=number(share[0]), low=number(low[0]), high=number(high[0]))
            found.append(
                MarginBin(
                    low=float(margins[own].min()),
                    high=float(margins[own].max()),
                    accuracy=value,
                    n_pairs=int(own.sum()),
                )
            )
    return found


def _rule_scores(matrix: PairMatrix, rules: Sequence[Rule]) -> dict[str, Scores]:
    ones, weights = np.ones(matrix.n_rules), np.array([rule.weight for rule in rules])
    ways = {"uniform, hard": pair_scores(matrix, ones)}
    if matrix.chosen_p is not None:
        ways["uniform, soft"] = pair_scores(matrix, ones, soft=True)
    if len(set(weights)) > 1:
        ways["weighted, hard"] = pair_scores(matrix, weights)
        if matrix.chosen_p is not None:
            ways["weighted, soft"] = pair_scores(matrix, weights, soft=True)
    return ways
