"""The key of a server: it comes from the environment, and only its variable's name is ever written down."""

import os

from autorule.errors import ConfigError


def read_key(variable: str | None) -> str:
    """The key; empty when no variable is named. Raises ConfigError when the variable holds none."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"environment variable {variable} (api_key_env) is not set: export it with the key")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"environment variable {variable} holds characters that no key can have")
    return key
