"""The rule reward: which fraction of the rules a completion satisfies.

AutoRule (arXiv 2506.15651), section on the rule reward; its released code scales the fraction f to 10 (f - 0.75). Here
the fraction is over the scored, applicable rules, and a completion with too few of them has no reward at all.
"""

from collections.abc import Sequence
from typing import NamedTuple

from autorule.records import Completion, RewardRecord, Rule, Verdict
from autorule.rules.rule_sets import RuleSet


class Tally(NamedTuple):
    """What the verdicts of one completion come to."""

    fraction: float | None
    """Weighted mean over the scored, applicable rules; None when there is none, `reason` says why."""
    satisfied_fraction: float | None
    """The same with hard verdicts."""
    n_satisfied: int
    n_scored: int
    n_not_applicable: int
    reason: str | None


def rule_reward(
    completion: Completion, verdicts: Sequence[Verdict], rule_set: RuleSet, rules: Sequence[Rule] | None = None
) -> RewardRecord:
    """The reward of one completion from its verdicts, one per rule in the order of `rules`: those of the set that it
    was judged by, all of them when left out.

    `reward` is None, with a reason, when less than `min_scored` of the weight has a verdict or when no rule applies.
    """
    rules = rule_set.rules if rules is None else rules
    tally = tally_verdicts(verdicts, rule_set, rules)
    return RewardRecord(
        completion_id=completion.completion_id,
        row=completion.row,
        source_id=completion.source_id,
        pair_id=completion.pair_id,
        side=completion.side,
        reward=None if tally.fraction is None else rule_set.reward.scale * (tally.fraction - rule_set.reward.centre),
        fraction=tally.fraction,
        satisfied_fraction=tally.satisfied_fraction,
        n_satisfied=tally.n_satisfied,
        n_scored=tally.n_scored,
        n_not_applicable=tally.n_not_applicable,
        n_unscored=len(verdicts) - tally.n_scored,
        unscored_reason=tally.reason,
    )


def aspect_fractions(verdicts: Sequence[Verdict], rule_set: RuleSet, rules: Sequence[Rule]) -> dict[str, float | None]:
    """Aspect -> fraction over its rules alone; rules without an aspect go by `other`."""
    by_aspect: dict[str, list[int]] = {}
    for index, rule in enumerate(rules):
        by_aspect.setdefault(rule.aspect or "other", []).append(index)
    return {
        aspect: tally_verdicts([verdicts[i] for i in own], rule_set, [rules[i] for i in own]).fraction
        for aspect, own in by_aspect.items()
    }


def tally_verdicts(verdicts: Sequence[Verdict], rule_set: RuleSet, rules: Sequence[Rule]) -> Tally:
    """Counts and fractions of one completion's verdicts, one per rule."""
    policy = rule_set.verification.na_policy
    soft = rule_set.reward.fraction == "soft"
    weight_all = weight_scored = weight_counted = 0.0
    total = total_satisfied = 0.0
    n_satisfied = n_scored = n_not_applicable = 0
    for rule, verdict in zip(rules, verdicts, strict=True):
        weight_all += rule.weight
        if verdict.verdict is None:
            continue
        weight_scored += rule.weight
        n_scored += 1
        if verdict.verdict == "not_applicable":
            n_not_applicable += 1
            if policy == "excluded":
                continue
            satisfied = policy == "satisfied"
            value = float(satisfied)
        else:
            satisfied = verdict.verdict == "yes"
            value = verdict.p_yes if soft and verdict.p_yes is not None else float(satisfied)
        weight_counted += rule.weight
        total += rule.weight * value
        total_satisfied += rule.weight * satisfied
        n_satisfied += satisfied
    reason = None
    if weight_scored < (rule_set.reward.min_scored - 1e-9) * weight_all:
        reason = f"only {n_scored} of {len(verdicts)} rules have a verdict (min_scored {rule_set.reward.min_scored})"
        if told := next((verdict.failure.message for verdict in verdicts if verdict.failure is not None), None):
            reason += f"; the first has none since: {told}"
    elif weight_counted == 0:
        reason = "no rule applies"
    return Tally(
        fraction=total / weight_counted if reason is None else None,
        satisfied_fraction=total_satisfied / weight_counted if reason is None else None,
        n_satisfied=n_satisfied,
        n_scored=n_scored,
        n_not_applicable=n_not_applicable,
        reason=reason,
    )
