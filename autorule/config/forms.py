"""Settings as a form: the titles of the fields, their order, and their bounds in words, in the JSON schema from which
the Prefect UI makes the page that starts a run."""

from typing import Any

from autorule.code_checks import MOST

WORDS = {"url": "URL", "api": "API", "kv": "KV", "gb": "(GB)", "s": "(seconds)", "id": "ID", "args": "arguments"}
"""Words of a setting's name that its title spells in another way."""
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def title_of(name: str) -> str:
    """`base_url` -> `Base URL`."""
    words = [WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def as_form(schema: dict[str, Any]) -> None:
    """Puts what has to be given before what need not, and says the bounds of numbers, which the form does not show."""
    required, properties = schema.get("required", []), schema.get("properties", {})
    schema["properties"] = {name: properties[name] for name in sorted(properties, key=lambda one: one not in required)}
    for setting in properties.values():
        if words := _bounds_of(setting):
            setting["description"] = f"{setting['description']} ({words})" if "description" in setting else words


def _bounds_of(setting: dict[str, Any]) -> str:
    """`at least 1, at most 64`; nothing for a setting without bounds, and no bound that only a slip reaches."""
    kinds = (setting, *setting.get("anyOf", ()))
    return ", ".join(
        f"{words} {kind[key]:,}"
        for kind in kinds
        for key, words in BOUNDS.items()
        if key in kind and abs(kind[key]) < MOST
    )
