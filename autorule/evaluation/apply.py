"""An evaluation applied to its rule set: what is not worth keeping goes, the rest is weighed, the history says why."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorule.errors import ConfigError, NothingKeptError
from autorule.evaluation.pair_table import is_seen
from autorule.records import Rule
from autorule.rules.editing import changed, without_dangling
from autorule.rules.rule_sets import Edit, RuleSet
from autorule.rules.text import new_rule_id
from autorule.statistics.agreement import Agreement, measure_agreement
from autorule.statistics.choosing import ALL, choose_weights, dev_and_test
from autorule.statistics.matrix import NO, YES, Ints, PairMatrix
from autorule.statistics.records import Interval, WeightingResult, Weightings
from autorule.statistics.resampling import ROUNDS, bootstrap_means
from autorule.statistics.selection import Selected, select_rules
from autorule.statistics.splits import on_test, promotion_split
from autorule.statistics.weighting import on_model, pair_accuracy, pair_scores


def select(
    rule_set: RuleSet,
    matrix: PairMatrix,
    pairs: Sequence[Mapping[str, Any]],
    method: str,
    by: str,
    rate: float,
    rounds: int = ROUNDS,
    seed: int = 0,
    invert: bool = False,
    hold_out_promotion: bool = False,
) -> tuple[RuleSet, Weightings]:
    """The rules that dev keeps, weighed by `method` (or the best on dev), and every method's figures.

    `matrix` holds the verdicts on the rules of the set, `pairs` the record of each of its pairs: the prompts of dev are
    noted in the set, so that no later evaluation uses them. Pinned rules stay, with a weight of 1 where the method
    gives them none. `invert`: other rules that reliably point the wrong way are turned around instead of dropped.
    `hold_out_promotion`: prompts of the promotion split are in neither dev nor test, so that they can decide later.
    Prompts that the rules were mined from, or chosen by before, are in neither. Statistics in the rules are those on
    dev. Raises NothingKeptError when nothing is kept, ConfigError for an unknown method or too few prompts.
    """
    edits: list[Edit] = []
    unseen = _unseen(rule_set, pairs)
    n_seen = matrix.n_pairs - len(unseen)
    used = unseen[~promotion_split(matrix.prompts[unseen])] if hold_out_promotion else unseen
    matrix, pairs = matrix.of(used), [pairs[i] for i in used]
    min_scored, before = rule_set.reward.min_scored, matrix
    if invert:
        rule_set, matrix, edits = _inverted(rule_set, matrix, by, rate, seed)
    weightings = choose_weights(matrix, rate, rounds, seed, method, min_scored)
    if edits:
        _, as_it_was = dev_and_test(before, seed, min_scored)
        weightings = weightings.model_copy(update={"before_test": _all_alike(as_it_was, rounds, seed)})
    [chosen] = [result for result in weightings.results if result.method == weightings.chosen]
    dev, test = dev_and_test(matrix, seed, min_scored)
    found = measure_agreement(dev, rate)
    decisions = select_rules(dev, rate, agreement=found)
    kept = []
    for i, (rule, decision) in enumerate(zip(rule_set.rules, decisions, strict=True)):
        weight = chosen.weights.get(rule.rule_id)
        if weight is not None or rule.pinned:
            statistics = {**rule.statistics, **_figures(found, i)}
            kept.append(rule.model_copy(update={"weight": weight or 1.0, "statistics": statistics}))
        else:
            reason = _why(decision, chosen.method)
            edits.append(Edit(action="dropped", by=by, rule_id=rule.rule_id, before=rule.criterion, reason=reason))
    if not kept:
        raise NothingKeptError(_nothing_kept(decisions, chosen.method), weightings)
    written = _test_of_written(kept, chosen, test, rounds, seed)
    reason = _told(weightings, chosen, written, rule_set.reward.scale)
    if n_seen:
        reason += f"; {n_seen} pairs whose prompts the rules were mined from, or chosen by, are in neither"
    edits.append(Edit(action="weighted", by=by, rule_id="*", reason=reason))
    is_dev = ~on_test(matrix.prompts, seed)
    tuned = {*rule_set.tuned_prompts, *(pairs[i]["prompt_id"] for i in np.flatnonzero(is_dev))}
    after = changed(rule_set, without_dangling(kept), edits, tuned_prompts=tuple(sorted(tuned)))
    return after, weightings.model_copy(update={"written_test": written.test})


def _unseen(rule_set: RuleSet, pairs: Sequence[Mapping[str, Any]]) -> Ints:
    """Indices of the pairs whose prompts the rules were neither mined from nor chosen by; ConfigError for none."""
    seen = rule_set.seen_prompts
    unseen = np.flatnonzero([not is_seen(pair, seen) for pair in pairs])
    if not len(unseen):
        raise ConfigError("the rules were mined from, or chosen by, every prompt of the evaluation: take other pairs")
    return unseen


def _nothing_kept(decisions: Sequence[Selected], method: str) -> str:
    """With the way that would keep something."""
    found = (
        f"none of {len(decisions)} rules agrees with people beyond chance, or gets a weight by {method}; nothing is "
        "written"
    )
    if all(one.decision == "reversed" for one in decisions):
        return f"{found}: people prefer what breaks them; --invert turns them around"
    other = f"uniform{ALL}" if method.endswith(ALL) else f"{method}{ALL}"
    return f"{found}: --by {other} weighs also rules that are not proven, but for those that point the wrong way"


def _all_alike(test: PairMatrix, rounds: int, seed: int) -> Interval:
    """Accuracy of all rules with equal weights."""
    right = np.nan_to_num(pair_accuracy(*pair_scores(test, np.ones(test.n_rules))), nan=0.5)
    [interval] = bootstrap_means(right[:, None], test.prompts, seed, rounds, n_shares=1)
    return interval


class Written(NamedTuple):
    """The weights as they are written, those of pinned rules among them."""

    test: Interval
    rule_weight: float | None
    """What to multiply the fraction with beside the reward model's score; of hinge only."""


def _test_of_written(
    kept: Sequence[Rule], chosen: WeightingResult, test: PairMatrix, rounds: int, seed: int
) -> Written:
    """Accuracy on test; of hinge together with the reward model, where each weight counts as much as it was fitted to,
    and that of a pinned rule as much as the mean."""
    weight = {rule.rule_id: rule.weight for rule in kept}
    weights = np.array([weight.get(rule_id, 0.0) for rule_id in test.rule_ids])
    rule_weight = None
    if chosen.rule_weight is not None:
        if chosen.weights:
            weights *= chosen.rule_weight / sum(chosen.weights.values())
        rule_weight = float(weights.sum())
    scores = pair_scores(test, weights) if rule_weight is None else on_model(test, weights)
    right = np.nan_to_num(pair_accuracy(*scores), nan=0.5)
    [interval] = bootstrap_means(right[:, None], test.prompts, seed, rounds, n_shares=1)
    return Written(interval, rule_weight)


def _inverted(
    rule_set: RuleSet, matrix: PairMatrix, by: str, rate: float, seed: int
) -> tuple[RuleSet, PairMatrix, list[Edit]]:
    """Rules that dev says point the wrong way, and the right way when turned around: turned around in the set and in
    the matrix, but for pinned ones, and those whose opposite is in the set already."""
    rules, edits = list(rule_set.rules), []
    ids = {rule.rule_id for rule in rules}
    dev, _ = dev_and_test(matrix, seed, rule_set.reward.min_scored)
    free = [i for i, rule in enumerate(rules) if not rule.pinned and _opposite_id(rule) not in ids]
    before, turned = select_rules(dev, rate), select_rules(_mirrored(dev, free, dev.rule_ids), rate)
    # Where N/A counts as yes or no, the opposite of a rule that points the wrong way may do so too.
    wrong = [i for i in free if before[i].decision == "reversed" and turned[i].decision in ("keep", "duplicate")]
    for i in wrong:
        after = rules[i].model_copy(update={"inverted": not rules[i].inverted, "contradicts": ()})
        after = after.model_copy(update={"rule_id": _opposite_id(rules[i])})
        edit = Edit(
            action="inverted", by=by, rule_id=after.rule_id, before=rules[i].criterion, after=after.criterion,
            reason="people prefer what breaks it",
        )  # fmt: skip
        rules[i] = after
        edits.append(edit)
    mirrored = _mirrored(matrix, wrong, tuple(rule.rule_id for rule in rules))
    return changed(rule_set, without_dangling(rules), []), mirrored, edits


def _opposite_id(rule: Rule) -> str:
    return new_rule_id(rule.model_copy(update={"inverted": not rule.inverted}).criterion)


def _mirrored(matrix: PairMatrix, columns: Sequence[int], rule_ids: tuple[str, ...]) -> PairMatrix:
    """The verdicts of these rules turned around."""
    sides = {}
    for name in ("chosen", "rejected"):
        labels = getattr(matrix, name).copy()
        own = labels[:, columns]
        labels[:, columns] = np.where(own == YES, NO, np.where(own == NO, YES, own))
        sides[name] = labels
        p_yes = getattr(matrix, f"{name}_p")
        if p_yes is not None:
            p_yes = p_yes.copy()
            p_yes[:, columns] = 1 - p_yes[:, columns]
        sides[f"{name}_p"] = p_yes
    return dataclasses.replace(matrix, rule_ids=rule_ids, **sides)


def _figures(found: Agreement, i: int) -> dict[str, float | None]:
    values = {
        "agreement": found.agreement[i], "agreement_low": found.low[i], "agreement_high": found.high[i],
        "n_discordant": found.n_discordant[i], "p_value": found.p_value[i],
    }  # fmt: skip
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def _why(decision: Selected, method: str) -> str:
    if decision.decision == "keep" or (method.endswith(ALL) and decision.decision != "reversed"):
        return f"{method} gives it no weight; {decision.reason}"
    return f"{decision.decision}: {decision.reason}"


def _told(weightings: Weightings, chosen: WeightingResult, written: Written, scale: float) -> str:
    pinned = "" if written.test == chosen.test else f", and with the pinned rules on {_percent(written.test)}"
    beside = "" if written.rule_weight is None else (
        f", together with the reward model's raw score and a rule_weight of {written.rule_weight / scale:.4g}"
    )  # fmt: skip
    before = "" if weightings.before_test is None else (
        f" with some turned around, and on {_percent(weightings.before_test)} as they were"
    )  # fmt: skip
    unscored = (
        f"; {weightings.n_unscored} pairs without enough verdicts are in neither" if weightings.n_unscored else ""
    )
    return (
        f"{chosen.method}: right on {_percent(chosen.test)} of {weightings.n_test_pairs} test pairs{pinned}{beside}, "
        f"where all rules alike are on {_percent(weightings.uniform_test)}{before}; on "
        f"{weightings.n_dev_pairs} dev pairs {chosen.dev_accuracy:.1%} out of fold{unscored}"
    )


def _percent(interval: Interval) -> str:
    if interval.value is None:
        return "-"
    ends = "" if interval.low is None or interval.high is None else f" ({interval.low:.1%} to {interval.high:.1%})"
    return f"{interval.value:.1%}{ends}"
