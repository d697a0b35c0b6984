"""Where JSON stands in a text that is not all JSON, and where it begins and breaks off.

Read from each opening bracket anew, brackets in each other would cost the square of their number. What stops a value
stops all that it stands in at the same place: these are passed over, and nothing is read more than a few times.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_DEPTH = 100
"""Of objects and arrays in each other: what is deeper is no answer."""
OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(
    r"[ \t\n\r]*+(?:(?P<mark>[\[\]{},:])"
    r'|(?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(?P<atom>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|NaN|-?Infinity))"
)
_BEGUN = re.compile(
    r'[ \t\n\r]*+(?:"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+(?:\\(?:u[0-9a-fA-F]{0,3})?)?'
    r"|-|[.eE][-+]?|t|tr|tru|f|fa|fal|fals|n|nu|nul|N|Na|-?I[nfity]{0,6})?\s*+"
)
"""All that a cut leaves of a token, at the end of a text."""
_VALUES = frozenset({"[", "{", "string", "atom"})
_EXPECTED = {
    "[": _VALUES | {"]"},
    ",[": _VALUES,
    "value[": frozenset({",", "]"}),
    "{": frozenset({"string", "}"}),
    ",{": frozenset({"string"}),
    "key{": frozenset({":"}),
    ":{": _VALUES,
    "value{": frozenset({",", "}"}),
}
"""Behind what, in an array or an object -> which tokens may stand."""


class Span(NamedTuple):
    """What begins at an opening bracket: a value, or what keeps it from being one."""

    start: int
    end: int
    """Of the value, or of the part that could be one."""
    is_value: bool
    is_cut: bool
    """Whether the text ends before the value does, or may: what is too deep is not read on."""


def spans_of(text: str) -> Iterator[Span]:
    """The objects and arrays of a text that are in no other, in order, and what begins as if it were one."""
    faulty: set[int] = set()
    position = 0
    while match := OPENING.search(text, position):
        position = match.end()
        if match.start() in faulty:
            continue
        end, still_open = _read(text, match.start())
        if still_open:
            faulty.update(still_open)
            deep = len(still_open) > MAX_DEPTH
            yield Span(match.start(), end, False, deep or _BEGUN.fullmatch(text, end) is not None)
        else:
            position = end
            yield Span(match.start(), end, True, False)


def _read(text: str, start: int) -> tuple[int, list[int]]:
    """How far the text can be read as a value, and the brackets that are open there: none behind a whole value."""
    still_open: list[int] = []
    position, state = start, ":{"
    while (token := _TOKEN.match(text, position)) and len(still_open) <= MAX_DEPTH:
        kind = token["mark"] or token.lastgroup or ""
        if kind not in _EXPECTED[state]:
            break
        position = token.end()
        if kind in "[{":
            still_open.append(position - 1)
            state = kind
            continue
        if kind in "]}":
            still_open.pop()
            if not still_open:
                break
        is_key = kind == "string" and state in ("{", ",{")
        state = (kind if kind in ",:" else "key" if is_key else "value") + text[still_open[-1]]
    return position, still_open
