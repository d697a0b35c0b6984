"""Command-line options as a config: presets, then a TOML file, then options, then --set; later ones win."""

import tomllib
from typing import Any

from autorule.commands.options import CacheOptions, ModelOptions, RunOptions, SettingOptions, given
from autorule.config.layers import ConfigType, build_config, load_preset, load_settings, read_toml
from autorule.config.models import EMBEDDED
from autorule.config.stages import Config
from autorule.errors import ConfigError, in_words


def run_settings(
    model: ModelOptions, cache: CacheOptions, run: RunOptions, columns: list[str] | None
) -> dict[str, Any]:
    """Fields of a RunConfig."""
    return {
        **run.settings(),
        "model": model.settings(),
        "cache": cache.settings(),
        "columns": mapping(columns, "--columns"),
    }


def settings_of(
    kind: type[ConfigType], options: dict[str, Any], further: SettingOptions, preset: str | None = None
) -> ConfigType:
    """The config of a command. The embedded model's own settings go over a named preset: it can't do with others."""
    from_file = load_settings(further.config) if further.config else {}
    layers = [from_file, given(options), *map(_assignment, further.set_ or ())]
    model = build_config(_AnyModel, *({"model": layer.get("model", {})} for layer in layers)).model
    if model.get("model", EMBEDDED) == EMBEDDED and model.get("backend", "transformers_local") == "transformers_local":
        embedded = load_preset(EMBEDDED)
        layers.insert(0, {name: value for name, value in embedded.items() if name in kind.model_fields})
    if preset:
        layers.insert(0, load_preset(preset))
    return build_config(kind, *layers)


class _AnyModel(Config):
    model: dict[str, Any]


def mapping(options: str | list[str] | None, option: str) -> dict[str, str] | None:
    """What an option maps, however often it is given. Raises ConfigError for a name that is given twice."""
    if not options:
        return None
    text = options if isinstance(options, str) else ",".join(options)
    entries = [entry.partition("=") for entry in text.split(",")]
    if any(not (name.strip() and value.strip()) for name, _, value in entries):
        raise ConfigError(f"{option} {text!r}: write name=value,name=value")
    names = [name.strip() for name, _, _ in entries]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{option} {text!r} gives {twice[0]} twice; give each name once")
    return {name.strip(): value.strip() for name, _, value in entries}


def _assignment(text: str) -> dict[str, Any]:
    """`a.b=value` as nested settings; the value is read as TOML, else as text; null is none.

    Raises ConfigError without a name, and for a value of TOML that can't be meant.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {text!r:.80}: write name=value, such as model.timeout_s=60")
    try:
        setting: Any = read_toml(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        setting = None if value.strip() == "null" else value
    except ValueError as error:
        raise ConfigError(f"--set {text!r:.80}: {in_words(error)}") from error
    for name in reversed(path.strip().split(".")):
        setting = {name: setting}
    return setting  # type: ignore[no-any-return]
