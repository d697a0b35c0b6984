"""A rule set out of rules that people have: plain lists, tables, rubrics with points.

Nothing is guessed: a row that can't be read as exactly one rule refuses the whole file, with the row, the value and
the fix. Rows are counted as in preference files: lines of a text or JSON-lines file, records of the others.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from autorule.answer_text import list_item
from autorule.errors import InputError, PromptError, RuleSetError
from autorule.prompting import load_prompt
from autorule.records import Rule
from autorule.rule_editing import rule_text, shortened
from autorule.rule_sets import Edit, RuleSet, VerificationSpec, check_verification_prompt
from autorule.rule_text import new_rule_id, normalise_rule
from autorule.stage_config import Config, RewardConfig, VerificationConfig

TEXT_COLUMNS = ("rule", "text", "criterion", "description")
WEIGHT_COLUMNS = ("weight", "points", "importance")
ASPECT_COLUMNS = ("aspect", "category", "title")
LISTS = ("rules", "rubrics", "criteria")
FORMATS = ".txt, .md, .csv, .json, .jsonl"
HEADING = re.compile(r"\s*#+(\s|$)")
MAX_PROBLEMS = 3
"""So many bad rows are named in one error."""


class ImportConfig(Config):
    """What a rule set says besides its rules."""

    model: dict[str, Any] = {}
    """Not used: whichever model scores is asked."""
    verification: VerificationConfig = VerificationConfig()
    reward: RewardConfig = RewardConfig()


class ForeignRow(NamedTuple):
    number: int
    values: dict[str, Any]


class _RowError(Exception):
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
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}; give a file: {FORMATS}") from error
    try:
        rows = list(reader(text))
    except _RowError as error:
        raise InputError(f"{path}: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no rule; write one a line, or see the formats that are read: {FORMATS}")
    return rows


def import_rules(path: Path, by: str, config: ImportConfig) -> RuleSet:
    """The rule set of a file of rules: support 0, no sources, the weight of the row or 1.

    Raises InputError naming rows that are no rule or repeat another, PromptError when the verification prompt does
    not show a conversation and a rule.
    """
    rules = list(_rules(path, read_rule_rows(path)))
    prompt = load_prompt(config.verification.prompt_name)
    try:
        check_verification_prompt(prompt, config.verification.mode)
    except PromptError as error:
        raise PromptError(f"{error}; a verification prompt shows {{conversation}}, and asks about {{rule}}") from error
    return RuleSet(
        rules=tuple(rules),
        verification=VerificationSpec.from_config(config.verification, prompt),
        reward=config.reward,
        history=tuple(Edit(action="imported", by=by, rule_id=rule.rule_id, after=rule.text) for rule in rules),
    )


def columns_not_read(path: Path) -> list[str]:
    """The columns of the file that an import leaves out. Raises InputError as read_rule_rows does."""
    known = {*TEXT_COLUMNS, *WEIGHT_COLUMNS, *ASPECT_COLUMNS}
    return sorted({name for row in read_rule_rows(path) for name in row.values} - known)


def _rules(path: Path, rows: list[ForeignRow]) -> Iterator[Rule]:
    first_rows: dict[str, int] = {}
    problems = []
    for number, values in rows:
        try:
            rule = _rule(values)
        except (_RowError, RuleSetError) as error:
            problems.append(f"row {number}: {error}")
            continue
        first = first_rows.setdefault(normalise_rule(rule.text), number)
        if first != number:
            problems.append(f"rows {first} and {number} are the same rule, {shortened(rule.text)!r}; keep one of them")
        elif not problems:
            yield rule
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more rows" if len(problems) > MAX_PROBLEMS else ""
        raise InputError(f"{path}: {'; '.join(problems[:MAX_PROBLEMS])}{more}")


def _rule(values: dict[str, Any]) -> Rule:
    column, text = _value_of(values, TEXT_COLUMNS)
    if column is None:
        there = f"there is {', '.join(map(repr, values))}" if values else "the row is empty"
        raise _RowError(f"no column for the rule ({there}); name it one of {', '.join(TEXT_COLUMNS)}")
    if not isinstance(text, str) or not text.strip():
        raise _RowError(f"{column} is {text!r}; write the rule as a sentence, or leave out the row")
    text = rule_text(text)
    return Rule(rule_id=new_rule_id(text), text=text, support=0, weight=_weight(values), aspect=_aspect(values))


def _weight(values: dict[str, Any]) -> float:
    column, value = _value_of(values, WEIGHT_COLUMNS)
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if not math.isfinite(weight):
        raise _RowError(f"{column} is {value!r}; give a finite number greater than 0, or leave it out for 1")
    if weight <= 0:
        raise _RowError(
            f"{column} is {value!r}, and a weight must be greater than 0; reword the rule to what a good response "
            "does, and give a positive weight"
        )
    return weight


def _aspect(values: dict[str, Any]) -> str | None:
    column, value = _value_of(values, ASPECT_COLUMNS)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.strip():
        raise _RowError(f"{column} is {value!r}; give a text, or leave it out")
    return " ".join(value.split())


def _value_of(values: dict[str, Any], names: tuple[str, ...]) -> tuple[str | None, Any]:
    """The one of the columns that the row has, with its value. Raises _RowError when it has several that are filled."""
    there = [name for name in names if name in values]
    filled = [name for name in there if values[name] is not None and values[name] != ""] or there
    if len(filled) > 1:
        raise _RowError(f"{' and '.join(filled)} are both there, and either could be meant; keep one of them")
    return (filled[0], values[filled[0]]) if filled else (None, None)


def _lines(text: str) -> Iterator[ForeignRow]:
    indent = 0  # of the rule before
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or HEADING.match(line):
            continue
        item, own = list_item(line), len(line) - len(line.lstrip())
        if item is None and own > indent and number > 1:
            raise _RowError(
                f"row {number} is indented and no list item: {shortened(line.strip())!r}; put each rule on one line"
            )
        indent = own
        yield ForeignRow(number, {"rule": item or line.strip()})


def _table(text: str) -> Iterator[ForeignRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not any(_name(column) in TEXT_COLUMNS for column in reader.fieldnames or ()):
            there = ", ".join(reader.fieldnames or ()) or "none"
            raise _RowError(f"no column for the rule (columns: {there}); name it one of {', '.join(TEXT_COLUMNS)}")
        names = [_name(column) for column in reader.fieldnames or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise _RowError(f"several columns are named {twice[0]!r}; rename all but one of them")
        for number, values in enumerate(reader, start=1):
            if None in values or None in values.values():
                raise _RowError(f"row {number} has more or fewer fields than the header; quote fields that hold commas")
            yield _foreign(number, values)
    except csv.Error as error:
        raise _RowError(f"line {reader.line_num} is not CSV: {error}; quote fields that hold quotes") from error


def _json(text: str) -> Iterator[ForeignRow]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _RowError(f"not JSON: {error}; one value a line is a .jsonl file") from error
    for number, value in enumerate(_entries(content), start=1):
        yield _foreign(number, value)


def _json_lines(text: str) -> Iterator[ForeignRow]:
    # Not splitlines: JSON may hold other line separators in its strings.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _RowError(f"row {number} is not JSON: {error}; write one value a line") from error
        if isinstance(value, dict) and any(isinstance(value.get(name), list) for name in LISTS):
            if len(lines) > 1:
                raise _RowError(
                    f"row {number} is a whole list of rules, and there are {len(lines)} rows; each prompt has rules of "
                    "its own there, while a rule set is asked of every response: save one list as a file"
                )
            yield from _json(line)
        else:
            yield _foreign(number, value)


def _entries(content: Any) -> list[Any]:
    """The list of rules of a JSON file, bare or under one of the names in LISTS."""
    if isinstance(content, list):
        return content
    if isinstance(content, dict) and "schema_version" in content:
        raise _RowError("this is a rule set already; use it as it is, or join it to others with autorule rules merge")
    lists = [name for name in LISTS if isinstance(content, dict) and isinstance(content.get(name), list)]
    if len(lists) != 1:
        there = f"an object with {', '.join(map(repr, content))}" if isinstance(content, dict) else repr(content)[:40]
        raise _RowError(f"found {there}; give a list, or an object with one of {', '.join(LISTS)}")
    entries: list[Any] = content[lists[0]]
    return entries


def _foreign(number: int, value: Any) -> ForeignRow:
    if isinstance(value, str):
        return ForeignRow(number, {"rule": value})
    if not isinstance(value, dict):
        raise _RowError(f"row {number} is {value!r:.40}; give a text, or an object with {' or '.join(TEXT_COLUMNS)}")
    values: dict[str, Any] = {}
    for column, field in value.items():
        if _name(column) in values:
            raise _RowError(f"row {number} has {_name(column)!r} twice; keep one of them")
        values[_name(column)] = field
    return ForeignRow(number, values)


def _name(column: str) -> str:
    return column.strip().casefold()
