"""Rows of a JSONL, JSON, CSV or Parquet file, one at a time, whatever the size of the file.

A row that can't be read is yielded as a BadRow and costs nothing but itself; a file that can't be read is one
InputError. What the columns mean is decided elsewhere (fields.py, completions.py).
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from autorule.errors import InputError
from autorule.preferences.csv_rows import read_csv
from autorule.preferences.encodings import check_text, why_unreadable
from autorule.preferences.json_rows import read_json, read_jsonl
from autorule.preferences.parquet_rows import read_parquet
from autorule.preferences.rows import BadRow, Row, Used
from autorule.runs.input_files import files_of

__all__ = ["FORMATS", "BadRow", "Row", "check_file", "is_table", "read_rows"]

FORMATS = ".jsonl, .json, .csv, .parquet (the text formats also as .gz)"
PARQUET = ".parquet"
TABLES = (".csv", PARQUET)
TEXT: dict[str, Callable[[Path], Iterator[Row | BadRow]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
}


def check_file(path: Path) -> None:
    """Raises InputError when the file, or one of a pattern, is missing, empty or of a format that can't be read."""
    for file in files_of(path):
        _check_one(file)


def _check_one(path: Path) -> None:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give a file, or a pattern such as 'data/*.jsonl': {FORMATS}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)")
    if _format_of(path) not in (*TEXT, PARQUET):
        raise InputError(f"{path}: unknown format {path.suffix!r}; use one of {FORMATS}")


def _all(names: Sequence[str]) -> Sequence[str]:
    return names


def is_table(path: Path) -> bool:
    """Whether all rows of the file have the same columns, by its format."""
    return _format_of(path) in TABLES


def read_rows(path: Path, used: Used = _all, source_id: str = "id") -> Iterator[Row | BadRow]:
    """Every row of the file. `used` says by the names of all columns which of them are read: in a Parquet file no
    other can fail, nor has a value. The column `source_id` only names a row: what can't be read in it costs nothing.

    Raises InputError when the file is missing, empty, unreadable or of unknown format.
    """
    _check_one(path)
    n_rows = 0
    try:
        for row in _rows(path, used, source_id):
            n_rows += 1
            yield row
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} can't be read after row {n_rows}: {why_unreadable(error, path)}") from error
    if n_rows == 0:
        raise InputError(f"{path} holds no rows")


def _rows(path: Path, used: Used, source_id: str) -> Iterator[Row | BadRow]:
    form = _format_of(path)
    if form == PARQUET:
        return read_parquet(path, used, source_id)
    check_text(path)
    return TEXT[form](path)


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""
