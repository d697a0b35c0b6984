"""How steady are the verdicts on each rule? The same completions, asked about in other words and orders."""

from collections.abc import Sequence

from autorule.backends.cached import CachedBackend
from autorule.records import Completion, Failure, Verdict
from autorule.rules.rule_sets import RuleSet
from autorule.runs import progress
from autorule.verification.metrics import flip_rate
from autorule.verification.variants import variants
from autorule.verification.verifier import Verifier


def flip_rates(
    completions: Sequence[Completion], rule_set: RuleSet, backend: CachedBackend
) -> tuple[dict[str, dict[str, float | None]], list[Failure]]:
    """(what was changed -> rule id -> share of verdicts that changed with it, the failures). A share is None for rules
    that code decides, and where no completion has a verdict in both."""
    distinct = list({completion.completion_id: completion for completion in completions}.values())
    changed = dict(variants(rule_set.verification))
    progress.announce("flips", len(distinct) * (1 + len(changed)))
    failures: list[Failure] = []
    first = _verdicts(distinct, rule_set, backend, [])  # what fails here is noted with the verdicts
    found: dict[str, dict[str, float | None]] = {}
    for name, spec in changed.items():
        again = _verdicts(distinct, rule_set.model_copy(update={"verification": spec}), backend, failures)
        found[name] = {
            rule.rule_id: None if rule.check else flip_rate(first[rule.rule_id], again[rule.rule_id])
            for rule in rule_set.rules
        }
    return found, failures


def _verdicts(
    completions: Sequence[Completion], rule_set: RuleSet, backend: CachedBackend, failures: list[Failure]
) -> dict[str, list[Verdict]]:
    """Rule id -> verdicts in the order of the completions; failures are added to the list."""
    by_id = {}
    for completion_id, verdicts in Verifier(backend, rule_set).verdicts(completions):
        by_id[completion_id] = verdicts
        failures += [verdict.failure for verdict in verdicts if verdict.failure is not None]
        progress.advance("flips", calls=backend.new_counts())
    ordered = [by_id[completion.completion_id] for completion in completions]
    return {rule.rule_id: [verdicts[i] for verdicts in ordered] for i, rule in enumerate(rule_set.rules)}
