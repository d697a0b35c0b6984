"""Labels as rows of `prompt`, `completion` (or `messages`), `rule` and `satisfied`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.errors import InputError
from autorule.preferences import completions
from autorule.preferences.completions import completion_id, read_completion_row
from autorule.preferences.readers import BadRow, Row, read_rows
from autorule.records import Completion, Message, Messages, RejectedRow

COLUMNS = (*completions.COLUMNS, "rule", "satisfied")
YES, NO = frozenset({"true", "yes", "1", "1.0"}), frozenset({"false", "no", "0", "0.0"})


def labelled_completion(number: int, source_id: str | None, prompt: Messages, response: str) -> Completion:
    """A completion out of a published data set."""
    reply = (Message(role="assistant", content=response),)
    return Completion(
        completion_id=completion_id(prompt, reply), row=number, source_id=source_id, prompt=prompt, completion=reply
    )


class Label(NamedTuple):
    completion: Completion
    rule: str
    satisfied: bool
    kind: str
    """What rules of one sort have in common: the rule itself, or the instruction that it is made from."""


def read_label_rows(path: Path, columns: dict[str, str]) -> Iterator[Label]:
    """Raises InputError that names the row and the value."""
    for row in read_rows(path, lambda _: {columns.get(name, name) for name in COLUMNS}):
        if isinstance(row, BadRow):
            raise InputError(f"{path}, row {row.number}: {row.reason.message}")
        values = {**row.values, **{ours: row.values.get(theirs) for ours, theirs in columns.items()}}
        completion = read_completion_row(Row(row.number, values))
        if isinstance(completion, RejectedRow):
            raise InputError(f"{path}, row {row.number}: {completion.reasons[0].message}")
        rule = values.get("rule")
        if not isinstance(rule, str) or not rule.strip():
            raise InputError(f"{path}, row {row.number}: rule is {rule!r}; give the text of the rule")
        yield Label(completion, rule.strip(), as_satisfied(path, row.number, values.get("satisfied")), rule.strip())


def as_satisfied(path: Path, number: int, value: Any) -> bool:
    """Raises InputError for what is neither yes nor no."""
    word = str(value).strip().casefold()
    if word not in YES | NO:
        raise InputError(f"{path}, row {number}: satisfied is {value!r}; write true or false")
    return word in YES
