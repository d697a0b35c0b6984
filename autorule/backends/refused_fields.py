"""Fields of a request that a server refuses: learnt from its words, once, and left out or renamed from then on.

Hosted models differ in what they take: no max_tokens but max_completion_tokens, one of temperature and top_p, no seed,
a top_p below 1, few top_logprobs, no schema, a schema without bounds.
"""

import logging
import re
from collections.abc import Sequence
from typing import Any

from autorule.backends.retrying import FailedExchangeError

RENAMED = {"max_tokens": "max_completion_tokens"}
LEFT_OUT = ("response_format", "seed", "top_p", "temperature", "stop", "bad_words", "repetition_penalty")
"""In the order in which they are given up where the words name several."""
FEWER = {"top_logprobs": 5}
BOUNDS = frozenset({"maxItems", "maxLength", "minimum", "maximum"})
"""Of a schema. Some servers take a schema only without them, and so it is asked for before it is given up."""
REFUSING_STATUS = range(400, 600)
NOT_THE_FIELDS = frozenset({401, 403, 404, 408, 409, 413, 429})
TOO_LONG = re.compile(r"context|too long|maximum .{0,20}length|max_model_len|too many tokens", re.IGNORECASE)

log = logging.getLogger(__name__)


class RefusedFields:
    """What one model's servers refuse. Used from one event loop."""

    def __init__(self, omitted: Sequence[str] = ()) -> None:
        """`omitted`: fields that are never sent."""
        self._left_out = set(omitted)
        self._renamed: set[str] = set()
        self._fewer: set[str] = set()
        self._no_bounds = False

    def adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as these servers take it; null means that a field is not sent."""
        adapted = {name: value for name, value in body.items() if name not in self._left_out and value is not None}
        for name in self._renamed & adapted.keys():
            adapted[RENAMED[name]] = adapted.pop(name)
        for name in self._fewer & adapted.keys():
            adapted[name] = min(adapted[name], FEWER[name])
        if self._no_bounds and "response_format" in adapted:
            adapted["response_format"] = _without_bounds(adapted["response_format"])
        return adapted

    def learn(self, body: dict[str, Any], sent: dict[str, Any], error: FailedExchangeError) -> bool:
        """Whether the error refuses a field of the body that can go; asked again, the request goes without it. `sent`
        is the body as it was refused: another request may have taught more since."""
        words = str(error)
        if error.status not in REFUSING_STATUS or error.status in NOT_THE_FIELDS or TOO_LONG.search(words):
            return False
        if self.adapted(body) != sent:
            return True
        named = [name for name in (*RENAMED, *LEFT_OUT, *FEWER) if name in sent and _names(name, words)]
        if not named and "response_format" in sent and error.status in (400, 422):
            named = ["response_format"]  # a schema is refused in many words
        if not named:
            return False
        name = named[0]
        if name in RENAMED:
            self._renamed.add(name)
            log.warning("max_tokens is refused (%s); sending %s from now on", words, RENAMED[name])
        elif name in FEWER and sent[name] > FEWER[name]:
            self._fewer.add(name)
            log.warning("%s is refused (%s); asking for %d from now on", name, words, FEWER[name])
        elif name == "response_format" and _without_bounds(sent[name]) != sent[name]:
            self._no_bounds = True
            log.warning("a schema with bounds is refused (%s); asking for one without from now on", words)
        elif name in LEFT_OUT:
            self._left_out.add(name)
            log.warning("%s is refused (%s); going on without it", name, words)
        else:
            return False
        return True


def _without_bounds(schema: Any) -> Any:
    """The schema without limits of length and number. Names of properties are left as they are."""
    if isinstance(schema, list):
        return [_without_bounds(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_bounds(part) for name, part in value.items()}
        if key == "properties" and isinstance(value, dict)
        else _without_bounds(value)
        for key, value in schema.items()
        if key not in BOUNDS
    }


def _names(field: str, words: str) -> bool:
    pattern = r"response_format|json_schema|\bschema\b" if field == "response_format" else rf"(?<!\w){field}(?!\w)"
    return re.search(pattern, words) is not None
