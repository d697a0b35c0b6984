"""Rows of a JSONL, JSON, CSV or Parquet file, one at a time, whatever the size of the file.

A row that can't be read is yielded as a BadRow and costs nothing but itself; a file that can't be read is one
InputError. What the columns mean is decided elsewhere (fields.py, completions.py).
"""

import codecs
import csv
import gzip
import importlib
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from autorule.errors import InputError, MissingExtraError
from autorule.records import RejectionReason

FORMATS = ".jsonl, .json, .csv, .parquet (the text formats also as .gz)"


class Row(NamedTuple):
    number: int
    """From 1: the line in a JSONL file, the record in the others (a CSV header is not counted)."""
    values: dict[str, Any]


class BadRow(NamedTuple):
    number: int
    reason: RejectionReason


def check_file(path: Path) -> None:
    """Raises InputError when the file is missing, empty or of a format that can't be read."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"{path} {what}; give a file: {FORMATS}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)")
    if _format_of(path) not in _READERS:
        raise InputError(f"{path}: unknown format {path.suffix!r}; use one of {FORMATS}")


def read_rows(path: Path) -> Iterator[Row | BadRow]:
    """Every row of the file. Raises InputError when the file is missing, empty, unreadable or of unknown format."""
    check_file(path)
    n_rows = 0
    try:
        for row in _READERS[_format_of(path)](path):
            n_rows += 1
            yield row
    except csv.Error as error:
        raise InputError(
            f"{path} is not CSV after row {n_rows}: {error}; quote fields that hold commas, and double quotes in them"
        ) from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} can't be read after row {n_rows}: {error}") from error
    if n_rows == 0:
        raise InputError(f"{path} holds no rows")


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _open_binary(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _read_jsonl(path: Path) -> Iterator[Row | BadRow]:
    with _open_binary(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                yield BadRow(number, RejectionReason(code="not_utf8", message=f"not UTF-8 text: {error}"))
            except (ValueError, RecursionError) as error:
                yield BadRow(number, RejectionReason(code="not_json", message=f"not valid JSON: {error}"))
            else:
                yield _object_row(number, values)


def _read_json(path: Path) -> Iterator[Row | BadRow]:
    ijson = _import("ijson", "reading JSON files")
    with _open_binary(path) as file:
        try:
            start = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
            file.seek(start)
            kind = next((event for _, event, _ in ijson.parse(file)), None)
            file.seek(start)
            under = "item" if kind == "start_array" else "data.item"
            for number, values in enumerate(ijson.items(file, under, use_float=True), start=1):
                yield _object_row(number, values)
        except ijson.JSONError as error:
            raise InputError(f"{path} is not valid JSON: {error}; one object a line is a .jsonl file") from error


def _read_csv(path: Path) -> Iterator[Row | BadRow]:
    csv.field_size_limit(2**31 - 1)
    with io.TextIOWrapper(_open_binary(path), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        names = reader.fieldnames or ()
        if twice := sorted({name for name in names if list(names).count(name) > 1}):
            raise InputError(f"{path} has several columns {twice[0]!r}; rename all but one of them")
        if len(names) == 1 and (separator := next((char for char in ";\t|" if char in names[0]), None)):
            raise InputError(
                f"{path} has the one column {names[0]!r:.80}: its fields seem to be parted by {separator!r}; save it "
                "with commas between them"
            )
        for number, values in enumerate(reader, start=1):
            extra = values.pop(None, None)
            missing = [name for name, value in values.items() if value is None]
            if extra is not None or missing:
                n_fields = len(values) + len(extra or ()) - len(missing)
                message = f"{n_fields} fields where the header has {len(values)}; quote fields that hold commas"
                yield BadRow(number, RejectionReason(code="wrong_number_of_fields", message=message))
            else:
                yield Row(number, values)


def _read_parquet(path: Path) -> Iterator[Row | BadRow]:
    parquet = _import("pyarrow.parquet", "reading Parquet files")
    arrow = _import("pyarrow", "reading Parquet files")
    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=512):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, values)
    except arrow.ArrowException as error:
        raise InputError(f"{path} is no readable Parquet file: {error}") from error


def _object_row(number: int, values: Any) -> Row | BadRow:
    if isinstance(values, dict):
        return Row(number, values)
    message = f"a row must be a JSON object, found {type(values).__name__}"
    return BadRow(number, RejectionReason(code="not_an_object", message=message))


def _import(module: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(module.partition(".")[0], "data", purpose) from error


_READERS = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
