"""Labels as rows of `prompt`, `completion` (or `messages`), `rule` and `satisfied`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.errors import InputError
from autorule.preferences import completions
from autorule.preferences.completions import completion_id, read_completion_row
from autorule.preferences.messages import FieldError, as_id, as_messages, is_empty, unshown_in
from autorule.preferences.readers import BadRow, Row, read_rows
from autorule.preferences.rows import Used
from autorule.preferences.showing import shown
from autorule.records import Completion, Message, Messages, RejectedRow

COLUMNS = (*completions.COLUMNS, "rule", "satisfied")
YES, NO = frozenset({"true", "yes", "1", "1.0"}), frozenset({"false", "no", "0", "0.0"})


def labelled_completion(number: int, source_id: str | None, prompt: Messages, response: str) -> Completion:
    """A completion out of a published data set."""
    reply = (Message(role="assistant", content=response),)
    return Completion(
        completion_id=completion_id(prompt, reply), row=number, source_id=source_id, prompt=prompt, completion=reply
    )


def completion_of(path: Path, row: Row, prompt_column: str) -> Completion:
    """The completion of a row with a prompt and a `response`. Raises InputError for what is no text of the two."""
    try:
        prompt = as_messages(row.values.get(prompt_column), prompt_column, "user")
    except FieldError as error:
        raise fault(path, row.number, error.reason.message) from None
    if unshown := unshown_in(prompt):
        raise fault(path, row.number, f"{prompt_column} holds {unshown}, which is no text")
    if is_empty(prompt):
        raise fault(path, row.number, f"{prompt_column} is empty; give the text of the prompt")
    return labelled_completion(row.number, as_id(row.values.get("id")), prompt, label_text(path, row, "response"))


def label_text(path: Path, row: Row, name: str) -> str:
    """The text of a column. Raises InputError for what is none, or can't be written."""
    value = row.values.get(name)
    if not isinstance(value, str):
        raise fault(path, row.number, f"{name} is {_kind(value)}; give its text")
    return writable_text(path, row.number, name, value)


def writable_text(path: Path, number: int, name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        told = f"{name} holds half of a surrogate pair at character {error.start}; replace it"
        raise fault(path, number, told) from None
    return text


def label_list(path: Path, row: Row, name: str) -> list[Any]:
    """The list of a column. Raises InputError for what is none."""
    value = row.values.get(name)
    if not isinstance(value, list):
        raise fault(path, row.number, f"{name} is {_kind(value)}; give a list")
    return value


def _kind(value: Any) -> str:
    return "missing" if value is None else shown(value)


def fault(path: Path, number: int, told: str) -> InputError:
    return InputError(f"{path}, row {number}: {told}")


def whole_rows(path: Path, used: Used | None = None) -> Iterator[Row]:
    """Every row. Raises InputError for one that can't be read: labels are never guessed, nor left out."""
    for row in read_rows(path, used or (lambda names: names)):
        if isinstance(row, BadRow):
            raise fault(path, row.number, row.reason.message)
        yield row


class Label(NamedTuple):
    completion: Completion
    rule: str
    satisfied: bool
    kind: str
    """What rules of one sort have in common: the rule itself, or the instruction that it is made from."""


def read_label_rows(path: Path, columns: dict[str, str]) -> Iterator[Label]:
    """Raises InputError that names the row and the value."""
    for row in whole_rows(path, lambda _: {columns.get(name, name) for name in COLUMNS}):
        values = {**row.values, **{ours: row.values.get(theirs) for ours, theirs in columns.items()}}
        ours = Row(row.number, values)
        completion = read_completion_row(ours)
        if isinstance(completion, RejectedRow):
            raise fault(path, row.number, completion.reasons[0].message)
        rule = label_text(path, ours, "rule").strip()
        if not rule:
            raise fault(path, row.number, "rule is ''; give the text of the rule")
        yield Label(completion, rule, as_satisfied(path, row.number, values.get("satisfied")), rule)


def as_satisfied(path: Path, number: int, value: Any, name: str = "satisfied") -> bool:
    """Raises InputError for what is neither yes nor no."""
    word = str(value).strip().casefold()
    if word not in YES | NO:
        raise fault(path, number, f"{name} is {shown(value)}; write true or false")
    return word in YES
