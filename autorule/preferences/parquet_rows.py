"""Rows of a Parquet file.

Only the columns that are used are read: others may hold pictures, or times and numbers that Python has no value for.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.errors import InputError, MissingExtraError, in_words
from autorule.preferences.rows import BadRow, Row, Used, bad_row, column_names

BATCH = 512


class _NoValue(NamedTuple):
    """A value that has no counterpart in Python."""

    kind: str
    error: Exception


def read_parquet(path: Path, used: Used, source_id: str = "id") -> Iterator[Row | BadRow]:
    """Columns that are not used are in a row by their names alone, as None. So is a value of `source_id` that can't be
    read: nothing but the name of the row is lost.

    Raises InputError for a file that is no Parquet, and for two used columns of one name.
    """
    try:
        parquet = importlib.import_module("pyarrow.parquet")
        arrow = importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingExtraError("pyarrow", "data", "reading Parquet files") from error
    number = 0
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        read = sorted(set(used(names)) & set(names), key=names.index)
        if twice := [name for name in read if names.count(name) > 1]:
            raise InputError(f"{path} has several columns {twice[0]!r}; rename all but one of them")
        absent = dict.fromkeys(names)
        for batch in file.iter_batches(batch_size=BATCH, columns=read):
            columns = {name: _values(batch.column(name)) for name in read}
            for place in range(batch.num_rows):
                number += 1
                values = {name: column[place] for name, column in columns.items()}
                if isinstance(values.get(source_id), _NoValue):
                    values[source_id] = None
                yield _row(number, absent | values)
    except arrow.ArrowException as error:
        at = f" after row {number}" if number else ""
        raise InputError(f"{path} is no readable Parquet file{at}: {in_words(error)}") from error


def _row(number: int, values: dict[str, Any]) -> Row | BadRow:
    for name, value in values.items():
        if isinstance(value, _NoValue):
            message = f"{column_names([name])} is a {value.kind:.60} that can't be read ({in_words(value.error)})"
            return bad_row(number, "unreadable_value", f"{message}; save the column as text")
    return Row(number, values)


def _values(column: Any) -> list[Any]:
    """All values of a column; one by one where some can't be had, since pyarrow then gives none."""
    try:
        return list(map(_in_python, column.to_pylist()))
    except Exception:  # noqa: BLE001  # whatever the Python type of a value raises: zones, dates, texts, keys
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    try:
        return _in_python(scalar.as_py())
    except Exception as error:  # noqa: BLE001  # as above
        return _NoValue(str(scalar.type), error)


def _in_python(value: Any) -> Any:
    """The value with texts for bytes that are text, as writers without a type for it leave them, and mappings for lists
    of keys and values."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, dict):
        return {name: _in_python(one) for name, one in value.items()}
    if not isinstance(value, list):
        return value
    if value and all(isinstance(one, tuple) for one in value) and len({name for name, _ in value}) == len(value):
        return {_in_python(name): _in_python(one) for name, one in value}
    return list(map(_in_python, value))
