"""What columns beside a chosen and a rejected response say of them: their scores, and that neither was preferred."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from autorule.preferences.messages import FieldError
from autorule.preferences.showing import shown
from autorule.preferences.values import as_score
from autorule.preferences.winners import KNOWN, Side
from autorule.records import RejectionReason

SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
    ("rating_chosen", "rating_rejected"),
)
"""Of the whole response: the first of them that are there decide."""
SIDES = {"chosen": "rejected", "Chosen": "Rejected", "CHOSEN": "REJECTED"}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
OF_SCORES = {"score", "scores", "rating", "ratings", "reward", "rewards", "grade", "grades", "votes", "upvotes"}
OF_RANKS = {"rank", "ranks", "ranking"}
"""Which of two ranks is the better one differs; equal ones say that neither is."""
OF_WHOLES = {"avg", "average", "mean", "overall", "total", "final", "sum"}
WITH_VERDICT = ("winner", "status", "label", "preference", "verdict", "outcome")
TIES = ("tie", "is_tie", "winner_tie")
GAPS = ("margin", "score_margin", "reward_margin", "score_diff", "preference_strength", "overall_preference")
"""Columns of a verdict in words, of a tie told with yes or 1, and of how far the responses are apart."""
TRUE = {"true", "yes", "1", "1.0"}


class _Scored(NamedTuple):
    columns: tuple[str, str]
    chosen: float
    rejected: float


def score_columns(names: Collection[str]) -> list[tuple[str, str]]:
    """The pairs of columns with scores of the chosen and of the rejected response, those of the whole response
    first."""
    found = [one for one in SCORES if set(one) <= set(names)]
    for name in names:
        side = next((side for side in SIDES if side in name), None)
        other = name.replace(side, SIDES[side], 1) if side else ""
        if other in names and _words(name) & (OF_SCORES | OF_RANKS):
            found.append((name, other))
    return sorted(dict.fromkeys(found), key=lambda one: one not in SCORES and not _is_of_whole(one))


def _words(name: str) -> set[str]:
    return {word.lower() for word in WORD.findall(name)}


def _is_of_whole(columns: tuple[str, str]) -> bool:
    words = _words(columns[0]) - {"chosen"}
    return bool(words & OF_SCORES) and words <= OF_SCORES | OF_WHOLES


def against(values: Mapping[str, Any], mapped: tuple[str, str] | None) -> RejectionReason | None:
    """Why the scores of a row are no reason to prefer the chosen response; `mapped` are the columns that the user
    names. Scores of aspects of the responses say so only where all of them do.

    Raises FieldError for a score that is no number, in columns that can be nothing else.
    """
    columns = [mapped] if mapped else score_columns(values)
    scored = [one for names in columns if (one := _scored(values, names, bool(mapped) or names in SCORES))]
    wholes = [one for one in scored if mapped or one.columns in SCORES or _is_of_whole(one.columns)]
    return _told(wholes[:1] or scored)


def _told(scored: Sequence[_Scored]) -> RejectionReason | None:
    differing = [one for one in scored if one.chosen != one.rejected]
    if scored and not differing:
        told = "; ".join(f"{one.columns[0]} and {one.columns[1]} are both {one.chosen:g}" for one in scored)
        return RejectionReason(code="tie", message=told)
    if differing and not any(one.chosen > one.rejected or _words(one.columns[0]) & OF_RANKS for one in differing):
        (for_chosen, for_rejected), best, worst = differing[0]
        message = f"{for_chosen} {best:g} < {for_rejected} {worst:g}"
        return RejectionReason(code="scores_contradict", message=message)
    return None


def _scored(values: Mapping[str, Any], columns: tuple[str, str], is_certain: bool) -> _Scored | None:
    try:
        chosen, rejected = (as_score(values.get(name), name) for name in columns)
    except FieldError:
        if is_certain:
            raise
        return None
    return None if chosen is None or rejected is None else _Scored(columns, chosen, rejected)


def verdict_columns(names: Collection[str]) -> set[str]:
    """Columns that may say that no response was preferred."""
    return {*WITH_VERDICT, *TIES, *GAPS} & set(names)


def tie_told(values: Mapping[str, Any]) -> RejectionReason | None:
    """That a row is a tie, where a column says so beside the chosen and the rejected response."""
    for name in verdict_columns(values):
        told = str(values[name]).strip().casefold()
        is_tie = told in KNOWN[Side.TIE] if name in WITH_VERDICT else told in TRUE if name in TIES else _is_zero(told)
        if is_tie:
            return RejectionReason(code="tie", message=f"{name} is {shown(told)}: no response was preferred")
    return None


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False
