"""The prompt of a pair out of all columns that hold a part of it, and where it ends in whole conversations."""

from collections.abc import Collection, Mapping
from typing import Any

from autorule.preferences.messages import FieldError, as_messages, common_prefix, is_transcript, parse_transcript
from autorule.preferences.showing import shown
from autorule.preferences.strict_json import JsonError, loads
from autorule.records import Message, Messages

SYSTEM = ("system", "system_prompt")
HISTORY = "history"
EARLIER = (*SYSTEM, HISTORY)
"""Columns with what goes before the prompt."""


def with_earlier(prompt: Messages, values: Mapping[str, Any], not_these: Collection[str]) -> Messages:
    """The prompt with the system message and the turns before it that stand in columns of their own, where it does not
    have them already. `not_these` are columns that are something else. Raises FieldError."""
    own = {name: values.get(name) for name in EARLIER if name not in not_these}
    turns = _history(own.get(HISTORY))
    if turns and turns != _without_system(prompt)[: len(turns)]:
        n_system = len(prompt) - len(_without_system(prompt))
        prompt = (*prompt[:n_system], *turns, *prompt[n_system:])
    for name in SYSTEM:
        prompt = _led_by(prompt, name, own.get(name))
    return prompt


def _led_by(prompt: Messages, name: str, value: Any) -> Messages:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):  # NaN is none either
        return prompt
    system = as_messages(value, name, "system")
    if prompt[: len(system)] == system or prompt[0].content.strip().startswith(system[0].content.strip()):
        return prompt
    if prompt[0].role == "system":
        raise FieldError("prompts_disagree", f"{name} is not the system message that the prompt begins with")
    return (*system, *prompt)


def _without_system(messages: Messages) -> Messages:
    return messages[1:] if messages and messages[0].role == "system" else messages


def _history(value: Any) -> Messages:
    """Earlier turns: messages, or lists of a question and its answer; in a CSV file as JSON."""
    if isinstance(value, str) and value.strip():
        try:
            value = loads(value)
        except JsonError:
            raise _no_history(value) from None
    if value is None or value == "" or value != value or (isinstance(value, str) and not value.strip()):
        return ()
    if not isinstance(value, list):
        raise _no_history(value)
    if any(isinstance(turn, Mapping) for turn in value):
        return as_messages(value, HISTORY, "user")
    return tuple(message for turn in value for message in _question_and_answer(turn))


def _question_and_answer(turn: Any) -> Messages:
    texts = list(turn) if isinstance(turn, list | tuple) else []
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        raise _no_history(turn)
    question, answer = texts
    return (*as_messages(question, HISTORY, "user"), *as_messages(answer, HISTORY, "assistant"))


def _no_history(value: Any) -> FieldError:
    return FieldError(
        "wrong_type",
        f"{HISTORY} is {shown(value)}, expected messages, or lists of a question and its answer; rename the column if "
        "it is no part of the conversation",
    )


def sides(chosen: Any, rejected: Any, *prompt: Any) -> tuple[Messages, Messages, Messages]:
    """The prompt and both responses, out of the values of the columns; `prompt` is that of one, where there is one."""
    if not prompt and is_transcript(chosen) and is_transcript(rejected):
        return _parted((), parse_transcript(chosen), parse_transcript(rejected))
    responses = as_messages(chosen, "chosen", "assistant"), as_messages(rejected, "rejected", "assistant")
    return _parted(as_messages(prompt[0], "prompt", "user") if prompt else (), *responses)


def _parted(explicit: Messages, chosen: Messages, rejected: Messages) -> tuple[Messages, Messages, Messages]:
    """The prompt and both responses. Where these are whole conversations, the prompt is what they begin with; a column
    with the prompt may hold the first or the last of it, or all of it and more before.

    Raises FieldError for a column with another prompt.
    """
    whole = chosen and rejected and chosen[0].role in ("system", "user") and chosen[0].role == rejected[0].role
    if not whole:
        return explicit, chosen, rejected
    shared = common_prefix(chosen, rejected)
    while shared and chosen[shared - 1].role == "assistant":
        shared -= 1
    prompt = chosen[:shared]
    if explicit and not _is_in(explicit, prompt):
        if not prompt or not _same(explicit[-shared:], prompt):
            raise FieldError(
                "prompts_disagree",
                "the prompt column is neither the first nor the last of what chosen and rejected both begin with; take "
                "it out of the file to go by these alone",
            )
        prompt = explicit
    return prompt, chosen[shared:], rejected[shared:]


def _is_in(explicit: Messages, prompt: Messages) -> bool:
    n = len(explicit)
    return any(_same(explicit, part) for part in (prompt[:n], prompt[-n:], _without_system(prompt)[:n]))


def _same(one: Messages, other: Messages) -> bool:
    return list(map(_stripped, one)) == list(map(_stripped, other))


def _stripped(message: Message) -> tuple[str, str]:
    return message.role, message.content.strip()
