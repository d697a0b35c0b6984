"""Rows of a CSV file."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from autorule.errors import InputError
from autorule.preferences.encodings import not_utf8_text, open_binary
from autorule.preferences.rows import MAX_ROW_BYTES, BadRow, Row, bad_row, too_long


def read_csv(path: Path) -> Iterator[Row | BadRow]:
    """A row with bytes that are no UTF-8 has them as surrogates: only who reads them need be told.

    Raises InputError where the file is no CSV, and for a header that names no columns.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    number = 0
    with io.TextIOWrapper(open_binary(path), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        try:
            reader = csv.DictReader(_lines(file), strict=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            _check_header(path, reader.fieldnames)
            for values in reader:
                number += 1
                yield _row(number, values)
        except csv.Error as error:
            raise InputError(
                f"{path} is not CSV after row {number}: {error}; quote fields that hold commas, and double quotes in "
                "them"
            ) from error
        except _TooLongError:
            raise InputError(f"{path}, after row {number}: {too_long('a line')}") from None


class _TooLongError(Exception):
    """A line that would not fit: where it ends a row, or begins one, can't be told without reading it."""


def _lines(file: IO[str]) -> Iterator[str]:
    """Those from the header on: empty ones may stand before it."""
    is_before = True
    while line := file.readline(MAX_ROW_BYTES + 1):
        if len(line) > MAX_ROW_BYTES:
            raise _TooLongError
        is_before = is_before and not line.strip()
        if not is_before:
            yield line


def _check_header(path: Path, names: Sequence[str]) -> None:
    if fault := not_utf8_text(",".join(names)):
        raise InputError(f"{path}: its header is {fault}")
    if any("\0" in name for name in names):
        raise InputError(f"{path}: its header holds zero bytes; the file is damaged or no text: save it as UTF-8 CSV")
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise InputError(f"{path} has several columns {twice[0]!r}; rename all but one of them")
    if len(names) == 1 and (separator := next((char for char in ";\t|" if char in names[0]), None)):
        raise InputError(
            f"{path} has the one column {names[0]!r:.80}: its fields seem to be parted by {separator!r}; save it "
            "with commas between them"
        )


def _row(number: int, values: dict[str | None, str | list[str] | None]) -> Row | BadRow:
    extra = values.pop(None, None)
    n_missing = sum(value is None for value in values.values())
    if extra is not None or n_missing:
        n_fields = len(values) + len(extra or ()) - n_missing
        message = f"{n_fields} fields where the header has {len(values)}; quote fields that hold commas"
        return bad_row(number, "wrong_number_of_fields", message)
    if damaged := [name for name, value in values.items() if "\0" in (value or "")]:
        message = f"{damaged[0]!r:.60} holds zero bytes: the file is damaged here, or in another encoding"
        return bad_row(number, "zero_bytes", message)
    return Row(number, {name: value for name, value in values.items() if name is not None})
