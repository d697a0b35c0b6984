"""Texts and message lists of foreign data sets as Messages.

A value may be a plain string, a list of {role, content}, such a list as a JSON string (CSV), content in blocks of
text, or a transcript with `\\n\\nHuman: ` and `\\n\\nAssistant: ` (hh-rlhf).
"""

import json
import re
from typing import Any, get_args

from autorule.records import Message, Messages, RejectionReason, Role

TRANSCRIPT_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")

PYTHON_LIST = re.compile(r"\s*\[\{'(?:role|content|from)'\s*:")


class FieldError(Exception):
    """A value that is no text and no message list."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = RejectionReason(code=code, message=message)


def is_transcript(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("\n\nHuman:", "Human:")) and "\n\nAssistant:" in value


def parse_transcript(text: str) -> Messages:
    """The turns of an hh-rlhf transcript."""
    parts = TRANSCRIPT_TURN.split(text if text.startswith("\n\n") else "\n\n" + text)
    roles: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
    turns = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message(role=roles[speaker], content=content.strip()) for speaker, content in turns)


def as_messages(value: Any, column: str, role: Role) -> Messages:
    """The value as messages; a plain string becomes one message of `role`. Raises FieldError."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        if PYTHON_LIST.match(value):
            raise FieldError("not_json", f"{column} is a list as Python prints it; write message lists as JSON")
        value = _json_messages(value)
    if isinstance(value, str):
        return (Message(role=role, content=_checked(value, column)),)
    if not isinstance(value, list):
        raise FieldError("wrong_type", f"{column} is {_kind(value)}, expected text or a list of messages")
    return tuple(_message(item, column, index) for index, item in enumerate(value))


def as_id(value: Any) -> str | None:
    """A row's own id as text that can be written; None when it has none."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def is_empty(messages: Messages) -> bool:
    return not any(message.content.strip() for message in messages)


def common_prefix(first: Messages, second: Messages) -> int:
    """How many messages the two conversations share at their beginning."""
    n = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        n += 1
    return n


def _json_messages(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    looks_right = isinstance(value, list) and all(isinstance(m, dict) and "role" in m for m in value)
    return value if looks_right else text


def _message(item: Any, column: str, index: int) -> Message:
    if not isinstance(item, dict) or "role" not in item or "content" not in item:
        raise FieldError("wrong_type", f"{column}[{index}] is {_kind(item)}, expected {{role, content}}")
    role = {"human": "user", "gpt": "assistant"}.get(str(item["role"]), str(item["role"]))
    if role not in get_args(Role):
        raise FieldError(
            "unknown_role", f"{column}[{index}] has role {item['role']!r}, expected one of {get_args(Role)}"
        )
    content = item["content"]
    if isinstance(content, list):
        content = _join_blocks(content, f"{column}[{index}].content")
    if not isinstance(content, str):
        raise FieldError("wrong_type", f"{column}[{index}].content is {_kind(content)}, expected text")
    return Message(role=role, content=_checked(content, column))


def _join_blocks(blocks: list[Any], where: str) -> str:
    texts = []
    for block in blocks:
        if not isinstance(block, dict) or block.get("type", "text") != "text" or not isinstance(block.get("text"), str):
            raise FieldError("not_text", f"{where} holds a block that is no text (images can't be judged)")
        texts.append(block["text"])
    return "\n".join(texts)


def _checked(text: str, column: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FieldError(
            "not_unicode", f"{column} holds half of a surrogate pair at character {error.start}"
        ) from error
    return text


def _kind(value: Any) -> str:
    if value is None:
        return "missing (null)"
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
