"""What held-out pairs say about each rule."""

from collections.abc import Mapping, Sequence

import numpy as np

from autorule.records import Rule
from autorule.statistics.agreement import Agreement, measure_agreement
from autorule.statistics.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, Bools, Floats, PairMatrix
from autorule.statistics.records import Interval, RuleStatistics
from autorule.statistics.redundancy import correlations
from autorule.statistics.selection import select_rules
from autorule.statistics.weighting import pair_accuracy, pair_scores

LENGTH_TOLERANCE = 0.2
"""Sides are of about equal length when they differ by at most a fifth of the longer one."""


def rule_statistics(
    matrix: PairMatrix,
    rules: Sequence[Rule],
    phi: Floats,
    tokens: Sequence[int],
    flips: Mapping[str, Mapping[str, float | None]],
    rate: float,
    min_scored: float = 0.0,
) -> list[RuleStatistics]:
    """One record for each rule, in the order of the matrix.

    `phi`: correlation of the verdicts of each two rules. `tokens`: of the text of each. `flips`: what was changed
    -> rule id -> share of verdicts that changed with it. `min_scored`: share of the rules that must have a verdict on
    both sides of the pairs that gains are measured on.
    """
    found = measure_agreement(matrix, rate)
    labels = np.concatenate([matrix.chosen, matrix.rejected])
    known = ~np.isnan(matrix.differences())
    matched = length_matched(matrix)
    matched_agreement = None if matched is None or not matched.any() else measure_agreement(matrix.of(matched), rate)
    lengths = _length_correlations(matrix)
    gains = _gains(matrix.of(matrix.scored(min_scored)), np.array([rule.weight for rule in rules]))
    others = np.nan_to_num(np.abs(phi)) - 2 * np.eye(len(rules))  # a rule is not its own neighbour
    decisions = select_rules(matrix, rate, agreement=found)
    basis = "pairs" if matrix.n_prompts == matrix.n_pairs else "effective sample size"
    statistics = []
    for i, rule in enumerate(rules):
        n_yes, n_no = int((labels[:, i] == YES).sum()), int((labels[:, i] == NO).sum())
        nearest = int(np.argmax(others[i])) if others[i].max() > 0 else None
        statistics.append(
            RuleStatistics(
                rule_id=rule.rule_id,
                text=rule.criterion,
                n_pairs=matrix.n_pairs,
                coverage=float(known[:, i].mean()),
                discordant_rate=_share(int(found.n_discordant[i]), int(known[:, i].sum())),
                n_discordant=int(found.n_discordant[i]),
                agreement=_interval(found, i),
                n_effective=float(found.n_effective[i]),
                basis=basis,
                p_value=float(found.p_value[i]),
                adjusted_p=float(found.adjusted_p[i]),
                significant=bool(found.significant[i]),
                decision=decisions[i].decision,
                reason=decisions[i].reason,
                duplicate_of=decisions[i].duplicate_of,
                saturation=_share(n_yes, n_yes + n_no),
                na_rate=float((labels[:, i] == NOT_APPLICABLE).mean()),
                unscored_rate=float((labels[:, i] == UNSCORED).mean()),
                length_correlation=number(lengths[i]),
                length_matched_agreement=_interval(matched_agreement, i),
                gain=number(gains[i]),
                nearest_rule=None if nearest is None else rules[nearest].rule_id,
                nearest_phi=None if nearest is None else float(phi[i, nearest]),
                weight=rule.weight,
                tokens=tokens[i],
                flips={changed: shares.get(rule.rule_id) for changed, shares in flips.items()},
            )
        )
    return statistics


def length_matched(matrix: PairMatrix) -> Bools | None:
    """The pairs whose sides are of about equal length; None where lengths are unknown."""
    if matrix.chosen_length is None or matrix.rejected_length is None:
        return None
    longer = np.maximum(matrix.chosen_length, matrix.rejected_length)
    return np.asarray(np.abs(matrix.chosen_length - matrix.rejected_length) <= LENGTH_TOLERANCE * longer)


def number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _gains(matrix: PairMatrix, weights: Floats) -> Floats:
    """Accuracy of the set minus that without each rule."""
    if matrix.n_rules < 2 or not matrix.n_pairs:
        return np.full(matrix.n_rules, np.nan)
    scored = []
    for values in matrix.values():
        total, counted = np.nan_to_num(values) * weights, ~np.isnan(values) * weights
        scored.append((total.sum(axis=1, keepdims=True) - total, counted.sum(axis=1, keepdims=True) - counted))
    with np.errstate(invalid="ignore", divide="ignore"):
        chosen, rejected = (total / counted for total, counted in scored)
    whole = np.nan_to_num(pair_accuracy(*pair_scores(matrix, weights)), nan=0.5)
    without = np.nan_to_num(pair_accuracy(chosen, rejected), nan=0.5)
    return np.asarray(whole.mean() - without.mean(axis=0))


def _length_correlations(matrix: PairMatrix) -> Floats:
    """Point-biserial correlation of each rule's verdict with the length of the response, over both sides."""
    if matrix.chosen_length is None or matrix.rejected_length is None:
        return np.full(matrix.n_rules, np.nan)
    lengths = np.concatenate([matrix.chosen_length, matrix.rejected_length])[:, None]
    values = np.concatenate(matrix.values())
    return correlations(np.column_stack([values, lengths]))[-1, :-1]


def _interval(found: Agreement | None, i: int) -> Interval:
    if found is None:
        return Interval(value=None, low=None, high=None)
    return Interval(value=number(found.agreement[i]), low=number(found.low[i]), high=number(found.high[i]))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
