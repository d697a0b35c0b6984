"""An evaluation applied to its rule set: what is not worth keeping goes, with the reason in the history."""

from autorule.errors import RuleSetError
from autorule.evaluation.records import Evaluation
from autorule.rule_editing import changed, without_dangling
from autorule.rule_sets import Edit, RuleSet


def selected(rule_set: RuleSet, evaluation: Evaluation, by: str) -> RuleSet:
    """The set with the rules that the evaluation keeps, and their figures in `statistics`; pinned rules stay.

    Raises RuleSetError when the evaluation is of other rules, and when it keeps none.
    """
    found = {one.rule_id: one for one in evaluation.rules}
    if {rule.rule_id for rule in rule_set.rules} != set(found):
        raise RuleSetError("the evaluation is of other rules than those of the set; evaluate this set")
    kept, edits = [], []
    for rule in rule_set.rules:
        one = found[rule.rule_id]
        if one.decision == "keep" or rule.pinned:
            figures = {
                "agreement": one.agreement.value,
                "agreement_low": one.agreement.low,
                "agreement_high": one.agreement.high,
                "n_discordant": float(one.n_discordant),
                "p_value": one.p_value,
            }
            kept.append(rule.model_copy(update={"statistics": {**rule.statistics, **figures}}))
        else:
            reason = f"{one.decision}: {one.reason}"
            edits.append(Edit(action="dropped", by=by, rule_id=rule.rule_id, before=rule.text, reason=reason))
    if not kept:
        raise RuleSetError(f"none of {len(rule_set.rules)} rules agrees with people beyond chance; nothing is written")
    return changed(rule_set, without_dangling(kept), edits)
