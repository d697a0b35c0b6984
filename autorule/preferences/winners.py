"""Who won, by the value of a column."""

import re
from enum import Enum
from typing import Any

from autorule.errors import ConfigError
from autorule.preferences.messages import FieldError
from autorule.preferences.showing import shown


class Side(Enum):
    A = "a"
    B = "b"
    TIE = "tie"


KNOWN = {
    Side.A: {"a", "model_a", "response_a", "a>b", "[[a]]"},
    Side.B: {"b", "model_b", "response_b", "b>a", "[[b]]"},
    Side.TIE: {"tie", "tie (bothbad)", "tie (inconsistent)", "both_bad", "bothbad", "a=b", "[[c]]", "same"},
}
"""Side -> how public sets spell it."""
WHOLE = re.compile(r"(-?\d+)\.0+")
"""A whole number as tables write it when some rows have none."""


class Winners:
    """Reads the winner by `values`, a mapping of a, b and tie to the values of the column; without one by the known
    spellings. Raises ConfigError for a name that is not a, b or tie, and for a value that is given for two of them."""

    def __init__(self, values: dict[str, str] | None = None) -> None:
        if unknown := sorted(set(values or {}) - {side.value for side in Side}):
            raise ConfigError(f"winner_values: {unknown[0]!r} is not a, b or tie")
        self._spelt = [(value, Side(name)) for name, value in (values or {}).items()]
        self._sides: dict[str, Side] = {}
        for value, side in self._spelt:
            other = self._sides.setdefault(_plain(value), side)
            if other is not side:
                raise ConfigError(
                    f"winner_values: {value!r} is given for {other.value} and for {side.value}; give each its own value"
                )

    def side(self, value: Any) -> Side:
        """Raises FieldError for a value that says none of the three."""
        if isinstance(value, Side):
            return value
        text = _plain(value)
        if self._sides:
            found = self._sides.get(text)
        else:
            found = next((side for side, spellings in KNOWN.items() if text in spellings), None)
        if found is None:
            raise FieldError("unknown_winner", f"winner is {shown(value)}, expected {self._expected()}")
        return found

    def _expected(self) -> str:
        """The values that count, and how to have others."""
        if not self._spelt:
            return "a, b or tie; map it with --winner-values a=...,b=...,tie=..."
        known = " or ".join(f"{value!r} ({side.value})" for value, side in self._spelt)
        unmapped = [side.value for side in Side if side not in self._sides.values()]
        return f"{known}; --winner-values maps no {' and no '.join(unmapped)}" if unmapped else known


def _plain(value: Any) -> str:
    """A value without what makes no difference: case, spaces about it, the zeros of a whole number."""
    text = str(value).strip().casefold()
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text
