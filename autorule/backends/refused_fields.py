"""Fields of a request that a server refuses: learnt from its words, once, and left out or renamed from then on.

Hosted models differ in what they take: no max_tokens but max_completion_tokens, one of temperature and top_p, no seed,
a top_p below 1, few top_logprobs, no schema, a schema without bounds.

One prompt may be refused for itself, in words that name a field too. So each request finds its own way first, and what
it found is kept for all others only when it was answered.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from autorule.backends.refusal_words import (
    ABOUT_THE_PROMPT,
    LOGPROBS,
    REFUSING,
    TOO_LONG,
    named_fields,
    told_limit,
)
from autorule.backends.retrying import FailedExchangeError

RENAMED = {"max_tokens": "max_completion_tokens"}
"""In the chat interface; completions know the old name alone."""
LEFT_OUT = ("response_format", "seed", "top_p", "temperature", "stop", "bad_words", "repetition_penalty")
"""In the order in which they are given up where the words name several."""
FEWER = {"top_logprobs": (5, 2, 1)}
"""What is asked for where the words tell no limit."""
BOUNDS = frozenset({"maxItems", "maxLength", "minimum", "maximum"})
"""Of a schema. Some servers take a schema only without them, and so it is asked for before it is given up."""
SCHEMA = "response_format"
UNBOUNDED = "without bounds"
NOT_THE_FIELDS = frozenset({401, 408, 413})
SELDOM_THE_FIELDS = frozenset({402, 403, 404, 409, 429, *range(500, 600)})
NEVER_GUESSED = frozenset({402, 403, 404, 409, 429, 502, 503, 504})
"""Mostly a name, a plan, a limit of calls or a server that is away: a field is given up only where it is named."""

Way = str | int | None
"""How a field is sent: under another name, UNBOUNDED, with a number at most; None leaves it out."""
Send = Callable[[dict[str, Any], bool], Awaitable[dict[str, Any]]]
"""Posts a body; True sends it once, without retries and waiting."""

log = logging.getLogger(__name__)


class RefusedFields:
    """What one model's servers refuse. Used from one event loop."""

    def __init__(self, omitted: Sequence[str] = ()) -> None:
        """`omitted`: fields that are never sent."""
        self.ways: dict[str, Way] = dict.fromkeys(omitted)
        self._n_after_faults = 0
        self._answered: set[Way] = set()
        """The ways in which a schema was sent and the request was answered; True: as it is."""

    def adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as these servers take it; null means that a field is not sent."""
        return _adapted(body, self.ways)

    async def post(self, body: dict[str, Any], send: Send) -> dict[str, Any]:
        """The reply to the body, less what is refused of it. Raises FailedExchangeError."""
        attempt, once = Attempt(self), False
        while True:
            sent = attempt.adapted(body)
            try:
                reply = await send(sent, once)
            except FailedExchangeError as error:
                if not attempt.learn(body, sent, error):
                    raise attempt.unnamed or error from None
                once = attempt.unnamed is not None or (error.status or 0) >= 500
            else:
                self.keep(attempt, sent)
                return reply

    def takes_schemas(self, way: Way) -> bool:
        return way in self._answered or True in self._answered

    def keep(self, attempt: "Attempt", sent: dict[str, Any]) -> None:
        """Takes over what an answered attempt found, and says what is new."""
        for name, way in attempt.ways.items():
            if name in self.ways and _stricter(self.ways[name], way) == self.ways[name]:
                continue
            if name == SCHEMA and attempt.unnamed and not self._is_sure(attempt.unnamed, way):
                continue
            self.ways[name] = way
            _say(name, way, attempt.words.get(name, ""))
        if SCHEMA in sent:
            self._answered.add(True if _has_bounds(sent[SCHEMA]) else UNBOUNDED)

    def _is_sure(self, refusal: FailedExchangeError, way: Way) -> bool:
        """Whether a refusal that named nothing was about the schema: none like it was ever answered, and a fault of the
        server, which may pass by itself, came twice."""
        if self.takes_schemas(UNBOUNDED if way is None else True):
            return False
        self._n_after_faults += (refusal.status or 500) >= 500
        return (refusal.status or 500) < 500 or self._n_after_faults > 1


class Attempt:
    """One request's way through what is refused."""

    def __init__(self, fields: RefusedFields) -> None:
        self._fields = fields
        self.ways = dict(fields.ways)
        self.words: dict[str, str] = {}
        self.unnamed: FailedExchangeError | None = None
        """The refusal that named no field, if one led here."""

    def adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        return _adapted(body, self.ways)

    def learn(self, body: dict[str, Any], sent: dict[str, Any], error: FailedExchangeError) -> bool:
        """Whether the error refuses a field of the body that can go; asked again, the request goes without it. `sent`
        is the body as it was refused: another request may have taught more since."""
        for name, way in self._fields.ways.items():
            self.ways[name] = _stricter(self.ways[name], way) if name in self.ways else way
        if not error.words or error.status in NOT_THE_FIELDS:
            return False
        if self.adapted(body) != sent:
            return True
        refused = self._refused(sent, error)
        if refused is None:
            return False
        self.ways[refused] = _next_way(refused, sent[refused], error.words)
        self.words[refused] = str(error)
        return True

    def _refused(self, sent: dict[str, Any], error: FailedExchangeError) -> str | None:
        """The field to give up, named or guessed."""
        words = error.words
        if error.status in SELDOM_THE_FIELDS and not REFUSING.search(words):
            return self._guessed(sent, error)
        named = named_fields([name for name in (*RENAMED, *LEFT_OUT, *FEWER) if name in sent], words)
        keeps_length = TOO_LONG.search(words) or error.status in SELDOM_THE_FIELDS or "prompt" in sent
        for name in named:
            if name in RENAMED and keeps_length:
                continue
            if name in FEWER and _next_way(name, sent[name], words) is None:
                continue
            return name
        if LOGPROBS.search(words) and told_limit(words, sent.get("top_logprobs")):
            return "top_logprobs"
        return self._guessed(sent, error)

    def _guessed(self, sent: dict[str, Any], error: FailedExchangeError) -> str | None:
        """A schema is refused in many words."""
        if SCHEMA not in sent or TOO_LONG.search(error.words) or ABOUT_THE_PROMPT.search(error.words):
            return None
        if error.status in NEVER_GUESSED:
            return None
        way: Way = True if _has_bounds(sent[SCHEMA]) else UNBOUNDED
        if (error.status or 500) >= 500 and self._fields.takes_schemas(way):
            return None
        self.unnamed = self.unnamed or error
        return SCHEMA


def _next_way(name: str, value: Any, words: str) -> Way:
    """How a field that is refused as it was sent is sent next; None leaves it out, and a number stands as it is."""
    if name in RENAMED:
        return RENAMED[name]
    if name in FEWER:
        return told_limit(words, value) or next((n for n in FEWER[name] if isinstance(value, int) and n < value), None)
    return UNBOUNDED if name == SCHEMA and _has_bounds(value) else None


def _stricter(one: Way, other: Way) -> Way:
    if one is None or other is None:
        return None
    return min(one, other) if isinstance(one, int) and isinstance(other, int) else one


def _adapted(body: dict[str, Any], ways: dict[str, Way]) -> dict[str, Any]:
    adapted = {}
    for name, value in body.items():
        way = ways.get(name, True)
        if value is None or way is None:
            continue
        if way == UNBOUNDED:
            value = _without_bounds(value)
        elif name in FEWER and isinstance(value, int) and isinstance(way, int) and way is not True:
            value = min(value, way)
        adapted[RENAMED[name] if way == RENAMED.get(name) and "prompt" not in body else name] = value
    return adapted


def _say(name: str, way: Way, words: str) -> None:
    if way is None:
        log.warning("%s is refused (%s); going on without it", name, words)
    elif way == UNBOUNDED:
        log.warning("a schema with bounds is refused (%s); asking for one without from now on", words)
    elif name in RENAMED:
        log.warning("%s is refused (%s); sending %s from now on", name, words, way)
    else:
        log.warning("%s is refused (%s); asking for %d from now on", name, words, way)


def _has_bounds(schema: Any) -> bool:
    return bool(_without_bounds(schema) != schema)


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
