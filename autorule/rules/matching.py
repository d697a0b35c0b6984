"""Which rule of one set is which rule of another: the same words, similar words, or mined from the same pairs."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from autorule.backends.text_vectors import text_vectors
from autorule.errors import MissingExtraError
from autorule.records import Record, Rule
from autorule.rules.text import normalise_rule
from autorule.rules.wording import are_opposed

SHARED_SOURCES = 0.5
"""From this share of candidates or pairs in common on, two rules may be one whatever their words."""
SOURCE_WEIGHT = 0.5
"""A pair often gives several rules, so that wording says more than sources where the two disagree."""


class Match(Record):
    """A rule of set a, a rule of set b, or one of each that are taken for the same."""

    kind: Literal["kept", "reworded", "new", "gone"]
    """`kept`: the same words. `reworded`: one rule in two wordings. `new`: only in b. `gone`: only in a."""
    a: Rule | None = None
    b: Rule | None = None
    similarity: float | None = None
    """Cosine of the texts, for the two that are matched."""
    shared_candidates: float | None = None
    shared_pairs: float | None = None
    """Candidates and pairs behind both, as a share of those behind either; None where neither rule names any."""


def match_rules(a: Sequence[Rule], b: Sequence[Rule], threshold: float = 0.5) -> list[Match]:
    """Every rule of both sets in exactly one match: those of `a` in its order, then those that are only in `b`.

    Two rules are one when they have the same words; of the others, when the cosine of their texts is at least
    `threshold` and no opposites (wording.py), or half of their candidates or of their pairs are the same. Among all
    ways to match the others one to one, it is the one with the greatest sum of similarities. Raises MissingExtraError
    without scikit-learn or scipy, which are not needed when the words are the same.
    """
    import numpy as np  # here, since most of what imports this module matches nothing

    same = _same_words(a, b)
    rest_a = [i for i in range(len(a)) if i not in same]
    rest_b = sorted(set(range(len(b))) - set(same.values()))
    matched = {i: Match(kind="kept", a=a[i], b=b[j], similarity=1.0, **_shared(a[i], b[j])) for i, j in same.items()}
    taken: set[int] = set()
    if rest_a and rest_b:
        similarity = cosines([rule.criterion for rule in (*a, *b)])[np.ix_(rest_a, [len(a) + j for j in rest_b])]
        for row, column in _assign(similarity, [a[i] for i in rest_a], [b[j] for j in rest_b], threshold):
            i, j = rest_a[row], rest_b[column]
            cosine = round(float(similarity[row, column]), 4)
            matched[i] = Match(kind="reworded", a=a[i], b=b[j], similarity=cosine, **_shared(a[i], b[j]))
            taken.add(j)
    new = [Match(kind="new", b=b[j]) for j in rest_b if j not in taken]
    return [*(matched.get(i) or Match(kind="gone", a=rule) for i, rule in enumerate(a)), *new]


def cosines(texts: list[str]) -> Any:
    """The cosine of every two of the texts as a dense array, for the few hundred texts that rule sets have.

    Texts without any word are like no other. Raises MissingExtraError without scikit-learn.
    """
    import numpy as np

    vectors = text_vectors(texts) if texts else None
    if vectors is None:
        return np.zeros((len(texts), len(texts)))
    return np.clip((vectors @ vectors.T).toarray(), 0.0, 1.0)


def _same_words(a: Sequence[Rule], b: Sequence[Rule]) -> dict[int, int]:
    """Index in a -> index in b of the rules with the same words, each at most once."""
    places: dict[str, list[int]] = {}
    for j, rule in enumerate(b):
        places.setdefault(_key(rule), []).append(j)
    return {i: places[_key(rule)].pop(0) for i, rule in enumerate(a) if places.get(_key(rule))}


def _key(rule: Rule) -> str:
    return normalise_rule(rule.criterion) or rule.criterion


def _assign(similarity: Any, a: Sequence[Rule], b: Sequence[Rule], threshold: float) -> list[tuple[int, int]]:
    import numpy as np

    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingExtraError("scipy", "data", "matching rules") from error
    sources = np.array([[_shared_sources(one, other) for other in b] for one in a])
    alike = similarity >= threshold
    for row, column in zip(*np.nonzero(alike), strict=True):
        alike[row, column] = not are_opposed(a[row].criterion, b[column].criterion)
    as_inverted = np.array([[one.inverted == other.inverted for other in b] for one in a])
    eligible = (alike | (sources >= SHARED_SOURCES)) & as_inverted
    score = np.where(eligible, similarity + SOURCE_WEIGHT * sources, 0.0)
    rows, columns = linear_sum_assignment(score, maximize=True)
    return [(row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True) if eligible[row, column]]


def _shared(one: Rule, other: Rule) -> dict[str, Any]:
    return {
        "shared_candidates": _jaccard(one.candidate_ids, other.candidate_ids),
        "shared_pairs": _jaccard(one.pair_ids, other.pair_ids),
    }


def _shared_sources(one: Rule, other: Rule) -> float:
    shares = _shared(one, other).values()
    return max((share for share in shares if share is not None), default=0.0)


def _jaccard(one: Collection[str], other: Collection[str]) -> float | None:
    union = {*one, *other}
    return round(len({*one} & {*other}) / len(union), 4) if union else None
