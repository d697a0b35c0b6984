"""What trainers hand over, as completions: strings and message lists, in their various shapes."""

from typing import Any

from autorule.backends.token_estimate import estimate_tokens
from autorule.errors import ConfigError, with_kind
from autorule.preferences.completions import completion_id
from autorule.preferences.messages import FieldError, read_messages
from autorule.preferences.sequences import as_list
from autorule.preferences.showing import shown, writable
from autorule.records import Completion, Message, Messages, Role


def as_messages(value: Any, role: Role) -> Messages:
    """A string, or messages as they are read everywhere. Text is taken as it is, whatever it looks like.

    Raises ConfigError for anything else.
    """
    where = "prompt" if role == "user" else "completion"
    try:
        return read_messages(value, where, role, _whole)
    except FieldError as error:
        raise ConfigError(str(error)) from error
    except Exception as error:  # whatever the values of others raise when they are read
        raise ConfigError(f"{where} can't be read: {with_kind(error):.200}") from error


def _whole(text: str, _: str) -> str:
    """Half a surrogate pair, such as a cut emoji leaves, can't be sent."""
    return text.encode("utf-8", "replace").decode()


def as_completions(prompts: Any, completions: Any) -> list[Completion]:
    """The completions of prompts, both as they come. A row that is no text and no messages says so as a message that
    can't be shown: it is unscored, and the others are not.

    Raises ConfigError where the lists differ in length, and where no row can be read: that is no odd row.
    """
    first, second = as_list(prompts), as_list(completions)
    if first is None or second is None:
        name, value = ("prompts", prompts) if first is None else ("completions", completions)
        raise ConfigError(f"{name} is {shown(value)}; give a list")
    if len(first) != len(second):
        raise ConfigError(f"{len(first)} prompts for {len(second)} completions; give one for each")
    found, faults = [], []
    for row, (prompt, completion) in enumerate(zip(first, second, strict=True), start=1):
        try:
            parts = as_messages(prompt, "user"), as_reply(completion)
        except ConfigError as error:
            faults.append(error)
            odd = Message(role="assistant", content="", unshown=writable(f"what can't be read ({error})"))
            parts = (), (odd,)
        found.append(Completion(completion_id=completion_id(*parts), row=row, prompt=parts[0], completion=parts[1]))
    if faults and len(faults) == len(found):
        raise faults[0]
    return found


def as_reply(completion: Any) -> Messages:
    """The messages of a completion, of which there is at least one. Raises ConfigError."""
    messages = as_messages(completion, "assistant")
    if not messages:
        raise ConfigError("completion is an empty list of messages")
    return messages


def estimated_tokens(completion: Completion) -> int:
    return sum(estimate_tokens(message.content) for message in completion.completion)
