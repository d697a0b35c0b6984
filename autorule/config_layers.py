"""A config out of layers of settings: presets, files, options; later ones over earlier ones."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from autorule.errors import ConfigError
from autorule.stage_config import Config

ConfigType = TypeVar("ConfigType", bound=Config)


def build_config(kind: type[ConfigType], *layers: dict[str, Any]) -> ConfigType:
    """A config from nested dicts, later ones over earlier ones. Raises ConfigError with one line per problem."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'config'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise ConfigError(problems) from error


def _merge_into(target: dict[str, Any], layer: dict[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge_into(target[key], value)
        elif isinstance(value, dict):
            target[key] = {}
            _merge_into(target[key], value)
        else:
            target[key] = value


def load_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file. Raises ConfigError when it can't be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r}: {error}") from error


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset that ships with autorule. Raises ConfigError for an unknown name."""
    folder = resources.files("autorule.presets")
    entry = folder / f"{name}.toml"
    if not entry.is_file():
        known = sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml"))
        raise ConfigError(f"no preset named {name!r}; there are {', '.join(known)}")
    return tomllib.loads(entry.read_text(encoding="utf-8"))
