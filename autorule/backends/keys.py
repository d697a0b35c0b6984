"""Keys of servers: read from the environment, and kept out of everything that is written or shown."""

import os
from typing import Any

from autorule.errors import ConfigError

QUOTED_CHARS = 300
HIDDEN = "[key]"
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
    _known.add(key)
    return key


def without_keys(text: str) -> str:
    """The text as it may be kept and shown: servers quote what they were sent."""
    for key in _known:
        text = text.replace(key, HIDDEN)
    return text


def body_without_keys(content: bytes) -> bytes:
    """The same of a reply, before anything of it is read."""
    for key in _known:
        content = content.replace(key.encode(), HIDDEN.encode())
    return content


def quoted(value: Any, n_chars: int = QUOTED_CHARS) -> str:
    """The beginning of what a server sent, for a message: text as it is, all else as Python shows it. Keys go before
    it is cut, or a cut through one of them would leave its first half."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    try:
        text = value if isinstance(value, str) else repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        text = f"a {type(value).__name__} that can't be shown"
    return without_keys(text)[:n_chars]
