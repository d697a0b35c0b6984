"""Values of others as part of a line."""

import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_MOST = 80


def shown(value: Any) -> str:
    """The value as Python writes it, cut: whatever it holds, however long or deep it is."""
    text = _SHORT.repr(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def writable(text: str) -> str:
    """The text with escapes in the place of what no file can hold: halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode()
