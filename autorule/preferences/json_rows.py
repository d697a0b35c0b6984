"""Rows of JSON: the lines of a JSONL file, or the objects in the list of a .json file."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from autorule.errors import InputError
from autorule.preferences.encodings import not_utf8, open_binary
from autorule.preferences.json_values import CutOffError, Fault, JsonText
from autorule.preferences.rows import MAX_ROW_BYTES, BadRow, Row, bad_row, column_names, too_long
from autorule.preferences.strict_json import JsonError, loads

DATA = "data"
"""The key under which a .json file may hold its list."""


def json_row(number: int, data: bytes) -> Row | BadRow:
    """The row of the bytes of one object."""
    try:
        values = loads(data.decode())
    except UnicodeDecodeError:
        return bad_row(number, "not_utf8", not_utf8(data) or "")
    except JsonError as error:
        return bad_row(number, error.code, str(error))
    if not isinstance(values, dict):
        return bad_row(number, "not_an_object", f"a row must be a JSON object, found {type(values).__name__}")
    return Row(number, values)


def read_jsonl(path: Path) -> Iterator[Row | BadRow]:
    with open_binary(path) as file:
        for number, line in enumerate(_lines(file), start=1):
            if line is None:
                yield bad_row(number, "too_long", too_long("the line"))
            elif line.strip():
                yield json_row(number, line.removeprefix(BOM) if number == 1 else line)


BOM = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Each line; None for one that is too long, of which no more is held than that bound."""
    while line := file.readline(MAX_ROW_BYTES + 1):
        whole = len(line) <= MAX_ROW_BYTES
        while not line.endswith(b"\n") and (more := file.readline(MAX_ROW_BYTES)):
            whole, line = False, more
        yield line if whole else None


def read_json(path: Path) -> Iterator[Row | BadRow]:
    """Raises InputError for a file that is no JSON list, and no object with one under `data`."""
    with open_binary(path) as file:
        text = JsonText(file, BOM)
        rows = _Rows(path, text)
        if not text.peek():
            return
        try:
            yield from rows.of_list() if text.peek() == b"[" else rows.of_object()
        except CutOffError:
            raise InputError(
                f"{path} is not valid JSON: it breaks off in row {rows.number}; one object a line is a .jsonl file"
            ) from None
        if text.peek():
            raise rows.broken("the end of the file", text.peek())


class _Rows:
    """The rows of a JSON text, and how many there were."""

    def __init__(self, path: Path, text: JsonText) -> None:
        self._path = path
        self._text = text
        self.number = 0

    def of_list(self) -> Iterator[Row | BadRow]:
        self._text.take()
        if self._text.peek() == b"]":
            self._text.take()
            return
        found = b","
        while found == b",":
            self.number += 1
            yield self._row(self._text.value())
            found = self._text.take()
        if found != b"]":
            raise self.broken("a comma or ]", found)

    def of_object(self) -> Iterator[Row | BadRow]:
        """Those of the list under `data`, whatever else the object holds."""
        keys: list[str] = []
        found = self._text.take()
        if found != b"{":
            raise self.broken("a list", found)
        while found in b"{," and self._text.peek() == b'"':
            keys.append(self._key())
            if keys[-1] != DATA:
                self._text.value()
            elif self._text.peek() == b"[" and keys.count(DATA) == 1:
                yield from self.of_list()
            else:
                raise InputError(f"{self._path}: {DATA!r} must be one list of rows")
            found = self._text.take()
        if found != b"}":
            raise self.broken("a key or }", self._text.peek() if found in b"{," else found)
        if DATA not in keys:
            raise InputError(
                f"{self._path} holds an object without a list under {DATA!r}; it has {column_names(keys)}; write the "
                "rows as a list, or one object a line as a .jsonl file"
            )

    def _key(self) -> str:
        value = self._text.value(key=True)
        if (found := self._text.take()) != b":":
            raise self.broken("a colon", found)
        row = json_row(0, b"{" + value + b":0}") if isinstance(value, bytes) else None
        if not isinstance(row, Row):
            raise self.broken("a key", b'"')
        return next(iter(row.values))

    def _row(self, value: bytes | Fault) -> Row | BadRow:
        if isinstance(value, bytes):
            if not value.strip():
                raise self.broken("a row", self._text.peek())
            return json_row(self.number, value)
        return bad_row(self.number, value.code, value.message)

    def broken(self, expected: str, found: bytes) -> InputError:
        shown = ascii(found.decode("latin-1")) if found else "the end of the file"
        return InputError(
            f"{self._path} is not valid JSON after row {self.number}: expected {expected}, found {shown}; one object a "
            "line is a .jsonl file"
        )
