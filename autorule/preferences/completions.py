"""Completions to score: `prompt` and `completion` (strings or message lists), or one list of `messages`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from autorule.errors import ConfigError, InputError
from autorule.preferences.messages import FieldError, as_id, as_messages, is_empty
from autorule.preferences.reading import read_files, read_records
from autorule.preferences.rows import Row, column_names
from autorule.records import Completion, Message, Messages, PreferencePair, RejectedRow, content_id

COLUMNS = ("prompt", "completion", "messages", "id")


def read_completions(path: Path, columns: dict[str, str]) -> Iterator[Completion | RejectedRow]:
    """Every row of the file, or of the files of a pattern, in order. `columns` maps our names to the file's.

    Raises InputError when the file is unreadable or has none of the columns, ConfigError for a name that is not ours.
    """
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise ConfigError(f"columns: {unknown[0]!r} is no column of ours; map one of {', '.join(COLUMNS)}")

    def ours(row: Row) -> Row:
        return Row(row.number, {**row.values, **{name: row.values.get(theirs) for name, theirs in columns.items()}})

    def read(row: Row) -> Completion | RejectedRow:
        return read_completion_row(ours(row))

    def check(file: Path, row: Row) -> None:
        _check_columns(file, row.values, ours(row).values, columns)

    used = {columns.get(name, name) for name in COLUMNS}
    return read_records(read_files(path, lambda _: used, columns.get("id", "id")), check, read)


def _check_columns(file: Path, values: Mapping[str, Any], ours: Mapping[str, Any], columns: dict[str, str]) -> None:
    has = column_names(values.keys())
    if absent := sorted(set(columns.values()) - values.keys()):
        raise InputError(f"{file} has no column {absent[0]!r} (--columns); it has {has}")
    if not ({"prompt", "completion"} <= ours.keys() or "messages" in ours):
        raise InputError(
            f"{file} has neither prompt/completion nor messages; it has {has}; map columns with --columns "
            "prompt=NAME,completion=NAME"
        )


def read_completion_row(row: Row) -> Completion | RejectedRow:
    """The completion of a row with our column names."""
    values = row.values
    source_id = as_id(values.get("id"))
    try:
        prompt, completion = _conversation(row)
        if is_empty(prompt):
            raise FieldError("empty_prompt", "the prompt is empty")
    except FieldError as error:
        return RejectedRow(row=row.number, source_id=source_id, reasons=(error.reason,))
    return Completion(
        completion_id=completion_id(prompt, completion),
        row=row.number,
        source_id=source_id,
        prompt=prompt,
        completion=completion,
    )


def _conversation(row: Row) -> tuple[Messages, Messages]:
    values = row.values
    if "completion" in values:
        completion = as_messages(values["completion"], "completion", "assistant")
        if not completion:
            raise FieldError("empty_completion", "completion is an empty list of messages")
        return as_messages(values.get("prompt"), "prompt", "user"), completion
    messages = as_messages(values.get("messages"), "messages", "assistant")
    if len(messages) < 2 or messages[-1].role != "assistant":
        raise FieldError("no_completion", "messages does not end with a turn of the assistant after a prompt")
    return messages[:-1], messages[-1:]


def completion_id(prompt: Messages, completion: Messages) -> str:
    """Hash of the conversation: the same completion of the same prompt has the same id."""
    return content_id("completion", *([_plain(message) for message in part] for part in (prompt, completion)))


def _plain(message: Message) -> list[str]:
    return [message.role, message.content, *([message.unshown] if message.unshown else [])]


def completions_of(pair: PreferencePair) -> tuple[Completion, Completion]:
    """Both sides of a pair as completions to score: chosen, rejected."""

    def side(name: Literal["chosen", "rejected"], messages: Messages) -> Completion:
        return Completion(
            completion_id=completion_id(pair.prompt, messages),
            row=pair.row,
            source_id=pair.source_id,
            prompt=pair.prompt,
            completion=messages,
            pair_id=pair.pair_id,
            side=name,
        )

    return side("chosen", pair.chosen), side("rejected", pair.rejected)
