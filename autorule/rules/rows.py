"""The rows of a file of rules: lines of a text, rows of a table, entries of a JSON list.

Rows are counted as in preference files: lines of a text or JSON-lines file, records of the others.
"""

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.backends.answer_text import list_item
from autorule.code_checks import MOST_DIGITS
from autorule.errors import InputError, in_words
from autorule.rules.editing import shortened
from autorule.storage import distinct, read_text

TEXT_COLUMNS = ("rule", "text", "criterion", "description")
WEIGHT_COLUMNS = ("weight", "points", "importance")
ASPECT_COLUMNS = ("aspect", "category", "title")
LISTS = ("rules", "rubrics", "criteria")
FORMATS = ".txt, .md, .csv, .json, .jsonl"
HEADING = re.compile(r"\s*#+(\s|$)")
LINES = (".txt", ".md")


class ForeignRow(NamedTuple):
    number: int
    values: dict[str, Any]


class RowError(Exception):
    """What is wrong with one row, and the fix."""


def read_rule_rows(path: Path) -> list[ForeignRow]:
    """The rows of a file, each with at least one of TEXT_COLUMNS meant for the rule.

    Raises InputError when the file is missing, empty, of another format or not well-formed.
    """
    readers = {".txt": _lines, ".md": _lines, ".csv": _table, ".json": _json, ".jsonl": _json_lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown format {path.suffix!r}; use one of {FORMATS}")
    try:
        text = read_text(path)
    except UnicodeError as error:
        raise InputError(f"{path} can't be read: {in_words(error)}") from error
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}; give a file: {FORMATS}") from error
    try:
        rows = list(reader(text))
    except RowError as error:
        raise InputError(f"{path}: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no rule; write one a line, or see the formats that are read: {FORMATS}")
    return rows


def headings_of(path: Path) -> int:
    """How many lines of a text file are no rules, since they begin with #."""
    if path.suffix.lower() not in LINES:
        return 0
    return sum(bool(HEADING.match(line)) for line in read_text(path).split("\n"))


def _lines(text: str) -> Iterator[ForeignRow]:
    indent = 0  # of the rule before
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or HEADING.match(line):
            continue
        item, own = list_item(line), len(line) - len(line.lstrip())
        if item is None and own > indent and number > 1:
            raise RowError(
                f"row {number} is indented and no list item: {shortened(line.strip())!r}; put each rule on one line"
            )
        indent = own
        yield ForeignRow(number, {"rule": item or line.strip()})


def _table(text: str) -> Iterator[ForeignRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not any(_name(column) in TEXT_COLUMNS for column in reader.fieldnames or ()):
            there = ", ".join(reader.fieldnames or ()) or "none"
            raise RowError(f"no column for the rule (columns: {there}); name it one of {', '.join(TEXT_COLUMNS)}")
        names = [_name(column) for column in reader.fieldnames or ()]
        if twice := sorted(name for name, times in Counter(names).items() if times > 1):
            raise RowError(f"several columns are named {twice[0]!r}; rename all but one of them")
        for number, values in enumerate(reader, start=1):
            if None in values or None in values.values():
                raise RowError(f"row {number} has more or fewer fields than the header; quote fields that hold commas")
            yield _foreign(number, values)
    except csv.Error as error:
        raise RowError(f"line {reader.line_num} is not CSV: {error}; quote fields that hold quotes") from error


def _json(text: str) -> Iterator[ForeignRow]:
    try:
        content = _parsed(text)
    except ValueError as error:
        raise RowError(f"not JSON: {in_words(error)}; one value a line is a .jsonl file") from error
    for number, value in enumerate(_entries(content), start=1):
        yield _foreign(number, value)


def _json_lines(text: str) -> Iterator[ForeignRow]:
    # Not splitlines: JSON may hold other line separators in its strings.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            value = _parsed(line)
        except ValueError as error:
            raise RowError(f"row {number} is not JSON: {in_words(error)}; write one value a line") from error
        if isinstance(value, dict) and any(isinstance(value.get(name), list) for name in LISTS):
            if len(lines) > 1:
                raise RowError(
                    f"row {number} is a whole list of rules, and there are {len(lines)} rows; each prompt has rules of "
                    "its own there, while a rule set is asked of every response: save one list as a file"
                )
            yield from _json(line)
        else:
            yield _foreign(number, value)


def _parsed(text: str) -> Any:
    """Numbers of hundreds of digits are infinite: in a column that nobody reads they cost nothing."""
    try:
        return json.loads(
            text,
            parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else math.inf,
            object_pairs_hook=distinct,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _entries(content: Any) -> list[Any]:
    """The list of rules of a JSON file, bare or under one of the names in LISTS."""
    if isinstance(content, list):
        return content
    if isinstance(content, dict) and "schema_version" in content:
        raise RowError("this is a rule set already; use it as it is, or join it to others with autorule rules merge")
    lists = [name for name in LISTS if isinstance(content, dict) and isinstance(content.get(name), list)]
    if len(lists) != 1:
        there = f"an object with {', '.join(map(repr, content))}" if isinstance(content, dict) else repr(content)[:40]
        raise RowError(f"found {there}; give a list, or an object with one of {', '.join(LISTS)}")
    entries: list[Any] = content[lists[0]]
    return entries


def _foreign(number: int, value: Any) -> ForeignRow:
    if isinstance(value, str):
        return ForeignRow(number, {"rule": value})
    if not isinstance(value, dict):
        raise RowError(f"row {number} is {value!r:.40}; give a text, or an object with {' or '.join(TEXT_COLUMNS)}")
    values: dict[str, Any] = {}
    for column, field in value.items():
        if _name(column) in values:
            raise RowError(f"row {number} has {_name(column)!r} twice; keep one of them")
        values[_name(column)] = field
    return ForeignRow(number, values)


def _name(column: str) -> str:
    return column.strip().casefold()
