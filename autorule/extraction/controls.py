"""Ties as a negative control: what does mining find where there is nothing to find?

A rule that resembles what the model says about ties as often as what it says about preferences tells of the model, not
of the preferences.
"""

from collections.abc import Sequence

from autorule.backends.text_vectors import Vectoriser
from autorule.records import CandidateRule, Rule

RESEMBLES = 0.5
"""Cosine from which a candidate counts as telling of a rule."""
PAIR_SHARE, TIE_SHARE = "pair_share", "tie_share"
"""Statistics of a rule: the share of pairs, and of ties, with a candidate that resembles it."""


def with_control(
    rules: Sequence[Rule], candidates: Sequence[CandidateRule], n_pairs: int, n_ties: int, vectorise: Vectoriser
) -> list[Rule]:
    """The rules, each with the share of the pairs and of the ties that have a candidate which resembles it.

    `candidates` are those of pairs and of ties (`control`) together, so that both are measured alike.
    """
    vectors = vectorise([*(rule.text for rule in rules), *(candidate.text for candidate in candidates)])
    measured = []
    for index, rule in enumerate(rules):
        pairs: dict[bool, set[str]] = {False: set(), True: set()}
        if vectors is not None:
            products = vectors[len(rules) :] @ vectors[[index]].T
            cosines = (products.toarray() if hasattr(products, "toarray") else products).ravel()
            for candidate, cosine in zip(candidates, cosines.tolist(), strict=True):
                if cosine >= RESEMBLES:
                    pairs[candidate.control].add(candidate.pair_id)
        shares = {PAIR_SHARE: len(pairs[False]) / n_pairs, TIE_SHARE: len(pairs[True]) / n_ties}
        measured.append(rule.model_copy(update={"statistics": {**rule.statistics, **shares}}))
    return measured


def told_by_ties(rules: Sequence[Rule]) -> list[Rule]:
    """The rules that ties tell of, and at least as often as pairs do."""
    return [
        rule
        for rule in rules
        if (of_ties := rule.statistics.get(TIE_SHARE)) and of_ties >= (rule.statistics.get(PAIR_SHARE) or 0)
    ]
