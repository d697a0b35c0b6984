"""Command-line options as a config: presets, then a TOML file, then options, then --set; later ones win."""

import tomllib
from pathlib import Path
from typing import Any

from autorule.config import EMBEDDED
from autorule.config_layers import ConfigType, build_config, load_preset, load_settings
from autorule.errors import ConfigError
from autorule.stage_config import Config


def model_options(
    backend: str | None, model: str | None, base_url: list[str] | None, api_key_env: str | None
) -> dict[str, Any]:
    if base_url and not backend:
        backend = "openai_compatible"
    return given({"backend": backend, "model": model, "base_url": base_url or None, "api_key_env": api_key_env})


def run_options(
    backend: str | None,
    model: str | None,
    base_url: list[str] | None,
    api_key_env: str | None,
    columns: str | None,
    out: str | None,
    run_id: str | None,
    cache: Path | None,
    no_cache: bool,
) -> dict[str, Any]:
    return {
        "model": model_options(backend, model, base_url, api_key_env),
        "columns": mapping(columns, "--columns"),
        "outputs": out,
        "run_id": run_id,
        "cache": given({"path": cache, "enabled": False if no_cache else None}),
    }


def settings_of(
    kind: type[ConfigType],
    options: dict[str, Any],
    config: Path | None,
    assignments: list[str] | None,
    preset: str | None = None,
) -> ConfigType:
    """The config of a command. The embedded model's own settings go over a named preset: it can't do with others."""
    from_file = load_settings(config) if config else {}
    layers = [from_file, given(options), *map(_assignment, assignments or ())]
    model = build_config(_AnyModel, *({"model": layer.get("model", {})} for layer in layers)).model
    if model.get("model", EMBEDDED) == EMBEDDED and model.get("backend", "transformers_local") == "transformers_local":
        embedded = load_preset(EMBEDDED)
        layers.insert(0, {name: value for name, value in embedded.items() if name in kind.model_fields})
    if preset:
        layers.insert(0, load_preset(preset))
    return build_config(kind, *layers)


class _AnyModel(Config):
    model: dict[str, Any]


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def mapping(text: str | None, option: str) -> dict[str, str] | None:
    if text is None:
        return None
    entries = [entry.partition("=") for entry in text.split(",")]
    if any(not (name.strip() and value.strip()) for name, _, value in entries):
        raise ConfigError(f"{option} {text!r}: write name=value,name=value")
    return {name.strip(): value.strip() for name, _, value in entries}


def _assignment(text: str) -> dict[str, Any]:
    """`a.b=value` as nested settings; the value is read as TOML, else as text."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {text!r}: write name=value, such as mining.max_rules=5")
    try:
        setting: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        setting = value
    for name in reversed(path.strip().split(".")):
        setting = {name: setting}
    return setting  # type: ignore[no-any-return]
