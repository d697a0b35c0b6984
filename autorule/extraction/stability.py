"""How much of a rule set comes again when it is extracted anew under other seeds: signal recurs, noise does not."""

from collections.abc import Sequence
from itertools import permutations
from statistics import fmean

from autorule.records import Record
from autorule.rules.matching import match_rules
from autorule.rules.rule_sets import RuleSet


class RuleRecurrence(Record):
    """One rule of the first run, and in how many of the other runs it has a match."""

    rule_id: str
    text: str
    support: int
    recurs_in: int


class Stability(Record):
    """Recurrence is matched rules ÷ rules, for a set looked for in another one."""

    run_ids: tuple[str, ...]
    seeds: tuple[int, ...]
    recurrence: float
    """Mean over all ordered pairs of runs, 0 to 1."""
    lowest: float
    highest: float
    rules: tuple[RuleRecurrence, ...]


def stability(run_ids: Sequence[str], seeds: Sequence[int], rule_sets: Sequence[RuleSet]) -> Stability:
    """Compares at least two rule sets, each with each. Raises MissingExtraError as match_rules does."""
    matched: dict[tuple[int, int], set[str]] = {}
    for one, other in permutations(range(len(rule_sets)), 2):
        matches = match_rules(rule_sets[one].rules, rule_sets[other].rules)
        matched[one, other] = {match.a.rule_id for match in matches if match.a and match.b}
    shares = [len(ids) / len(rule_sets[one].rules) for (one, _), ids in matched.items()]
    others = range(1, len(rule_sets))
    return Stability(
        run_ids=tuple(run_ids),
        seeds=tuple(seeds),
        recurrence=fmean(shares),
        lowest=min(shares),
        highest=max(shares),
        rules=tuple(
            RuleRecurrence(
                rule_id=rule.rule_id,
                text=rule.text,
                support=rule.support,
                recurs_in=sum(rule.rule_id in matched[0, other] for other in others),
            )
            for rule in rule_sets[0].rules
        ),
    )
