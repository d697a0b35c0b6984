"""A rule set out of rules that people have: plain lists, tables, rubrics with points.

Nothing is guessed: a row that can't be read as exactly one rule refuses the whole file, with the row, the value and
the fix.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autorule.config.stages import Config, RewardConfig, VerificationConfig
from autorule.errors import InputError, PromptError, RuleSetError
from autorule.prompting import load_prompt
from autorule.records import LEAST_WEIGHT, MOST_WEIGHT, Rule
from autorule.rules.editing import rule_text, shortened
from autorule.rules.rows import ASPECT_COLUMNS, TEXT_COLUMNS, WEIGHT_COLUMNS, ForeignRow, RowError, read_rule_rows
from autorule.rules.rule_sets import Edit, RuleSet, VerificationSpec, check_verification_prompt
from autorule.rules.text import new_rule_id, normalise_rule

MAX_PROBLEMS = 3
"""So many bad rows are named in one error."""


class ImportConfig(Config):
    """What a rule set says besides its rules."""

    model: dict[str, Any] = {}
    """Not used: whichever model scores is asked."""
    verification: VerificationConfig = VerificationConfig()
    reward: RewardConfig = RewardConfig()


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
        except (RowError, RuleSetError) as error:
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
        raise RowError(f"no column for the rule ({there}); name it one of {', '.join(TEXT_COLUMNS)}")
    if not isinstance(text, str) or not text.strip():
        raise RowError(f"{column} is {_shown(text)}; write the rule as a sentence, or leave out the row")
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
    if not abs(weight) <= MOST_WEIGHT:
        raise RowError(
            f"{column} is {_shown(value)}; give a finite number greater than 0, of at most {MOST_WEIGHT:,}, or leave "
            "it out for 1"
        )
    if weight < LEAST_WEIGHT:
        raise RowError(
            f"{column} is {_shown(value)}, and a weight must be greater than 0; reword the rule to what a good "
            "response does, and give a positive weight"
        )
    return weight


def _shown(value: Any) -> str:
    return f"{value!r:.60}"


def _aspect(values: dict[str, Any]) -> str | None:
    column, value = _value_of(values, ASPECT_COLUMNS)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"{column} is {_shown(value)}; give a text, or leave it out")
    return " ".join(value.split())


def _value_of(values: dict[str, Any], names: tuple[str, ...]) -> tuple[str | None, Any]:
    """The one of the columns that the row has, with its value. Raises RowError when it has several that are filled."""
    there = [name for name in names if name in values]
    filled = [name for name in there if values[name] is not None and values[name] != ""] or there
    if len(filled) > 1:
        raise RowError(f"{' and '.join(filled)} are both there, and either could be meant; keep one of them")
    return (filled[0], values[filled[0]]) if filled else (None, None)
