"""From fraction to reward: reward = scale * (fraction - centre), fixed or learned from a calibration set."""

from collections.abc import Sequence
from statistics import fmean, stdev

from autorule.config.values import MOST_POINTS
from autorule.errors import InputError
from autorule.rules.editing import changed
from autorule.rules.rule_sets import Edit, RuleSet

LEAST_REWARDS = 20


def learned_scaling(fractions: Sequence[float | None]) -> tuple[float, float, str]:
    """(scale, centre, in words) with which the rewards of these fractions have mean 0 and standard deviation 1.

    Raises InputError for fewer than 20 fractions, and for ones that are all the same.
    """
    known = [fraction for fraction in fractions if fraction is not None]
    if len(known) < LEAST_REWARDS:
        raise InputError(f"{len(known)} scored completions; scaling is learned from {LEAST_REWARDS} or more")
    spread = stdev(known)
    if spread < 1 / MOST_POINTS:
        raise InputError(
            f"all {len(known)} completions satisfy the same fraction of the rules: no scale can be learned"
        )
    return 1 / spread, fmean(known), f"learned from {len(known)} completions"


def scaled(rule_set: RuleSet, scale: float, centre: float, by: str, reason: str) -> RuleSet:
    """The set with another scaling, and an entry in its history."""
    before = f"{rule_set.reward.scale:g} * (fraction - {rule_set.reward.centre:g})"
    after = f"{scale:g} * (fraction - {centre:g})"
    reward = rule_set.reward.model_copy(update={"scale": scale, "centre": centre})
    edit = Edit(action="scaled", by=by, rule_id="*", before=before, after=after, reason=reason)
    return changed(rule_set, rule_set.rules, [edit], reward=reward)
