"""What trainers hand over, as completions: strings and message lists, in their various shapes."""

from collections.abc import Mapping
from typing import Any, get_args

from autorule.backends.token_estimate import estimate_tokens
from autorule.errors import ConfigError
from autorule.preferences.completions import completion_id
from autorule.records import Completion, Message, Messages, Role

ROLES = {"developer": "system", "model": "assistant", "function": "tool"}
"""Other names of our roles."""


def as_messages(value: Any, role: Role) -> Messages:
    """A string, or a list of {role, content}, as messages. Text is taken as it is, whatever it looks like.

    Raises ConfigError for anything else.
    """
    if isinstance(value, str):
        return (Message(role=role, content=_whole(value)),)
    if isinstance(value, (list, tuple)) and all(isinstance(turn, Mapping) and "role" in turn for turn in value):
        return tuple(_message(turn) for turn in value)
    raise ConfigError(f"{value!r:.80} is neither text nor a list of messages with role and content")


def _message(turn: Mapping[str, Any]) -> Message:
    role = ROLES.get(turn["role"], turn["role"]) if isinstance(turn["role"], str) else None
    if role not in get_args(Role):
        raise ConfigError(f"the message {dict(turn)!r:.80} has the role {turn['role']!r:.20}; use {get_args(Role)}")
    return Message(role=role, content=_text(turn.get("content")))


def _text(content: Any) -> str:
    """The text of a message: of a tool call without text, none; of blocks, that of the text blocks."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _whole(content)
    if not isinstance(content, (list, tuple)) or not all(isinstance(block, Mapping) for block in content):
        raise ConfigError(f"the content {content!r:.80} of a message is neither text nor a list of blocks")
    return "\n\n".join(_whole(block.get("text") or "") for block in content if block.get("type", "text") == "text")


def _whole(text: str) -> str:
    """Half a surrogate pair, such as a cut emoji leaves, can't be sent."""
    return text.encode("utf-8", "replace").decode()


def as_completion(prompt: Any, completion: Any, row: int) -> Completion:
    """The completion of a prompt, both as they come. Raises ConfigError for what is no text and no messages."""
    parts = as_messages(prompt, "user"), as_messages(completion, "assistant")
    return Completion(completion_id=completion_id(*parts), row=row, prompt=parts[0], completion=parts[1])


def estimated_tokens(completion: Completion) -> int:
    return sum(estimate_tokens(message.content) for message in completion.completion)
