"""Numbers that come with pairs: vectors, scores, strengths. Each raises FieldError for what is none."""

import math
from numbers import Real
from typing import Any

from autorule.preferences.messages import FieldError


def as_embedding(value: Any) -> tuple[float, ...] | None:
    """The vector of a pair; None where there is none."""
    if value is None:
        return None
    numbers = list(value) if hasattr(value, "__iter__") and not isinstance(value, (str, bytes, dict)) else []
    if not numbers or not all(isinstance(n, Real) and math.isfinite(n) for n in numbers) or not any(numbers):
        raise FieldError("bad_embedding", f"embedding is {value!r:.60}, expected a list of numbers, not all 0")
    return tuple(map(float, numbers))


def as_score(value: Any, name: str) -> float | None:
    """The number in a column, which is text in a CSV file; None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise FieldError("bad_score", f"{name} is {value!r:.60}, expected a number or nothing") from None
    return None if math.isnan(score) else score


def as_strength(value: Any) -> float | None:
    """How strong a preference is; without its sign, which only says which side: that is told by the label."""
    strength = as_score(value, "strength")
    if strength is None:
        return None
    if strength == 0 or math.isinf(strength):
        raise FieldError("bad_strength", f"strength is {strength:g}, expected a number other than 0, or nothing")
    return abs(strength)
