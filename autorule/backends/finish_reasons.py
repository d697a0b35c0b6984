"""Why an answer ended, in the words of many servers.

A server that says nothing, as some do of whole answers, or something that is not known here, has its answer taken.
"""

import re
from typing import Any

from autorule.records import FinishReason

KEYS = ("finish_reason", "native_finish_reason")
"""The second is what a router was told by the server behind it."""
DECLINED = re.compile(
    r"filter|safety|recitation|refus|block|prohibited|spii|sensitive|toxic|moderation|policy|guardrail|language"
)
BROKEN = re.compile(
    r"error|abort|cancel|time_?d?_?out|interrupt|fail|insufficient|overload|disconnect|unavailable|exhaust|malformed"
    r"|incomplete|^other$|^(?:un)?load$"
)
CUT = re.compile(r"length|max.{0,20}tokens|token_limit|context_window")
WHOLE = re.compile(r"^(?:stop|eos|end|complete|finished)")


def broke_off(choice: dict[str, Any]) -> str | None:
    """The reason of an answer that a fault of the server ended; None for any other."""
    return next((said for said in _said(choice) if BROKEN.search(said) and not DECLINED.search(said)), None)


def finish_reason(choice: dict[str, Any]) -> FinishReason:
    """Of an answer that did not break off. A word that it was declined or cut counts more than one that it ended."""
    said = _said(choice)
    readings: list[tuple[re.Pattern[str], FinishReason]] = [
        (DECLINED, "content_filter"),
        (CUT, "length"),
        (WHOLE, "stop"),
    ]
    return next((reason for words, reason in readings if any(map(words.search, said))), "unknown")


def _said(choice: dict[str, Any]) -> list[str]:
    values = [choice.get(key) for key in KEYS]
    return [re.sub(r"[\W_]+", "_", value[:100].casefold()).strip("_") for value in values if isinstance(value, str)]
