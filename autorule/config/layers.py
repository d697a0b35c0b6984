"""A config out of layers of settings: presets, files, options; later ones over earlier ones."""

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from autorule.config.stages import Config
from autorule.errors import ConfigError, in_words
from autorule.storage import read_text

ConfigType = TypeVar("ConfigType", bound=Config)
MOST_DEPTH = 100
"""Tables and lists within each other: more than any setting has, and few enough for whoever goes down them."""
MOST_SHOWN = 1e15


def build_config(kind: type[ConfigType], *layers: dict[str, Any]) -> ConfigType:
    """A config from nested dicts, later ones over earlier ones. Raises ConfigError with one line per problem."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if told := nested_too_deep(layer):
            raise ConfigError(told)
        _merge_into(merged, layer)
    _refuse_no_text(merged)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("; ".join(_told(kind, fault["loc"], fault) for fault in error.errors())) from error


def _refuse_no_text(setting: Any, where: str = "") -> None:
    """Raises ConfigError for a name of a file that is no UTF-8, or that this locale can't tell to be: it could stand in
    no manifest."""
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
            raise ConfigError(f"{where}: {_why_no_text(str(setting))}") from error


def _why_no_text(name: str) -> str:
    try:
        told = name.encode(errors="surrogateescape").decode()  # each byte that the locale has no letter for
    except UnicodeError:
        shown = name.encode(errors="backslashreplace").decode()
        return f"{shown} is no UTF-8 text; rename the file or folder"
    locale = sys.getfilesystemencoding()
    return f"{told} has letters that this locale ({locale}) has not; set PYTHONUTF8=1, or LC_ALL=C.UTF-8"


def _told(kind: type[BaseModel], loc: Sequence[int | str], fault: Any) -> str:
    where = ".".join(map(str, loc)) or "config"
    if fault["type"] != "extra_forbidden":
        return f"{where}: {fault['msg'].removeprefix('Value error, ')}{told_value(fault)}"
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


def told_value(fault: Any) -> str:
    """`, not 7`: the number that a validation fault is about; nothing where it is about something else."""
    given = fault["input"]
    if not isinstance(given, int | float) or fault["type"] == "value_error":
        return ""
    if isinstance(given, int) and abs(given) > MOST_SHOWN:
        return f", not a number of {given.bit_length():,} bits"
    return f", not {str(given).lower()}"


def nested_too_deep(settings: Mapping[str, Any]) -> str | None:
    """A line that names the setting with more than MOST_DEPTH tables and lists within each other; None without one."""
    for name, value in settings.items():
        level = [value]
        for _ in range(MOST_DEPTH):
            level = [inner for outer in level for inner in _parts(outer)]
        if level:
            return f"{name:.60}: it is nested more than {MOST_DEPTH} deep; give it with less within each other"
    return None


def _parts(setting: Any) -> Iterable[Any]:
    if isinstance(setting, dict):
        return setting.values()
    return setting if isinstance(setting, list | tuple) else ()


def load_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file. Raises ConfigError when it can't be read."""
    try:
        return read_toml(read_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"config file {str(path)!r}: {in_words(error)}") from error


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises TOMLDecodeError for what is no TOML, ValueError for numbers of thousands of
    digits and for what is nested too deep."""
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("it is nested too deep; give it with less within each other") from error
    except ValueError as error:  # int's own, for its limit on digits
        raise ValueError("it holds a number of thousands of digits; give a smaller one") from error
    if told := nested_too_deep(settings):
        raise ValueError(told)
    return settings


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset that ships with autorule. Raises ConfigError for an unknown name."""
    folder = resources.files("autorule.config.presets")
    entry = folder / f"{name}.toml"
    if not entry.is_file():
        known = sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml"))
        raise ConfigError(f"no preset named {name!r}; there are {', '.join(known)}")
    return tomllib.loads(entry.read_text(encoding="utf-8"))
