"""What an answer may hold, as bounds in its JSON schema, and whether it ended at one of them.

A list may have one item more than it can need, so that one that ran on is told from one that is full.
"""

from typing import Any

from autorule.backends.answer_text import json_values, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.records import ModelOutput

MARKS_CHARS = 20
"""Quotes, emphasis and list marks around a rule, which cleaning takes away: a text that is cut at its bound is longer
than a rule may be, and is no good rule."""


def object_schema(**properties: Any) -> dict[str, Any]:
    """The JSON schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def rule_schema(max_chars: int) -> dict[str, Any]:
    """That of a rule. JSON Schema counts characters, and no character counts less than one in a rule."""
    return {"type": "string", "maxLength": max_chars + MARKS_CHARS}


def number_schema(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def list_schema(items: dict[str, Any], most: int, least: int = 0) -> dict[str, Any]:
    """That of a list of which `most` items can be meant."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {}), "maxItems": most + 1}


def ran_on(request: GenerateRequest, output: ModelOutput) -> bool:
    """Whether a list of the answer is longer than any that can be meant: what else it would have said is not known."""
    schema = request.json_schema
    if schema is None:
        return False
    values = json_values(whole_answer(request.messages, output.text))
    named = (v if isinstance(v, dict) else dict.fromkeys(schema["properties"], v) for v in values)
    return any(_is_at_bound(schema, value) for value in named)


def _is_at_bound(schema: dict[str, Any], value: Any) -> bool:
    if isinstance(value, list) and schema["type"] == "array":
        return len(value) >= schema["maxItems"] or any(_is_at_bound(schema["items"], item) for item in value)
    if isinstance(value, dict) and schema["type"] == "object":
        return any(
            _is_at_bound(schema["properties"][name], value[name]) for name in schema["properties"] & value.keys()
        )
    return False
