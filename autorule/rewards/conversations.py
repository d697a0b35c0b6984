"""What trainers hand over, as completions: strings and message lists, in their various shapes."""

from collections.abc import Mapping
from typing import Any

from autorule.backends.token_estimate import estimate_tokens
from autorule.errors import ConfigError
from autorule.preferences.completions import completion_id
from autorule.preferences.messages import FieldError, read_message
from autorule.records import Completion, Message, Messages, Role


def as_messages(value: Any, role: Role) -> Messages:
    """A string, or messages as they are read everywhere. Text is taken as it is, whatever it looks like.

    Raises ConfigError for anything else.
    """
    if isinstance(value, str):
        return (Message(role=role, content=_whole(value, "")),)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{value!r:.80} is neither text nor a list of messages with role and content")
    try:
        return tuple(read_message(turn, f"message {number}", _whole) for number, turn in enumerate(value, start=1))
    except FieldError as error:
        raise ConfigError(str(error)) from error


def _whole(text: str, _: str) -> str:
    """Half a surrogate pair, such as a cut emoji leaves, can't be sent."""
    return text.encode("utf-8", "replace").decode()


def as_completion(prompt: Any, completion: Any, row: int) -> Completion:
    """The completion of a prompt, both as they come. Raises ConfigError for what is no text and no messages."""
    parts = as_messages(prompt, "user"), as_messages(completion, "assistant")
    return Completion(completion_id=completion_id(*parts), row=row, prompt=parts[0], completion=parts[1])


def estimated_tokens(completion: Completion) -> int:
    return sum(estimate_tokens(message.content) for message in completion.completion)


def as_lists(columns: Mapping[str, Any], n: int) -> dict[str, list[Any]]:
    """The columns of a trainer as lists of `n` values: whatever sequence they are (an array, a Series, a Column of
    datasets). What is no sequence is a setting of the trainer, and left out.

    Raises ConfigError for a column of another length: it would be passed over in silence.
    """
    found = {}
    for name, values in columns.items():
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
            continue
        try:
            length = len(values)
        except TypeError:  # an iterator, or a number of a tensor library
            continue
        if length != n:
            raise ConfigError(f"column {name} has {length} values for {n} completions; give one for each")
        found[name] = [value.tolist() if hasattr(value, "tolist") else value for value in values]
    return found
