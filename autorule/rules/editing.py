"""Changes to a rule set by hand: reword, drop, pin, unpin, add, check, sort. Each leaves an entry in the history.

Functions from rule set to rule set: nothing is changed in place, and what they return is valid.
"""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from autorule.errors import ConfigError, RuleSetError, in_words
from autorule.records import Rule
from autorule.rules.rule_sets import Edit, RuleSet
from autorule.rules.text import clean_rule, new_rule_id, normalise_rule

SHOWN_CHARS = 60


class Changes(NamedTuple):
    """What to change in one go. Rules go by their ids or by beginnings of them."""

    reword: Sequence[tuple[str, str]] = ()
    """Rule and its new text."""
    drop: Sequence[str] = ()
    pin: Sequence[str] = ()
    unpin: Sequence[str] = ()
    add: Sequence[str] = ()
    """Texts of new rules."""
    check: Sequence[tuple[str, str]] = ()
    """Rule and the check that decides it, as JSON; empty for none."""
    aspect: Sequence[tuple[str, str]] = ()
    """Rule and what it is about; empty for nothing."""


def find_rule(rule_set: RuleSet, rule_id: str) -> Rule:
    """The rule with this id, or the only one whose id begins so.

    Raises RuleSetError for an id that no rule has, with the nearest ones, and for a beginning that several have.
    """
    begin_so = [rule for rule in rule_set.rules if rule_id and rule.rule_id.startswith(rule_id)]
    exact = [rule for rule in begin_so if rule.rule_id == rule_id]
    if len(exact or begin_so) == 1:
        return (exact or begin_so)[0]
    if begin_so:
        raise RuleSetError(
            f"rule id {rule_id!r} is the beginning of {len(begin_so)} ids: {_listed(begin_so[:5])}; give more of it"
        )
    by_beginning = {rule.rule_id[: len(rule_id)]: rule for rule in reversed(rule_set.rules)}
    near = [by_beginning[key] for key in get_close_matches(rule_id, by_beginning, n=3, cutoff=0.5)]
    likely = f"near ones are {_listed(near)}" if near else f"the first ones are {_listed(rule_set.rules[:3])}"
    raise RuleSetError(f"no rule has the id {rule_id!r}; {likely}")


def rule_text(text: str) -> str:
    """A text that a person gives for a rule, cleaned as mined rules are. Raises RuleSetError when it has no word."""
    cleaned = clean_rule(text)
    if not normalise_rule(cleaned):
        raise RuleSetError(f"the text {text!r} has no word; give the rule as a sentence")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise RuleSetError(f"the text {text!r} is not whole Unicode; type the rule anew")
    return cleaned


def reword(rule_set: RuleSet, rule_id: str, text: str, by: str, reason: str | None = None) -> RuleSet:
    """The set with another text for one rule.

    The rule gets the id of its new text and keeps its sources; one that is turned around stays so. Its threshold and
    statistics go, since they were measured with the old text. Raises RuleSetError for an unknown rule, a text without
    words, and a text that a rule has already.
    """
    rule = find_rule(rule_set, rule_id)
    text = rule_text(text)
    if text == rule.text:
        raise RuleSetError(f"rule {rule.rule_id} has this text already: {shortened(text)!r}; give another")
    _check_is_new(rule_set, text, besides=rule)
    worded = rule.model_copy(update={"text": text, "threshold": None, "statistics": {}})
    reworded = worded.model_copy(update={"rule_id": new_rule_id(worded.criterion)})
    rules = [reworded if other is rule else other for other in rule_set.rules]
    before, after = rule.criterion, reworded.criterion
    edit = Edit(action="reworded", by=by, rule_id=reworded.rule_id, before=before, after=after, reason=reason)
    return changed(rule_set, remap_contradictions(rules, {rule.rule_id: reworded.rule_id}), [edit])


def drop(rule_set: RuleSet, rule_id: str, by: str, reason: str | None = None) -> RuleSet:
    """The set without one rule. Raises RuleSetError for an unknown rule and for the last one."""
    rule = find_rule(rule_set, rule_id)
    rules = [other for other in rule_set.rules if other is not rule]
    if not rules:
        raise RuleSetError(f"{rule.rule_id} is the last rule, and a rule set needs one; add another first")
    edit = Edit(action="dropped", by=by, rule_id=rule.rule_id, before=rule.criterion, reason=reason)
    return changed(rule_set, without_dangling(rules), [edit])


def pin(rule_set: RuleSet, rule_id: str, by: str, reason: str | None = None, pinned: bool = True) -> RuleSet:
    """The set with one rule pinned, or no longer so. Raises RuleSetError when that is how it is already."""
    rule = find_rule(rule_set, rule_id)
    if rule.pinned == pinned:
        raise RuleSetError(f"rule {rule.rule_id} is {'pinned already' if pinned else 'not pinned'}; leave it out")
    rules = [r.model_copy(update={"pinned": pinned}) if r is rule else r for r in rule_set.rules]
    edit = Edit(action="pinned" if pinned else "unpinned", by=by, rule_id=rule.rule_id, reason=reason)
    return changed(rule_set, rules, [edit])


def add(rule_set: RuleSet, text: str, by: str, reason: str | None = None) -> RuleSet:
    """The set with one more rule at its end, of weight 1 and without sources.

    Raises RuleSetError for a text without words and for one that a rule has already.
    """
    text = rule_text(text)
    _check_is_new(rule_set, text)
    rule = Rule(rule_id=new_rule_id(text), text=text, support=0)
    edit = Edit(action="added", by=by, rule_id=rule.rule_id, after=text, reason=reason)
    return changed(rule_set, [*rule_set.rules, rule], [edit])


def set_check(rule_set: RuleSet, rule_id: str, check: str, by: str, reason: str | None = None) -> RuleSet:
    """The set with a code check (code_checks.py) for one rule, given as JSON; with none when the text is empty.

    Raises RuleSetError for an unknown rule and for a text that is no check.
    """
    rule = find_rule(rule_set, rule_id)
    try:
        content = {**rule.model_dump(), "check": json.loads(check) if check.strip() else None}
        checked = Rule.model_validate({**content, "threshold": None, "statistics": {}})
    except ValueError as error:
        message = error.errors()[0]["msg"] if isinstance(error, ValidationError) else in_words(error)
        raise RuleSetError(f"check {shortened(check)!r} of rule {rule.rule_id}: {message}") from error
    rules = [checked if other is rule else other for other in rule_set.rules]
    before, after = (None if r.check is None else r.check.model_dump_json(exclude_none=True) for r in (rule, checked))
    edit = Edit(action="checked", by=by, rule_id=rule.rule_id, before=before, after=after, reason=reason)
    return changed(rule_set, rules, [edit])


def set_aspect(rule_set: RuleSet, rule_id: str, aspect: str, by: str, reason: str | None = None) -> RuleSet:
    """The set with an aspect for one rule; with none when it is empty. Raises RuleSetError for an unknown rule."""
    rule = find_rule(rule_set, rule_id)
    sorted_ = rule.model_copy(update={"aspect": aspect.strip() or None})
    rules = [sorted_ if other is rule else other for other in rule_set.rules]
    edit = Edit(action="sorted", by=by, rule_id=rule.rule_id, before=rule.aspect, after=sorted_.aspect, reason=reason)
    return changed(rule_set, rules, [edit])


def apply(rule_set: RuleSet, changes: Changes, by: str, reason: str | None = None) -> RuleSet:
    """The set after all the changes. The ids, or their beginnings, are those of the set as it is given.

    Raises ConfigError when a rule is to be changed in two ways at odds or nothing is to be changed, RuleSetError as
    the single changes do.
    """
    ids = {
        option: list(dict.fromkeys(find_rule(rule_set, rule_id).rule_id for rule_id in getattr(changes, option)))
        for option in ("drop", "pin", "unpin")
    }
    for name in ("check", "aspect"):
        ids[name] = [find_rule(rule_set, rule_id).rule_id for rule_id, _ in getattr(changes, name)]
    ids["reword"] = [find_rule(rule_set, rule_id).rule_id for rule_id, _ in changes.reword]
    for one, other in (
        ("drop", "reword"),
        ("drop", "pin"),
        ("drop", "unpin"),
        ("pin", "unpin"),
        ("drop", "check"),
        ("drop", "aspect"),
    ):
        if both := set(ids[one]) & set(ids[other]):
            raise ConfigError(f"rule {min(both)} is named by --{one} and by --{other}; give one of them")
    # New rules first, so that the last old one can go; pins before new texts, which change ids.
    after = rule_set
    for text in changes.add:
        after = add(after, text, by, reason)
    for rule_id in ids["pin"]:
        after = pin(after, rule_id, by, reason)
    for rule_id in ids["unpin"]:
        after = pin(after, rule_id, by, reason, pinned=False)
    for rule_id, (_, check) in zip(ids["check"], changes.check, strict=True):
        after = set_check(after, rule_id, check, by, reason)
    for rule_id, (_, aspect) in zip(ids["aspect"], changes.aspect, strict=True):
        after = set_aspect(after, rule_id, aspect, by, reason)
    for rule_id in ids["drop"]:
        after = drop(after, rule_id, by, reason)
    for rule_id, (_, text) in zip(ids["reword"], changes.reword, strict=True):
        after = reword(after, rule_id, text, by, reason)
    if after is rule_set:
        raise ConfigError(
            "nothing to change; give --reword and --text, --drop, --pin, --unpin, --add, --check or --aspect"
        )
    return after


def changed(rule_set: RuleSet, rules: Sequence[Rule], edits: Sequence[Edit], **fields: Any) -> RuleSet:
    """The set with other rules (and other fields) and more history. Raises RuleSetError when that is no valid set."""
    content = {name: getattr(rule_set, name) for name in RuleSet.model_fields}
    history = (*fields.pop("history", rule_set.history), *edits)
    try:
        return RuleSet(**{**content, **fields, "rules": tuple(rules), "history": history})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RuleSetError(f"the changed rule set would not be valid: {message}") from error


def remap_contradictions(rules: Sequence[Rule], new_ids: dict[str, str]) -> list[Rule]:
    """The rules with what they contradict under its new id, without themselves and without repetitions."""
    return [
        rule.model_copy(
            update={
                "contradicts": tuple(
                    key for key in dict.fromkeys(new_ids.get(i, i) for i in rule.contradicts) if key != rule.rule_id
                )
            }
        )
        for rule in rules
    ]


def without_dangling(rules: Sequence[Rule]) -> list[Rule]:
    """The rules without contradictions of rules that are not among them."""
    ids = {rule.rule_id for rule in rules}
    return [
        rule.model_copy(update={"contradicts": tuple(key for key in rule.contradicts if key in ids)}) for rule in rules
    ]


def shortened(text: str, n_chars: int = SHOWN_CHARS) -> str:
    """The beginning of a text, for a line that only names it."""
    return text if len(text) <= n_chars else text[: n_chars - 1].rstrip() + "…"


def _check_is_new(rule_set: RuleSet, text: str, besides: Rule | None = None) -> None:
    for rule in rule_set.rules:
        if rule is not besides and (
            normalise_rule(rule.text) == normalise_rule(text) or rule.rule_id == new_rule_id(text)
        ):
            raise RuleSetError(f"rule {rule.rule_id} says that already: {shortened(rule.text)!r}; use other words")


def _listed(rules: Sequence[Rule]) -> str:
    return ", ".join(f"{rule.rule_id} ({shortened(rule.text, 40)})" for rule in rules)
