"""Layouts in which public preference sets are published, as our columns.

Arena (two whole conversations and a winner), the 55k set of Arena (lists as JSON in CSV, a column for each outcome),
HelpSteer3 (a preference from -3 to 3), ShareGPT (the conversation in `conversations`). They go before a mapping, which
can only name part of what they mean.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from autorule.preferences.messages import FieldError

TRUE, FALSE = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}


LAYOUTS = (
    {"conversation_a", "conversation_b", "winner"},
    {"prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie"},
    {"response1", "response2", "overall_preference"},
)


def is_public(names: Collection[str]) -> bool:
    """Whether a file with these columns has pairs in one of these layouts."""
    return any(layout <= set(names) for layout in LAYOUTS)


def our_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Our columns of a row in one of these layouts; nothing for any other. Raises FieldError for a row that is not of
    the layout that its columns show."""
    names = values.keys()
    if {"conversation_a", "conversation_b"} <= names:
        return _arena(values)
    if {"winner_model_a", "winner_model_b", "winner_tie"} <= names:
        return _arena_55k(values)
    if {"response1", "response2", "overall_preference"} <= names:
        return _helpsteer3(values)
    if "conversations" in names and "prompt" not in names:
        return {"prompt": values["conversations"]}
    return {}


def _arena(values: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt is what both conversations begin with; what follows are the responses."""
    one, other = values["conversation_a"], values["conversation_b"]
    if not isinstance(one, list) or not isinstance(other, list):
        raise FieldError("wrong_type", "conversation_a and conversation_b are no lists of messages")
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return {"prompt": one[:shared], "response_a": one[shared:], "response_b": other[shared:]}


def _arena_55k(values: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: _only_text(values.get(name), name) for name in ("prompt", "response_a", "response_b")}
    told = {side: _is_true(values[name], name) for side, name in OUTCOMES.items()}
    won = [side for side, is_it in told.items() if is_it]
    if len(won) != 1:
        raise FieldError("unknown_winner", f"{', '.join(OUTCOMES.values())} name {len(won)} outcomes, expected one")
    return {**texts, "winner": won[0]}


OUTCOMES = {"a": "winner_model_a", "b": "winner_model_b", "tie": "winner_tie"}


def _only_text(value: Any, name: str) -> str:
    """The text of a list of one, as JSON. Longer ones are conversations that went apart after the first turn."""
    try:
        texts = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        texts = None
    if not isinstance(texts, list) or not texts or not isinstance(texts[0], str):
        raise FieldError("wrong_type", f"{name} is {value!r:.60}, expected a list of texts as JSON")
    if len(texts) > 1:
        raise FieldError(
            "several_turns",
            f"{name} has {len(texts)} turns, which differ between the responses: no one prompt is shared",
        )
    return texts[0]


def _is_true(value: Any, name: str) -> bool:
    told = str(value).strip().casefold()
    if told not in TRUE | FALSE:
        raise FieldError("unknown_winner", f"{name} is {value!r:.40}, expected 0 or 1")
    return told in TRUE


def _helpsteer3(values: Mapping[str, Any]) -> dict[str, Any]:
    """Below 0 the first response is better, above 0 the second."""
    try:
        preference = float(values["overall_preference"])
    except (TypeError, ValueError, OverflowError):
        raise FieldError(
            "unknown_winner", f"overall_preference is {values['overall_preference']!r:.40}, expected -3 to 3"
        ) from None
    if not -3 <= preference <= 3:
        raise FieldError("unknown_winner", f"overall_preference is {preference:g}, expected -3 to 3")
    winner = "a" if preference < 0 else "b" if preference > 0 else "tie"
    own = {"response_a": values["response1"], "response_b": values["response2"], "winner": winner}
    return own if "prompt" in values else {**own, "prompt": values.get("context")}
