"""What a server said when it refused a request: which fields it names, and the limit it tells."""

import json
import re
from typing import Any

MOST_CHARS = 20_000
NAMING_KEYS = frozenset({"param", "parameter", "loc", "field", "path"})
ECHOED_KEYS = frozenset({"input", "body", "request", "prompt", "messages"})
"""Under them a server repeats what it was sent, which names every field."""
TOO_LONG = re.compile(
    r"context.{0,20}(?:length|window|size|limit|exceed)|(?:exceed|fit|beyond|larg|long|great).{0,60}context|n_ctx"
    r"|too long|maximum .{0,20}length|max_model_len|too many tokens",
    re.IGNORECASE | re.DOTALL,
)
TOO_LONG_STATUS = (None, 400, 413, 422, 500)
REFUSING = re.compile(
    r"\bno[tn]?\b|n['’]t\b|\boff\b|disabled|unsupported|unknown|unrecogni[sz]ed|unexpected|extra|invalid|conflict"
    r"|forbidden|deprecated|\bonly\b",
    re.IGNORECASE,
)
"""Words of a refusal: a status that is mostly about something else needs them beside the name of a field."""
ABOUT_THE_PROMPT = re.compile(r"polic(?:y|ies)|content.?(?:filter|management)|moderation|flagged|safety", re.IGNORECASE)
SCHEMA = re.compile(
    r"response.?format|json.?schema|json.?mode|\bschemas?\b|structured.?(?:output|generation)|grammar"
    r"|(?:guided|constrained).?(?:decoding|generation|json)|xgrammar|outlines",
    re.IGNORECASE,
)
STOP = re.compile(r"['\"`‘“]stop['\"`’”]|\bstop(?:[_\s-]?(?:sequence|word|string|token|param|field)|:)", re.IGNORECASE)
SAID_OTHERWISE = {"response_format": SCHEMA, "stop": STOP}
"""A schema has many names, and "stop" is what people say too."""
LOGPROBS = re.compile(r"(?<![a-z0-9])logprobs(?![a-z0-9])", re.IGNORECASE)
NUMBER = re.compile(r"(?<!\w)(?<!\d\.)\d{1,3}(?!\w)(?!\.\d)", re.ASCII)


def says_too_long(status: int | None, words: str) -> bool:
    """Whether a refusal is about the length of the prompt. A status of None: an error without a number of its own."""
    return status in TOO_LONG_STATUS and TOO_LONG.search(words) is not None


def words_in(said: Any) -> str:
    """All that a reply says, as one text: keys and values, without what it repeats of the request. Names that stand
    in a place for names come in quotes. `said`: the reply, or its bytes."""
    if isinstance(said, bytes):
        try:
            said = json.loads(said)
        except (ValueError, RecursionError):
            said = said.decode(errors="replace")
    parts: list[str] = []
    n_chars = 0
    left: list[tuple[Any, str]] = [(said, "")]
    while left and n_chars < MOST_CHARS:
        value, key = left.pop()
        if isinstance(value, dict):
            for name, inner in reversed(value.items()):
                if name not in ECHOED_KEYS:
                    left += [(inner, name), (str(name), "")]
        elif isinstance(value, list):
            left += [(inner, key) for inner in reversed(value)]
        elif isinstance(value, str) or (type(value) is int and abs(value) < 10**9):
            parts.append(f"'{value}'" if key in NAMING_KEYS else str(value))
            n_chars += len(parts[-1])
    return " ".join(parts)[:MOST_CHARS]


def named_fields(fields: list[str], words: str) -> list[str]:
    """Those of the fields that the words name, in any of the spellings of a name; only those in quotes where some
    are: the rest is about them."""
    named = [field for field in fields if _pattern(field).search(words)]
    quoted = [field for field in named if re.search(rf"['\"`‘“]{_spellings(field)}['\"`’”]", words, re.IGNORECASE)]
    return quoted or named


def told_limit(words: str, sent: Any) -> int | None:
    """The largest number in the words below what was sent; None where they tell of none, or no number was sent."""
    if not isinstance(sent, int):
        return None
    return max((n for n in map(int, NUMBER.findall(words)) if 0 < n < sent), default=None)


def _pattern(field: str) -> re.Pattern[str]:
    if field in SAID_OTHERWISE:
        return SAID_OTHERWISE[field]
    return re.compile(rf"(?<![a-z0-9]){_spellings(field)}(?![a-z0-9])", re.IGNORECASE)


def _spellings(field: str) -> str:
    """max_tokens, maxTokens, MAX_TOKENS, max tokens, max-tokens."""
    return field.replace("_", r"[_\s-]?")
