"""The columns of a trainer, whatever sequences they are: arrays, Series, Columns of datasets, lists of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from autorule.errors import ConfigError
from autorule.preferences.sequences import as_list, plain
from autorule.preferences.showing import shown
from autorule.records import Completion
from autorule.rewards.conversations import estimated_tokens
from autorule.rewards.settings import RewardSettings
from autorule.rules.rule_sets import RuleSet


def as_lists(columns: Mapping[str, Any], n: int, read: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """The columns as lists of `n` values. What is no sequence is a setting of the trainer, and left out, unless it is
    one of the columns that are `read`; so is None.

    Raises ConfigError for a column of another length, for an iterator, which could be read but once, and for a column
    that is read and is no sequence: each would be passed over in silence.
    """
    found = {}
    for name, values in columns.items():
        if hasattr(type(values), "__next__"):
            kind = type(values).__name__
            raise ConfigError(
                f"column {name} is an iterator ({kind}); give list({name}), with a value for each completion"
            )
        rows = as_list(values)
        if rows is None:
            if name in read and values is not None:
                raise ConfigError(f"column {name} is {shown(values)}; give a list with a value for each completion")
            continue
        if len(rows) != n:
            raise ConfigError(f"column {name} has {len(rows)} values for {n} completions; give one for each")
        found[name] = [_as_row(plain(value)) for value in rows]
    return found


def columns_read(settings: RewardSettings) -> frozenset[str]:
    """The names of the columns by which a reward goes."""
    own = [getattr(step, name, None) for step in settings.shaping for name in ("column", "outcome_column")]
    if settings.reward_model is not None and settings.reward_model.normalise == "par":
        own.append(settings.reward_model.references_column)
    return frozenset([settings.rules_column, *filter(None, own)])


def rules_named(name: str, value: Any, rule_set: RuleSet) -> frozenset[str]:
    """The ids of the rules that a row of the column `name` names. Raises ConfigError for what is no list of ids of the
    rule set."""
    ids = as_list(value)
    if ids is None or not all(isinstance(rule_id, str) for rule_id in ids):
        raise ConfigError(f"column {name}: {shown(value)} is no list of rule ids")
    known = {rule.rule_id for rule in rule_set.rules}
    if unknown := [rule_id for rule_id in ids if rule_id not in known]:
        raise ConfigError(f"column {name}: no rule has the id {unknown[0]!r:.80}")
    return frozenset(ids)


def token_counts(completions: Sequence[Completion], ids: Any) -> list[int]:
    """The length of each completion: of its token ids where the trainer gives them. Raises ConfigError for ids of
    another number of completions."""
    if ids is None:
        return [estimated_tokens(completion) for completion in completions]
    name = "completion_ids"
    return [len(own) for own in as_lists({name: ids}, len(completions), frozenset([name]))[name]]


def _as_row(value: Any) -> Any:
    """A sequence of Python as a list. Others may be films, which are decoded as they are read."""
    is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, tuple))
    return list(value) if is_list else value
