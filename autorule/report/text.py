"""Text and numbers as the page and the plots show them."""

import unicodedata

from autorule.statistics.records import Interval

MISSING = "–"
JOINERS = "\u200c\u200d"
"""Invisible, but scripts and emoji are spelled with them."""
WRITTEN = {"\n": "↵", "\t": "⇥"}


def visible(text: str) -> str:
    """The text with every character that is invisible, acts on its surroundings, or is forbidden in XML written out:
    controls, overrides of the direction, lone surrogates."""
    return "".join(char if _is_plain(char) else WRITTEN.get(char, f"⟨U+{ord(char):04X}⟩") for char in text)


def shortened(text: str, width: int) -> str:
    """At most `width` columns of the text, by the widths of its characters; an ellipsis says that there is more."""
    text, used = " ".join(visible(text).split()), 0
    for index, char in enumerate(text):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used > width:
            return text[: index - 1].rstrip() + "…"
    return text


def percent(value: float | None, signed: bool = False, digits: int = 1) -> str:
    """A share; or, with its sign, a difference of shares in percentage points."""
    if value is None:
        return MISSING
    return (f"{100 * value:+z.{digits}f} pp" if signed else f"{value:z.{digits}%}").replace("-", "−")


def number(value: float | None, digits: int = 2) -> str:
    return MISSING if value is None else f"{value:z,.{digits}f}".replace("-", "−")


def interval_text(interval: Interval, signed: bool = False) -> str:
    """The value and, where there are any, the ends of its interval."""
    if interval.low is None or interval.high is None:
        return percent(interval.value, signed)
    return f"{percent(interval.value, signed)} ({ends_text(interval, signed)})"


def ends_text(interval: Interval, signed: bool = False) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f"{percent(interval.low, signed).removesuffix(' pp')} to {percent(interval.high, signed)}"


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what is counted: 1 pair, 2 pairs."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _is_plain(char: str) -> bool:
    code = ord(char)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return False
    return char in JOINERS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
