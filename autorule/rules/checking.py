"""What is wrong with a finished rule set: faults of its rules, near duplicates, contradictions that it notes."""

from collections.abc import Sequence

from autorule.config.stages import MAX_RULE_CHARS
from autorule.records import Record, Rule
from autorule.rules.linting import MEANINGS, lint_rule
from autorule.rules.matching import cosines


class Fault(Record):
    """One lint of one rule."""

    rule_id: str
    text: str
    code: str
    meaning: str


class RulePair(Record):
    """Two rules that do not go together."""

    first_id: str
    first: str
    second_id: str
    second: str | None
    """None when the set has no such rule."""
    similarity: float | None = None
    """Cosine of near duplicates."""


class Findings(Record):
    n_rules: int
    faults: tuple[Fault, ...] = ()
    near_duplicates: tuple[RulePair, ...] = ()
    contradictions: tuple[RulePair, ...] = ()

    @property
    def count(self) -> int:
        return len(self.faults) + len(self.near_duplicates) + len(self.contradictions)


def check_rules(rules: Sequence[Rule], max_chars: int = MAX_RULE_CHARS, similarity: float = 0.8) -> Findings:
    """All that is wrong with the rules. `similarity` is the cosine from which two are near duplicates.

    Raises MissingExtraError without scikit-learn.
    """
    return Findings(
        n_rules=len(rules),
        faults=faults_of(rules, max_chars),
        near_duplicates=_near_duplicates(rules, similarity),
        contradictions=_contradictions(rules),
    )


def faults_of(rules: Sequence[Rule], max_chars: int = MAX_RULE_CHARS) -> tuple[Fault, ...]:
    """The lints of each rule, which need nothing but its text."""
    return tuple(
        Fault(rule_id=rule.rule_id, text=rule.text, code=code, meaning=_meaning(code, max_chars))
        for rule in rules
        for code in lint_rule(rule.text, "", max_chars)
    )


def _meaning(code: str, max_chars: int) -> str:
    return f"is longer than {max_chars} characters" if code == "too_long" else MEANINGS[code]


def _near_duplicates(rules: Sequence[Rule], threshold: float) -> tuple[RulePair, ...]:
    if len(rules) < 2:
        return ()
    import numpy as np

    similarity = np.triu(cosines([rule.criterion for rule in rules]), k=1)
    places = zip(*(axis.tolist() for axis in np.nonzero(similarity >= threshold)), strict=True)
    return tuple(
        RulePair(
            first_id=rules[i].rule_id,
            first=rules[i].text,
            second_id=rules[j].rule_id,
            second=rules[j].text,
            similarity=round(float(similarity[i, j]), 4),
        )
        for i, j in places
    )


def _contradictions(rules: Sequence[Rule]) -> tuple[RulePair, ...]:
    """Each two rules once, even when both name each other."""
    texts = {rule.rule_id: rule.criterion for rule in rules}
    pairs: dict[frozenset[str], RulePair] = {}
    for rule in rules:
        for other in rule.contradicts:
            pair = RulePair(first_id=rule.rule_id, first=rule.criterion, second_id=other, second=texts.get(other))
            pairs.setdefault(frozenset((rule.rule_id, other)), pair)
    return tuple(pairs.values())
