"""What is wrong with a rule set file, in words: which rule, which field, and what to do about it."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from autorule.config.layers import told_value
from autorule.records import Rule
from autorule.rules.text import former_rule_ids, new_rule_id

SHOWN_CHARS = 60
OWN_ID = re.compile(r"[0-9a-f]{20}")
"""How the ids look that are made of a rule's words. People may give others, which say nothing of the text."""


def not_a_rule_set(content: Any) -> str | None:
    """Why a JSON value is no rule set at all; None when it may be one."""
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else repr(content)[:40]
        return (
            f"is no rule set but {kind}; give the 03_rule_set.json of a run, or make one of a list of rules with "
            "autorule rules import"
        )
    return None


def first_fault(error: ValidationError, content: dict[str, Any]) -> str:
    """The first of the faults, and how many more there are."""
    first, n_more = error.errors()[0], error.error_count() - 1
    where, path = _place(first["loc"], content)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        told = f"{where}{path} is missing"
    elif first["type"] == "extra_forbidden":
        told = f"{where}{path} is no field of a rule set; remove it, or mend its name"
    else:
        told = f"{where}{path}{': ' if path else ''}{message}{told_value(first)}"
    return f"{told} (and {n_more} more problem{'s' * (n_more > 1)})" if n_more else told


def _place(loc: Sequence[int | str], content: dict[str, Any]) -> tuple[str, str]:
    """(the rule that it is in, the fields that lead to it)."""
    if len(loc) < 2 or loc[0] != "rules" or not isinstance(loc[1], int):
        return "", ".".join(map(str, loc))
    rule = content["rules"][loc[1]]
    named = f" ({rule['rule_id']!r:.{SHOWN_CHARS}})" if isinstance(rule, dict) and rule.get("rule_id") else ""
    return f"rule {loc[1] + 1}{named}: ", ".".join(map(str, loc[2:]))


def changed_by_hand(rules: Sequence[Rule]) -> str | None:
    """A line when there are rules whose ids were made of other words than they have: the first, and how many more."""
    found = [rule for rule in rules if OWN_ID.fullmatch(rule.rule_id) and rule.rule_id not in _own_ids(rule)]
    if not found:
        return None
    first, more = found[0], f" (as {len(found) - 1} more have)" if len(found) > 1 else ""
    return (
        f"rule {first.rule_id} has a text that its id was not made of{more}, {first.text!r:.{SHOWN_CHARS}}: threshold, "
        "statistics and sources are those of the old text; write that back, and change it with autorule rules edit "
        f"--reword {first.rule_id[:8]} --text TEXT"
    )


def _own_ids(rule: Rule) -> set[str]:
    texts = (rule.text, rule.criterion)
    return {new_rule_id(text) for text in texts}.union(*map(former_rule_ids, texts))
