"""A config out of layers of settings: presets, files, options; later ones over earlier ones."""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from autorule.config.stages import Config
from autorule.errors import ConfigError, in_words
from autorule.storage import read_text

ConfigType = TypeVar("ConfigType", bound=Config)


def build_config(kind: type[ConfigType], *layers: dict[str, Any]) -> ConfigType:
    """A config from nested dicts, later ones over earlier ones. Raises ConfigError with one line per problem."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer)
    _refuse_no_text(merged)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_told(kind, fault["loc"], fault) for fault in error.errors())) from error


def _refuse_no_text(setting: Any, where: str = "") -> None:
    """Raises ConfigError for a name of a file that is no UTF-8: it could stand in no manifest."""
    if isinstance(setting, dict):
        for name, value in setting.items():
            _refuse_no_text(value, f"{where}.{name}".lstrip("."))
    elif isinstance(setting, list | tuple):
        for value in setting:
            _refuse_no_text(value, where)
    elif isinstance(setting, str | Path):
        try:
            str(setting).encode()
        except UnicodeEncodeError as error:
            shown = str(setting).encode(errors="backslashreplace").decode()
            raise ConfigError(f"{where}: {shown} is no UTF-8 text; rename the file or folder") from error


def _told(kind: type[BaseModel], loc: Sequence[int | str], fault: Any) -> str:
    where = ".".join(map(str, loc)) or "config"
    if fault["type"] != "extra_forbidden":
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}"
    known = _settings_at(kind, loc[:-1])
    near = get_close_matches(str(loc[-1]), known, n=1)
    told = f", did you mean {'.'.join(map(str, (*loc[:-1], *near)))}?" if near else f"; there are {', '.join(known)}"
    return f"unknown setting {where}{told if known else ''}"


def _settings_at(kind: Any, path: Sequence[int | str]) -> list[str]:
    """The names of the settings at a place; none where it is no table of settings."""
    for part in path:
        field = getattr(kind, "model_fields", {}).get(part)
        choices = (field.annotation, *get_args(field.annotation)) if field else ()
        kind = next((one for one in choices if hasattr(one, "model_fields")), None)
    return list(getattr(kind, "model_fields", {}))


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
        return tomllib.loads(read_text(path))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r}: {in_words(error)}") from error


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset that ships with autorule. Raises ConfigError for an unknown name."""
    folder = resources.files("autorule.config.presets")
    entry = folder / f"{name}.toml"
    if not entry.is_file():
        known = sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml"))
        raise ConfigError(f"no preset named {name!r}; there are {', '.join(known)}")
    return tomllib.loads(entry.read_text(encoding="utf-8"))
