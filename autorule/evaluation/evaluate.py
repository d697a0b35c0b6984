"""A whole evaluation from a matrix of verdicts: no model is asked."""

import math
from collections.abc import Sequence

import numpy as np

from autorule.evaluation.agreement import FALSE_DISCOVERY_RATE, Agreement, measure_agreement
from autorule.evaluation.matrix import NO, NOT_APPLICABLE, UNSCORED, YES, Floats, PairMatrix
from autorule.evaluation.records import Accuracy, Evaluation, Interval, RuleStatistics, SliceAccuracy
from autorule.evaluation.redundancy import phi_of_verdicts
from autorule.evaluation.resampling import ROUNDS, Estimate, bootstrap_means
from autorule.evaluation.selection import select_rules
from autorule.evaluation.weighting import pair_accuracy, pair_scores
from autorule.records import Rule

LENGTH_TOLERANCE = 0.2
"""Sides are of about equal length when the longer one is at most a fifth longer."""
LEAST_SLICE = 20


def evaluate(
    matrix: PairMatrix,
    rules: Sequence[Rule],
    rate: float = FALSE_DISCOVERY_RATE,
    rounds: int = ROUNDS,
    seed: int = 0,
    leaked_pairs: int = 0,
) -> Evaluation:
    """Statistics of each rule and of the set. `rules` are those of the matrix, in its order."""
    agreement = measure_agreement(matrix, rate)
    return Evaluation(
        n_pairs=matrix.n_pairs,
        n_prompts=len(np.unique(matrix.prompts)),
        rules=tuple(_rule_statistics(matrix, rules, agreement, rate)),
        accuracies=tuple(_accuracies(matrix, rules, rounds, seed)),
        slices=tuple(_slices(matrix, rules, rounds, seed)),
        false_discovery_rate=rate,
        bootstrap_rounds=rounds,
        seed=seed,
        leaked_pairs=leaked_pairs,
    )


def _rule_statistics(matrix: PairMatrix, rules: Sequence[Rule], found: Agreement, rate: float) -> list[RuleStatistics]:
    labels = np.concatenate([matrix.chosen, matrix.rejected])
    differences = matrix.differences()
    known = ~np.isnan(differences)
    matched = _length_matched(matrix)
    matched_agreement = None if matched is None or not matched.any() else measure_agreement(matrix.of(matched), rate)
    lengths = _length_correlations(matrix)
    gains = _gains(matrix, np.array([rule.weight for rule in rules]))
    phi = phi_of_verdicts(matrix)
    np.fill_diagonal(phi, 0.0)
    decisions = select_rules(matrix, rate, agreement=found)
    independent = len(np.unique(matrix.prompts)) == matrix.n_pairs
    statistics = []
    for i, rule in enumerate(rules):
        n_yes, n_no = int((labels[:, i] == YES).sum()), int((labels[:, i] == NO).sum())
        nearest = int(np.argmax(np.abs(phi[i]))) if len(rules) > 1 else None
        statistics.append(
            RuleStatistics(
                rule_id=rule.rule_id,
                text=rule.text,
                n_pairs=matrix.n_pairs,
                coverage=float(known[:, i].mean()),
                discordant_rate=_share(int(found.n_discordant[i]), int(known[:, i].sum())),
                n_discordant=int(found.n_discordant[i]),
                agreement=_interval(found, i),
                n_effective=float(found.n_effective[i]),
                basis="pairs" if independent else "effective sample size",
                p_value=float(found.p_value[i]),
                significant=bool(found.significant[i]),
                decision=decisions[i].decision,
                reason=decisions[i].reason,
                saturation=_share(n_yes, n_yes + n_no),
                na_rate=float((labels[:, i] == NOT_APPLICABLE).mean()),
                unscored_rate=float((labels[:, i] == UNSCORED).mean()),
                length_correlation=_number(lengths[i]),
                length_matched_agreement=_interval(matched_agreement, i),
                gain=_number(gains[i]),
                nearest_rule=None if nearest is None else rules[nearest].rule_id,
                nearest_phi=None if nearest is None else float(phi[i, nearest]),
            )
        )
    return statistics


def _accuracies(matrix: PairMatrix, rules: Sequence[Rule], rounds: int, seed: int) -> list[Accuracy]:
    """Uniform hard and soft verdicts, the rules' weights, and the baselines that need no model."""
    ones, weights = np.ones(matrix.n_rules), np.array([rule.weight for rule in rules])
    ways: dict[str, tuple[Floats, Floats]] = {"uniform, hard": pair_scores(matrix, ones)}
    if matrix.chosen_p is not None:
        ways["uniform, soft"] = pair_scores(matrix, ones, soft=True)
    if len(set(weights)) > 1:
        ways["weighted, hard"] = pair_scores(matrix, weights)
        if matrix.chosen_p is not None:
            ways["weighted, soft"] = pair_scores(matrix, weights, soft=True)
    if matrix.chosen_length is not None and matrix.rejected_length is not None:
        ways["longer response"] = matrix.chosen_length, matrix.rejected_length
    names, right = list(ways), np.column_stack([pair_accuracy(*scores) for scores in ways.values()])
    values = [right, right - right[:, :1]]
    matched = _length_matched(matrix)
    if matched is not None and matched.any():
        names.append("uniform, hard, lengths alike")
        alike = np.where(matched, right[:, 0], np.nan)[:, None]
        values = [np.column_stack([right, alike]), np.column_stack([right - right[:, :1], np.full_like(alike, np.nan)])]
    estimates = bootstrap_means(np.column_stack(values), matrix.prompts, seed, rounds)
    found = []
    for i, name in enumerate(names):
        column = values[0][:, i]
        n = int((~np.isnan(column)).sum())
        over = estimates[len(names) + i] if 0 < i < len(ways) else None
        found.append(
            Accuracy(
                name=name,
                accuracy=_estimate(estimates[i]),
                over_uniform=None if over is None else _estimate(over),
                n_pairs=n,
                tied=_share(int((column == 0.5).sum()), n),
            )
        )
    return found


def _slices(matrix: PairMatrix, rules: Sequence[Rule], rounds: int, seed: int) -> list[SliceAccuracy]:
    """Accuracy of uniform hard verdicts by each value, with enough pairs, of each column."""
    right = pair_accuracy(*pair_scores(matrix, np.array([rule.weight for rule in rules])))
    found = []
    for column, values in matrix.slices.items():
        known = np.asarray(values, dtype=object)
        for value in sorted(set(values)):
            own = (known == value) & ~np.isnan(right)
            if own.sum() >= LEAST_SLICE:
                [estimate] = bootstrap_means(right[own, None], matrix.prompts[own], seed, rounds)
                found.append(
                    SliceAccuracy(column=column, value=value, accuracy=_estimate(estimate), n_pairs=int(own.sum()))
                )
    return found


def _gains(matrix: PairMatrix, weights: Floats) -> Floats:
    """Accuracy of the set minus that without each rule."""
    if matrix.n_rules < 2:
        return np.full(matrix.n_rules, np.nan)
    scored = []
    for values in matrix.values():
        known = ~np.isnan(values)
        total, counted = np.nan_to_num(values) * weights, known * weights
        scored.append((total.sum(axis=1, keepdims=True) - total, counted.sum(axis=1, keepdims=True) - counted))
    with np.errstate(invalid="ignore", divide="ignore"):
        chosen, rejected = (total / counted for total, counted in scored)
    whole = pair_accuracy(*pair_scores(matrix, weights))
    without = pair_accuracy(chosen, rejected)
    return (
        np.asarray(np.nanmean(whole) - np.nanmean(without, axis=0)) if matrix.n_pairs else np.full(len(weights), np.nan)
    )


def _length_matched(matrix: PairMatrix) -> "np.ndarray[tuple[int], np.dtype[np.bool_]] | None":
    if matrix.chosen_length is None or matrix.rejected_length is None:
        return None
    longer = np.maximum(matrix.chosen_length, matrix.rejected_length)
    return np.abs(matrix.chosen_length - matrix.rejected_length) <= LENGTH_TOLERANCE * longer


def _length_correlations(matrix: PairMatrix) -> Floats:
    """Point-biserial correlation of each rule's verdict with the length of the response, over both sides."""
    from autorule.evaluation.redundancy import correlations

    if matrix.chosen_length is None or matrix.rejected_length is None:
        return np.full(matrix.n_rules, np.nan)
    lengths = np.concatenate([matrix.chosen_length, matrix.rejected_length])[:, None]
    values = np.concatenate(matrix.values())
    return correlations(np.column_stack([values, lengths]))[-1, :-1]


def _interval(found: Agreement | None, i: int) -> Interval:
    if found is None:
        return Interval(value=None, low=None, high=None)
    return Interval(value=_number(found.agreement[i]), low=_number(found.low[i]), high=_number(found.high[i]))


def _estimate(found: Estimate) -> Interval:
    return Interval(value=_number(found.value), low=_number(found.low), high=_number(found.high))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
