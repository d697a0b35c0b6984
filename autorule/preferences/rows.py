"""A row of a file, whatever its format: its values, or why it has none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from autorule.records import RejectionReason

MAX_ROW_BYTES = 64 * 2**20
"""A longer row is no row: it would be held in memory whole. What people wrote is far below."""

Used = Callable[[Sequence[str]], Collection[str]]
"""The names of all columns of a file -> those that are read."""


class Row(NamedTuple):
    number: int
    """From 1: the line in a JSONL file, the record in the others (a CSV header is not counted)."""
    values: Mapping[str, Any]


class BadRow(NamedTuple):
    number: int
    reason: RejectionReason


def bad_row(number: int, code: str, message: str) -> BadRow:
    return BadRow(number, RejectionReason(code=code, message=message))


def too_long(what: str = "the row") -> str:
    return f"{what} has more than {MAX_ROW_BYTES // 2**20} MiB; leave it out, or cut it"


def column_names(values: Collection[str]) -> str:
    """The names of columns as part of a line: any characters may be in them, and there may be thousands."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in list(values)[:MOST_NAMES])
    return f"{shown}, and {len(values) - MOST_NAMES} more" if len(values) > MOST_NAMES else shown or "no columns"


MOST_NAMES = 100
