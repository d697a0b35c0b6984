"""The log of rewards of a training run: one row a completion, as JSONL, CSV or Parquet, or the folder of
completions_*.parquet that TRL writes under `log_completions`.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autorule.errors import ConfigError, InputError, MissingExtraError
from autorule.preferences.readers import BadRow, Row, read_rows
from autorule.records import content_id
from autorule.rewards.conversations import as_messages

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "step", "reward", "prompt_id", "prompt", "gold_reward", "fraction", "completion_length", "completion", "verdicts",
)  # fmt: skip
RULE_COLUMN = "rule:"
TRL_FILES = "completions_*.parquet"
SATISFIED = {"yes": 1.0, "true": 1.0, "1": 1.0, "1.0": 1.0, "no": 0.0, "false": 0.0, "0": 0.0, "0.0": 0.0}
UNKNOWN = ("", "nan", "none", "null", "not_applicable", "n/a")
COUNTED = re.compile(r"(\d+)/(\d+)( \(\d+ n/a\))?")
"""How our reward function logs satisfied rules under TRL: 5/6, or 5/6 (1 n/a)."""


class TrainingLog(NamedTuple):
    source: str
    rows: "pd.DataFrame"
    """Columns step (int), reward, gold, fraction, length (floats, NaN where there is none), and group: the number of
    the prompt in its step, -1 where no prompt is given."""
    rules: "pd.DataFrame"
    """A column of 1, 0 and NaN (unscored, or not applicable) for each rule id, in the order of `rows`."""
    length_unit: str
    """What lengths are counted in."""


class _BadValue(Exception):
    """A value that can't be used, and what to do about it."""

    def __init__(self, name: str, value: Any, fix: str) -> None:
        super().__init__(f"{name} is {value!r:.60}: {fix}")


def read_log(path: Path, columns: dict[str, str] | None = None) -> TrainingLog:
    """The rows of a log. `columns` maps our names to the log's.

    A reward that is null, empty or NaN is an unscored completion. Raises ConfigError for a name that is not ours,
    InputError for a log without step or reward and for a row with a value that can't be used (file, row, value and fix
    are named), MissingExtraError without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("pandas", "data", "the audit of a training log") from error
    columns = columns or {}
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise ConfigError(f"columns: {unknown[0]!r} is no column of ours; map one of {', '.join(COLUMNS)}")
    rows: list[dict[str, Any]] = []
    rules: list[dict[str, float]] = []
    groups: dict[tuple[int, str], int] = {}
    units: set[str] = set()
    for file, number, row in _rows(path, columns):
        try:
            own, unit = _read_row(row, groups)
            rules.append(_read_rules(row))
        except _BadValue as error:
            raise InputError(f"{file} row {number}: {error}") from None
        known = [value for value in rules[-1].values() if not math.isnan(value)]
        if math.isnan(own["fraction"]) and known:
            own["fraction"] = sum(known) / len(known)
        units |= {unit} if unit else set()
        rows.append(own)
    if len(units) > 1:
        raise InputError(f"{path}: some rows have a completion_length and others only a completion; log one for all")
    return TrainingLog(str(path), pd.DataFrame(rows), pd.DataFrame(rules, dtype="float64"), "".join(units))


def _rows(path: Path, columns: dict[str, str]) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """(file, row number, values under our names)."""
    for file in _files(path):
        checked = False
        for row in read_rows(file, lambda names: _used(names, columns)):
            if isinstance(row, BadRow):
                raise InputError(f"{file} row {row.number}: {row.reason.message}")
            if not checked:
                _check_columns(file, row, columns)
                checked = True
            yield file, row.number, {**row.values, **{ours: row.values.get(own) for ours, own in columns.items()}}


def _used(names: Sequence[str], columns: dict[str, str]) -> set[str]:
    """The columns that are read: others may hold what has no value in Python."""
    return {columns.get(name, name) for name in COLUMNS} | {name for name in names if name.startswith(RULE_COLUMN)}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(TRL_FILES))
    if not files:
        raise InputError(
            f"{path} holds no {TRL_FILES}; give the folder where TRL's log_completions puts them, or a file"
        )
    return files


def _check_columns(file: Path, row: Row, columns: dict[str, str]) -> None:
    for ours, own in columns.items():
        if own not in row.values:
            raise InputError(f"{file} has no column {own!r} (mapped to {ours}); it has {', '.join(row.values)}")
    for name in ("step", "reward"):
        if columns.get(name, name) not in row.values:
            raise InputError(
                f"{file} has no column {name!r}; it has {', '.join(row.values)}; say which it is with "
                f"--columns {name}=NAME"
            )


def _read_row(row: dict[str, Any], groups: dict[tuple[int, str], int]) -> tuple[dict[str, Any], str | None]:
    """The numbers of a row, and the unit of its length."""
    step = _number(row, "step")
    if step != step or step < 0 or step != int(step):
        raise _BadValue("step", row.get("step"), "write the number of the training step, a whole number from 0")
    if "reward" not in row:
        raise _BadValue("reward", None, "the row has none; write null where a completion is unscored")
    prompt = next((row[name] for name in ("prompt_id", "prompt") if row.get(name) not in (None, "")), None)
    group = -1
    if prompt is not None:
        group = groups.setdefault((int(step), content_id(json.dumps(prompt, sort_keys=True, default=str))), len(groups))
    length, unit = _length(row)
    own = {
        "step": int(step),
        "reward": _number(row, "reward"),
        "gold": _number(row, "gold_reward"),
        "fraction": _fraction(row),
        "length": length,
        "group": group,
    }
    return own, unit


def _number(row: dict[str, Any], name: str) -> float:
    """The number in a column, which is text in a CSV file; NaN where there is none."""
    value = row.get(name)
    if value is None or (isinstance(value, str) and value.strip().casefold() in UNKNOWN):
        return math.nan
    try:
        number = math.inf if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise _BadValue(name, value, "write a finite number, or null where there is none")
    return number


def _fraction(row: dict[str, Any]) -> float:
    """The share of rules satisfied. Of `5/6 (1 n/a)` it is not known: what N/A counts for is not in the log."""
    value = row.get("fraction")
    if isinstance(value, str) and (counted := COUNTED.fullmatch(value.strip())):
        satisfied, scored, not_applicable = counted.groups()
        fraction = math.nan if not_applicable or scored == "0" else int(satisfied) / int(scored)
    else:
        fraction = _number(row, "fraction")
    if fraction < 0 or fraction > 1:
        raise _BadValue("fraction", value, "the share of rules satisfied is from 0 to 1; map the unscaled one")
    return fraction


def _length(row: dict[str, Any]) -> tuple[float, str | None]:
    if "completion_length" in row:
        length = _number(row, "completion_length")
        if length < 0:
            raise _BadValue("completion_length", row["completion_length"], "write a length, 0 or more")
        return length, "as logged"
    if row.get("completion") is None:
        return math.nan, None
    try:
        messages = as_messages(row["completion"], "assistant")
    except ConfigError as error:
        raise _BadValue("completion", row["completion"], str(error)) from None
    return float(sum(len(message.content) for message in messages)), "characters"


def _read_rules(row: dict[str, Any]) -> dict[str, float]:
    """Rule id -> 1, 0, or NaN where there is no verdict or the rule does not apply."""
    found = {name.removeprefix(RULE_COLUMN): value for name, value in row.items() if name.startswith(RULE_COLUMN)}
    verdicts = row.get("verdicts")
    if isinstance(verdicts, str) and verdicts.strip():
        try:
            verdicts = json.loads(verdicts)
        except ValueError:
            raise _BadValue("verdicts", verdicts, "write a JSON object of rule id to yes, no or null") from None
    if verdicts not in (None, "") and not isinstance(verdicts, dict):
        raise _BadValue("verdicts", verdicts, "write an object of rule id to yes, no or null")
    for rule_id, value in (verdicts or {}).items():
        if rule_id in found:
            raise _BadValue(f"verdicts[{rule_id!r}]", value, f"the rule has a column {RULE_COLUMN}, too; keep one")
        found[rule_id] = value
    return {rule_id: _satisfied(rule_id, value) for rule_id, value in found.items()}


def _satisfied(rule_id: str, value: Any) -> float:
    text = str(value).strip().casefold()
    if text in UNKNOWN:
        return math.nan
    if text not in SATISFIED:
        raise _BadValue(f"the verdict on rule {rule_id!r}", value, "write 1 or yes, 0 or no, or null for no verdict")
    return SATISFIED[text]
