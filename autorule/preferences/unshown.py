"""What a message, or a block of its content, holds beside its text: who judges by the text alone must not judge it."""

from collections.abc import Mapping
from typing import Any

from autorule.preferences.sequences import plain
from autorule.preferences.showing import writable

CALLS = frozenset({"tool_calls", "function_call"})
MEDIA = frozenset({
    "attachment", "attachments", "audio", "audios", "document", "documents", "file", "files", "image",
    "image_url", "images", "input_audio", "input_image", "video", "video_url", "videos",
})  # fmt: skip
BOOKKEEPING = frozenset({
    "author", "cache_control", "call_id", "channel", "conversation_id", "country", "create_time", "created",
    "created_at", "end_turn", "finish_reason", "from", "hashed_ip", "header", "id", "index", "lang", "language",
    "logprobs", "loss", "mask", "message_id", "metadata", "model", "name", "object", "parent_id", "provider",
    "recipient", "role", "score", "state", "status", "stop_reason", "timestamp", "tool_call_id", "train",
    "turn", "type", "update_time", "usage", "weight",
})  # fmt: skip
"""Fields that say something about a message, and are no part of it."""
DEEPEST = 3
"""Mappings in each other, as far as is looked for a value in them."""
MOST = 3


def unshown_fields(fields: Mapping[Any, Any], has_text: bool) -> list[str]:
    """The fields that hold what is no text: calls and media always; where the text is blank whatever else holds
    something, since the answer may stand there.

    So may it in the thinking beside a blank text, which is no empty answer: servers that miss the end of the thinking
    hand over the whole answer as thinking.
    """
    names = []
    for name, value in fields.items():
        is_other = not has_text and name not in BOOKKEEPING and not isinstance(plain(value), (int, float))
        if (name in CALLS or name in MEDIA or is_other) and _holds(value):
            names.append("tool calls" if name in CALLS else writable(f"the field {name!s:.40}"))
    return names


def in_short(names: list[str]) -> str | None:
    """The names once each, the first few of many; None where there is none."""
    distinct = list(dict.fromkeys(names))
    more = [f"{len(distinct) - MOST} more"] if len(distinct) > MOST else []
    return ", ".join(distinct[:MOST] + more) or None


def _holds(value: Any, deepest: int = DEEPEST) -> bool:
    """Whether anything is there. Tables fill fields that a message has not with null, at every depth."""
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, Mapping):
        return bool(value) and (not deepest or any(_holds(one, deepest - 1) for one in value.values()))
    try:
        return len(value) > 0
    except TypeError:
        value = plain(value)
    return bool(value) if isinstance(value, (int, float)) else value is not None
