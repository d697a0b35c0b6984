"""A threshold of its own for each rule, from labels: verifiers say Yes too readily to some, too seldom to others."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autorule.backends import open_cached
from autorule.config.models import CacheConfig, ModelConfig
from autorule.config.stages import Config
from autorule.errors import InputError, RuleSetError
from autorule.records import Record
from autorule.rules.editing import changed
from autorule.rules.rule_sets import Edit, RuleSet
from autorule.rules.text import normalise_rule
from autorule.statistics.agreement import CONFIDENCE
from autorule.statistics.records import Interval
from autorule.verification.check import LEAST_LABELS, verify_labels
from autorule.verification.labels import Label
from autorule.verification.metrics import Array, balanced_accuracy, best_threshold

FOLDS = 5
"""Of the cross-validation; a rule also needs so many labels of either answer."""


class CalibrationConfig(Config):
    model: ModelConfig = ModelConfig()
    cache: CacheConfig = CacheConfig()
    columns: dict[str, str] = {}


class RuleCalibration(Record):
    """What the labels say about one rule."""

    rule_id: str
    text: str
    n: int
    """Labels with a P(yes)."""
    before: float | None = None
    """Balanced accuracy with the threshold so far."""
    after: float | None = None
    """Balanced accuracy with thresholds chosen without the labels that they are measured on (five folds)."""
    gain: Interval | None = None
    """`after` minus `before`, on the same labels."""
    threshold: float | None = None
    """The new threshold; None where the rule keeps its own: there are too few labels, or the gain may be none."""


def calibrate(
    rule_set: RuleSet, labels: Sequence[Label], config: CalibrationConfig, by: str
) -> tuple[RuleSet, list[RuleCalibration]]:
    """The rule set with a threshold for each rule whose labels support another one, and the figures of every rule.

    Labels belong to a rule by its text. Raises RuleSetError for a rule set without P(yes), InputError when no label is
    about any of its rules.
    """
    if rule_set.verification.mode != "direct":
        raise RuleSetError(
            f"the rule set is verified in mode {rule_set.verification.mode}, which gives no P(yes): there is no "
            "threshold to choose; use verification.mode=direct"
        )
    rule_of = {normalise_rule(rule.text): rule for rule in rule_set.rules}
    own = [
        label._replace(rule=rule_of[text].text) for label in labels if (text := normalise_rule(label.rule)) in rule_of
    ]
    if not own:
        raise InputError(
            f"none of the {len(labels)} labels is about a rule of the set: the column rule must hold the texts of its "
            f"rules, such as {rule_set.rules[0].text!r}"
        )
    run = verify_labels(own, rule_set.verification, open_cached(config.model, config.cache))
    measured: dict[str, list[tuple[bool, float]]] = {rule.text: [] for rule in rule_set.rules}
    for label, verdict in zip(own, run.verdicts, strict=True):
        if verdict.p_yes is not None:
            measured[label.rule].append((label.satisfied, verdict.p_yes))
    found = []
    for rule in rule_set.rules:
        so_far = rule_set.verification.threshold if rule.threshold is None else rule.threshold
        figures = measure_rule(measured[rule.text], so_far)
        found.append(RuleCalibration(rule_id=rule.rule_id, text=rule.text, **figures))
    return _with_thresholds(rule_set, found, by), found


def measure_rule(labels: Sequence[tuple[bool, float]], so_far: float) -> dict[str, Any]:
    """n, before, after, gain and threshold, as in RuleCalibration, of a rule with (satisfied, P(yes)) of each label."""
    truth = np.array([satisfied for satisfied, _ in labels], dtype=bool)
    p = np.array([p_yes for _, p_yes in labels])
    n_rarer = min(int(truth.sum()), int((~truth).sum()))
    if len(labels) < LEAST_LABELS or n_rarer < FOLDS:
        return {"n": len(labels)}
    yes_before, yes_after = p >= so_far, _held_out(truth, p)
    before, after = balanced_accuracy(truth, yes_before), balanced_accuracy(truth, yes_after)
    gain = _gain(truth, yes_before, yes_after)
    threshold = best_threshold(truth, p)[0] if gain.low is not None and gain.low > 0 else None
    return {"n": len(labels), "before": before, "after": after, "gain": gain, "threshold": threshold}


def _gain(truth: Array, before: Array, after: Array) -> Interval:
    """The difference of two balanced accuracies, half the sum of two means of paired differences; 95 % interval."""
    from scipy import stats

    gained = (after == truth).astype(float) - (before == truth)
    parts = [gained[truth], gained[~truth]]
    value = sum(float(part.mean()) for part in parts) / 2
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / 2
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, min(len(part) for part in parts) - 1) * error)
    return Interval(value=value, low=value - half, high=value + half)


def _held_out(truth: Array, p: Array) -> Array:
    """Whether each label's P(yes) reaches the threshold chosen from the other folds."""
    from sklearn.model_selection import StratifiedKFold

    yes = np.zeros(len(truth), dtype=bool)
    for chosen_on, measured_on in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(p, truth):
        threshold, _ = best_threshold(truth[chosen_on], p[chosen_on])
        yes[measured_on] = p[measured_on] >= (0.5 if threshold is None else threshold)
    return yes


def _with_thresholds(rule_set: RuleSet, found: Sequence[RuleCalibration], by: str) -> RuleSet:
    new = {c.rule_id: c.threshold for c in found if c.threshold is not None}
    rules = [r.model_copy(update={"threshold": new[r.rule_id]}) if r.rule_id in new else r for r in rule_set.rules]
    edits = [
        Edit(
            action="calibrated",
            by=by,
            rule_id=c.rule_id,
            reason=f"threshold {c.threshold:.4g} by {c.n} labels: balanced accuracy {c.before:.3f}, now {c.after:.3f} "
            f"(a gain of {c.gain.low:.3f} to {c.gain.high:.3f})",
        )
        for c in found
        if c.threshold is not None and c.gain is not None
    ]
    return changed(rule_set, rules, edits)
