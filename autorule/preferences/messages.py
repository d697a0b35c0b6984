"""Texts and message lists of foreign data sets as Messages.

A value may be a plain string, a list of {role, content}, such a list as a JSON string (CSV), content in blocks, or a
transcript with `\\n\\nHuman: ` and `\\n\\nAssistant: ` (hh-rlhf). `read_messages` reads them wherever they come
from: files, trainers, the reward server.
"""

import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, get_args

from autorule.preferences.encodings import not_utf8_text
from autorule.preferences.sequences import as_list, plain
from autorule.preferences.showing import shown, writable
from autorule.preferences.strict_json import JsonError, UnusableJsonError, loads
from autorule.preferences.unshown import in_short, unshown_fields
from autorule.records import Message, Messages, RejectionReason, Role

ROLE_NAMES: dict[str, Role] = {
    "developer": "system", "human": "user", "gpt": "assistant", "model": "assistant", "function": "tool",
    "ipython": "tool", "tool_response": "tool", "observation": "tool",
}  # fmt: skip
"""Other names of our roles."""
TEXT_BLOCKS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""Type of a block of content -> the field with its text."""
TEXT_FIELDS = ("refusal", "value", "text", "output_text")
"""Further fields of a message that hold text: a refusal always, the others where the content is blank."""
TRANSCRIPT_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")

PYTHON_LIST = re.compile(r"\s*\[\{'(?:role|content|from)'\s*:")
JSON_LIST = re.compile(r"""\s*\[\{"(?:role|content|from|value)"\s*:""")


class FieldError(Exception):
    """A value that is no text and no message list."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = RejectionReason(code=code, message=writable(message))


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
        value = _json_messages(value, column)
    return read_messages(value, column, role, _checked)


def as_id(value: Any) -> str | None:
    """A row's own id as text that can be written; None when it has none."""
    return None if value is None else writable(str(value))


def is_empty(messages: Messages) -> bool:
    return not any(message.content.strip() or message.unshown for message in messages)


def unshown_in(messages: Messages) -> str | None:
    """What of a conversation is no text; None where all of it is."""
    return next((message.unshown for message in messages if message.unshown), None)


def common_prefix(first: Messages, second: Messages) -> int:
    """How many messages the two conversations share at their beginning."""
    n = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        n += 1
    return n


def _json_messages(text: str, column: str) -> Any:
    """The messages of a JSON text; the text itself, where it is none. Raises FieldError for a list that is cut off from
    use by what stands in it."""
    try:
        value = loads(text)
    except UnusableJsonError as error:
        if not JSON_LIST.match(text):
            return text
        raise FieldError(error.code, f"{column}: {error}") from error
    except JsonError:
        return text
    looks_right = isinstance(value, list) and all(isinstance(m, dict) and {"role", "from"} & m.keys() for m in value)
    return value if looks_right else text


def read_messages(value: Any, where: str, role: Role, check: Callable[[str, str], str]) -> Messages:
    """A text, which becomes one message of `role`, one message, or a list of them. Raises FieldError."""
    value = plain(value)
    if isinstance(value, str):
        return (Message(role=role, content=check(value, where)),)
    items = [value] if isinstance(value, Mapping) else as_list(value)
    if items is None:
        raise FieldError("wrong_type", f"{where} is {_kind(value)}, expected text or a list of messages")
    items = [plain(item) for item in items]
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) > 1 and len(texts) == len(items):
        told = f"{where} is a list of {len(texts)} texts; write a row for each pair, with one text"
        raise FieldError("several_texts", told)
    if texts and len(items) == 1:
        return (Message(role=role, content=check(texts[0], where)),)
    return tuple(read_message(item, f"{where}[{index}]", check) for index, item in enumerate(items))


def read_message(item: Any, where: str, check: Callable[[str, str], str]) -> Message:
    """One message: {role, content}, or {from, value}. `check` is given each text, and where it stands.

    What is no text (tool calls, images, blocks of other types, no content at all) is told in `unshown`. Raises
    FieldError for what is no message, and for a role that nobody knows.
    """
    if not isinstance(item, Mapping) or not ({"role", "from"} & item.keys()):
        raise FieldError("wrong_type", f"{where} is {_kind(item)}, expected {{role, content}}")
    role = _role(item, where)
    own = "content" if plain(item.get("content")) is not None else "value"
    texts, unshown = _texts(item.get(own), where)
    read = {own}
    for name in TEXT_FIELDS:
        has_text = any(text.strip() for text in texts)
        text = plain(item.get(name))
        if isinstance(text, str) and text.strip() and (name == "refusal" or not has_text):
            texts = [*(texts if has_text else []), text]
            read.add(name)
    has_text = any(text.strip() for text in texts)
    unshown += unshown_fields({name: value for name, value in item.items() if name not in read}, has_text)
    if not texts and not unshown:
        unshown.append("no content (null)")
    return Message(role=role, content=check("\n".join(texts), where), unshown=in_short(unshown))


def _role(item: Mapping[str, Any], where: str) -> Role:
    told = plain(item.get("role"))
    told = plain(item.get("from")) if told is None else told
    role = ROLE_NAMES.get(told, told) if isinstance(told, str) else None
    if role not in get_args(Role):
        raise FieldError("unknown_role", f"{where} has role {shown(told)}, expected one of {get_args(Role)}")
    return role  # type: ignore[return-value]


def _texts(content: Any, where: str) -> tuple[list[str], list[str]]:
    """(texts, what is no text) of the content of a message."""
    content = plain(content)
    if content is None:
        return [], []
    if isinstance(content, str):
        return [content], []
    blocks = [content] if isinstance(content, Mapping) else as_list(content)
    if blocks is None:
        raise FieldError("wrong_type", f"{where}.content is {_kind(content)}, expected text or a list of blocks")
    texts, unshown = [], []
    for block in blocks:
        text, others = _read_block(plain(block))
        texts += [] if text is None else [text]
        unshown += others
    return texts, unshown


def _read_block(block: Any) -> tuple[str | None, list[str]]:
    """(text, what is no text) of a block of content."""
    if isinstance(block, str):
        return block, []
    if not isinstance(block, Mapping):
        return None, [f"a block of type {type(block).__name__}"]
    kind = plain(block.get("type"))
    field = TEXT_BLOCKS.get("text" if kind is None else kind) if isinstance(kind, (str, NoneType)) else None
    text = plain(block.get(field)) if field else None
    has_text = isinstance(text, str) and bool(text.strip())
    others = unshown_fields({name: value for name, value in block.items() if name != field}, has_text)
    if isinstance(text, str):
        return text, others
    if kind is None and others:
        return None, others
    named = "text" if kind is None else kind if isinstance(kind, str) else shown(kind)
    return None, [writable(f"a block of type {named:.40}")]


def _checked(text: str, column: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        told = not_utf8_text(text)
        fault = f"is {told}" if told else f"holds half of a surrogate pair at character {error.start}"
        raise FieldError("not_unicode", f"{column} {fault}") from error
    return text


def _kind(value: Any) -> str:
    return "missing (null)" if value is None else f"{type(value).__name__} {shown(value)}"
