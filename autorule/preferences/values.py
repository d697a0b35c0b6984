"""Numbers that come with pairs: vectors, scores, strengths. Each raises FieldError for what is none."""

import math
from numbers import Real
from typing import Any

from autorule.preferences.messages import FieldError
from autorule.preferences.showing import shown


def as_embedding(value: Any) -> tuple[float, ...] | None:
    """The vector of a pair; None where there is none."""
    if value is None:
        return None
    numbers = list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes, dict)) else []
    try:
        vector = tuple(float(number) if isinstance(number, Real) else math.nan for number in numbers)
    except OverflowError:
        vector = ()
    if not all(map(math.isfinite, vector)) or not any(vector):
        raise FieldError("bad_embedding", f"embedding is {shown(value)}, expected a list of numbers, not all 0")
    return vector


def as_score(value: Any, name: str) -> float | None:
    """The number in a column, which is text in a CSV file; None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        score = float(value)
    except (TypeError, ValueError, OverflowError):
        score = math.inf
    if math.isinf(score):
        raise FieldError("bad_score", f"{name} is {shown(value)}, expected a number or nothing")
    return None if math.isnan(score) else score


def as_strength(value: Any) -> float | None:
    """How strong a preference is; without its sign, which only says which side: that is told by the label."""
    strength = as_score(value, "strength")
    if strength is None:
        return None
    if strength == 0:
        raise FieldError("bad_strength", f"strength is {strength:g}, expected a number other than 0, or nothing")
    return abs(strength)


def as_turn(value: Any) -> int | None:
    """The number of the turn that was judged, from 1; None where it is not told."""
    turn = as_score(value, "turn")
    if turn is None:
        return None
    if turn < 1 or not turn.is_integer():
        raise FieldError("bad_turn", f"turn is {shown(value)}, expected a whole number from 1, or nothing")
    return int(turn)
