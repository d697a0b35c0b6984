"""Reward settings on disk: TOML or JSON, beside the rule set that they name."""

from pathlib import Path
from typing import Any

from autorule.config.layers import build_config, load_settings
from autorule.errors import ConfigError, in_words
from autorule.rewards.settings import RewardSettings
from autorule.storage import parse_json, read_text


def load_reward_settings(path: Path, changes: dict[str, Any] | None = None) -> RewardSettings:
    """The settings of a file, `changes` over them; the rule set's path is made absolute.

    Raises ConfigError when the file can't be read or a setting is bad, by name.
    """
    content = _read_json(path) if path.suffix == ".json" else load_settings(path)
    try:
        settings = build_config(RewardSettings, content, changes or {})
    except ConfigError as error:
        raise ConfigError(f"reward settings {str(path)!r}: {error}") from error
    try:
        rules = (path.parent / settings.rules).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links
        raise ConfigError(f"reward settings {str(path)!r}: rules leads nowhere: {in_words(error)}") from error
    return settings.model_copy(update={"rules": rules})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"reward settings {str(path)!r} can't be read: {in_words(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"reward settings {str(path)!r} is no JSON object")
    return content
