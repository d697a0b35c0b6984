"""Keys of servers, and passwords of proxies: kept out of everything that is written or shown.

Servers quote what they were sent, in a form of their own: escaped as JSON, URLs and HTML do it, or in base64.
"""

import base64
import json
import os
import re
from functools import lru_cache
from typing import Any

from autorule.errors import ConfigError

QUOTED_CHARS = 300
HIDDEN = "[key]"
MIN_SECRET_CHARS = 8
"""A shorter one may be a word, or a number: `token`, `No`. It stays in what is parsed as an answer, which must not
change with it, and goes from what is shown."""
MIN_SHOWN_CHARS = 4
"""Nothing shorter is a secret: without it, little could be said."""
MIN_PART_CHARS = 6
"""Of the beginning of a key at the end of a text that others cut."""
SPELLED_CHARS = 14
"""The most for one character of a key, escaped."""
FIELD_NAME = re.compile(r"[a-z_]+")
_known: set[str] = set()
"""Every key that this process has read."""


def read_key(variable: str | None) -> str:
    """The key; empty when no variable is named. Raises ConfigError when the variable holds none."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"environment variable {variable} (api_key_env) is not set: export it with the key")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"environment variable {variable} holds characters that no key can have")
    keep_secret(key)
    return key


def keep_secret(text: str) -> None:
    """From now on the text is shown nowhere."""
    _known.add(text)


def without_keys(text: str) -> str:
    """The text as it may be shown to people."""
    for key in _longest_first():
        if len(key) >= MIN_SECRET_CHARS:
            text = _without_secret(text, key)
        elif len(key) >= MIN_SHOWN_CHARS:
            text = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", HIDDEN, text)
    return text


def answer_without_keys(value: Any) -> Any:
    """What a server answered, decoded: all texts in it, and names but those that may be fields, which are shown only
    `quoted`. Raises RecursionError for what is nested too deep."""
    if isinstance(value, str):
        for key in _longest_first():
            value = _without_secret(value, key) if len(key) >= MIN_SECRET_CHARS else value
        return value
    if isinstance(value, list):
        return [answer_without_keys(part) for part in value]
    if isinstance(value, dict):
        return {
            name if FIELD_NAME.fullmatch(name) else answer_without_keys(name): answer_without_keys(part)
            for name, part in value.items()
        }
    return value


def quoted(value: Any, n_chars: int = QUOTED_CHARS) -> str:
    """The beginning of what a server sent, for a message: text as it is, all else as Python shows it. Keys go before
    it is cut, or a cut through one of them would leave its first half."""
    if isinstance(value, bytes):
        value = value.decode(json.detect_encoding(value), errors="replace")
    try:
        text = value if isinstance(value, str) else repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        text = f"a {type(value).__name__} that can't be shown"
    longest = SPELLED_CHARS * max(map(len, _longest_first()), default=1)
    # A key of so many characters leaves five, so the end that is cut away here would not be shown anyway.
    return _without_part(without_keys(text[: n_chars * longest]))[:n_chars]


def _longest_first() -> list[str]:
    """One key may be the beginning of another."""
    return sorted(_known, key=len, reverse=True)


def _without_secret(text: str, key: str) -> str:
    if len(text) < len(key):
        return text
    for coded in _in_base64(key):
        text = text.replace(coded, HIDDEN)
    return _spellings(key).sub(HIDDEN, text)


def _without_part(text: str) -> str:
    for key in _longest_first():
        for n in range(min(len(key) - 1, len(text)), MIN_PART_CHARS - 1, -1):
            if len(key) >= MIN_SECRET_CHARS and text.endswith(key[:n]):
                return text[:-n] + HIDDEN
    return text


@lru_cache(maxsize=64)
def _spellings(key: str) -> re.Pattern[str]:
    """Each character plain or escaped. A bounded number of steps at each place of a text."""
    return re.compile("".join(map(_spellings_of, key)))


def _spellings_of(char: str) -> str:
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(char):02x}")
    plain = r"\\{1,8}" if char == "\\" else re.escape(char)
    after_backslashes = rf"\\\\{{0,7}}+(?:{re.escape(char)}|u00{digits}|x{digits})"
    return rf"(?:{plain}|{after_backslashes}|%(?:25){{0,4}}{digits}|&#(?:{ord(char)}|[xX]{digits});)"


@lru_cache(maxsize=64)
def _in_base64(key: str) -> tuple[str, ...]:
    """What a coded text holds of the key wherever in it the key stands: one of three."""
    found = []
    for before in range(3):
        coded = base64.b64encode(bytes(before) + key.encode()).decode()
        whole = coded[-(-8 * before // 6) : 8 * (before + len(key.encode())) // 6]
        found += [whole, whole.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(found))
