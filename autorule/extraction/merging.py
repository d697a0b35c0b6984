"""The questions of synthesis that join rules: merge a list, and review what a merge forgot or joined too boldly.

A merge answer is taken at its word only where the words agree: a member that is unlike the rule that it was put
behind, and a rule that the answer forgot, are asked about once more. Unconfirmed members stay rules of their own, so a
wrong merge can cost a duplicate but seldom a rule.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

from autorule.backends.answer_text import check_is_whole, json_values, list_item, was_cut_off, whole_answer
from autorule.backends.base import GenerateRequest
from autorule.backends.text_vectors import Vectoriser
from autorule.config.stages import MAX_RULE_CHARS, SynthesisConfig
from autorule.errors import ParseError
from autorule.extraction.answer_bounds import (
    list_schema,
    number_schema,
    object_schema,
    rule_schema,
)
from autorule.extraction.synthesis import Draft, distinct, join_same
from autorule.prompting import Prompt, fence_for
from autorule.records import ModelOutput, content_id
from autorule.rules.linting import lint_rule, sets_aside
from autorule.rules.text import clean_rule, normalise_rule


def merge_schema(n_rules: int, max_chars: int) -> dict[str, Any]:
    """No more rules than there were, each out of some of them."""
    members = list_schema(number_schema(1, n_rules), most=n_rules, least=1)
    return object_schema(rules=list_schema(object_schema(rule=rule_schema(max_chars), **{"from": members}), n_rules))


def review_schema(n_statements: int, n_rules: int) -> dict[str, Any]:
    match = object_schema(statement=number_schema(1, n_statements), rule=number_schema(0, n_rules))
    return object_schema(matches=list_schema(match, most=n_statements))


class Merged(NamedTuple):
    """One rule of a merge answer, with the numbers (from 0) of the rules that it replaces."""

    text: str
    members: tuple[int, ...]


class Merge(NamedTuple):
    """What a merge answer makes of a group: rules with their sure members, and members to ask about once more."""

    group: tuple[Draft, ...]
    rules: tuple[Merged, ...]
    """Each number stands in at most one of them."""
    doubtful: dict[int, int]
    """Number in the group -> number of the rule that it was put behind, without resembling it."""
    forgotten: tuple[int, ...]

    @property
    def to_review(self) -> tuple[int, ...]:
        return tuple(sorted((*self.doubtful, *self.forgotten)))


def numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))


def synthesis_request(
    kind: str, values: dict[str, str], prompt: Prompt, schema: dict[str, Any] | None, config: SynthesisConfig
) -> GenerateRequest:
    """A question of this stage about the lists in `values`; its id is a hash of the kind and the lists."""
    return GenerateRequest(
        request_id=content_id(kind, values),
        stage="synthesis",
        messages=prompt.render(values, {"fence": fence_for(values.values())}),
        sampling=config.sampling,
        json_schema=schema,
        prompt_sha256=prompt.sha256,
    )


def build_request(
    group: Sequence[Draft], prompt: Prompt, config: SynthesisConfig, max_chars: int = MAX_RULE_CHARS
) -> GenerateRequest:
    """The question how to merge one group. `prompt` shows {rules}, a numbered list, and may show {fence}; `max_chars`
    is the longest that a rule may be."""
    rules = numbered([draft.text for draft in group])
    schema = None if prompt.begun_answer else merge_schema(len(group), max_chars)
    return synthesis_request("merge", {"rules": rules}, prompt, schema, config)


def parse_merge(request: GenerateRequest, output: ModelOutput, n_rules: int) -> list[Merged]:
    """The merged rules of an answer: JSON with `rule` and `from`, or one plain line that replaces the whole group.

    Raises ParseError for anything else: a number outside the group, several rules that do not say what they replace,
    an answer that was cut off.
    """
    text = whole_answer(request.messages, output.text)
    check_is_whole(output, text)
    found = [value["rules"] for value in json_values(text) if isinstance(value, dict) and _is_merge(value.get("rules"))]
    if not found:
        lines = [list_item(line) or line.strip() for line in text.splitlines() if line.strip()]
        begun = request.messages[-1].role == "assistant"
        if len(lines) != 1 or was_cut_off(output) or not begun:
            raise ParseError(f"neither JSON with rules nor a single rule in the answer: {output.text[:80]!r}")
        return [Merged(clean_rule(lines[0]), tuple(range(n_rules)))]
    merged = []
    for entry in found[-1]:  # an earlier one may echo the example in the prompt
        numbers = entry["from"]
        if outside := [number for number in numbers if not 1 <= number <= n_rules]:
            raise ParseError(f"rule number {outside[0]} is not in the list of {n_rules}")
        merged.append(Merged(clean_rule(entry["rule"]), tuple(sorted({number - 1 for number in numbers}))))
    return merged


def read_merge(
    group: Sequence[Draft],
    merged: Sequence[Merged],
    prompt: Prompt,
    max_chars: int,
    config: SynthesisConfig,
    vectorise: Vectoriser,
) -> Merge:
    """What the answer says about each member of the group. The members of a merged text that reads as no rule (lint)
    count as forgotten; a number that stands under several rules belongs to the first, and is doubtful."""
    rules: list[Merged] = []
    home: dict[int, int] = {}
    named_twice: set[int] = set()
    for text, members in merged:
        if sets_aside(lint_rule(text, prompt.text, max_chars)):
            continue
        named_twice.update(number for number in members if number in home)
        own = tuple(number for number in members if number not in home)
        home |= dict.fromkeys(own, len(rules))
        rules.append(Merged(text, own))
    doubtful = {}
    if config.review:
        doubtful = {number: home[number] for number in named_twice} | _unlike_members(
            group, rules, config.merge_similarity, vectorise
        )
    sure = tuple(Merged(text, tuple(m for m in members if m not in doubtful)) for text, members in rules)
    return Merge(tuple(group), sure, doubtful, tuple(number for number in range(len(group)) if number not in home))


def build_review(merge: Merge, prompt: Prompt, config: SynthesisConfig) -> GenerateRequest:
    """The question where the doubtful and forgotten members belong. `prompt` shows {rules} and {statements}."""
    rules = numbered([rule.text for rule in merge.rules])
    statements = numbered([merge.group[number].text for number in merge.to_review])
    schema = review_schema(len(merge.to_review), len(merge.rules))
    return synthesis_request("review", {"rules": rules, "statements": statements}, prompt, schema, config)


def parse_review(request: GenerateRequest, output: ModelOutput, n_statements: int, n_rules: int) -> dict[int, int]:
    """Statement -> rule, both from 0; statements that no rule covers are left out. Raises ParseError."""
    entries = last_list(request, output, "matches")
    matches: dict[int, int] = {}
    for entry in entries:
        statement, rule = (entry.get(name) if isinstance(entry, dict) else None for name in ("statement", "rule"))
        if not is_number(statement) or not is_number(rule):
            raise ParseError(f"a match without the numbers of statement and rule: {entry!r:.80}")
        if not 1 <= statement <= n_statements or not 0 <= rule <= n_rules:
            raise ParseError(f"match {entry!r:.80}: there are {n_statements} statements and {n_rules} rules")
        if rule:
            matches[statement - 1] = rule - 1
    return matches


def apply_merge(merge: Merge, reviewed: dict[int, int] | None) -> list[Draft]:
    """The drafts of a group after its merge and its review (None where there was none to ask, or it failed).

    A forgotten member joins the rule that the review names. A doubtful one joins its rule only if the review names the
    same. Every other one stays as it was.
    """
    members = [list(rule.members) for rule in merge.rules]
    for position, number in enumerate(merge.to_review):
        target = (reviewed or {}).get(position)
        if target is not None and merge.doubtful.get(number, target) == target:
            members[target].append(number)
    rules = [Merged(rule.text, tuple(sorted(own))) for rule, own in zip(merge.rules, members, strict=True)]
    used = {number for numbers in members for number in numbers}
    others = (draft for number, draft in enumerate(merge.group) if number not in used)
    return join_same([*drafts_of(merge.group, rules), *others])


def drafts_of(group: Sequence[Draft], rules: Sequence[Merged]) -> list[Draft]:
    """The merged rules with the candidates of their members; a rule that is left without members is none."""
    return [
        Draft(rule.text, distinct(c for number in rule.members for c in group[number].candidates))
        for rule in rules
        if rule.members
    ]


def last_list(request: GenerateRequest, output: ModelOutput, name: str) -> list[Any]:
    """The list `name` of the last JSON object that has one. Raises ParseError when none has, or it was cut off."""
    text = whole_answer(request.messages, output.text)
    check_is_whole(output, text)
    found = [
        value[name] for value in json_values(text) if isinstance(value, dict) and isinstance(value.get(name), list)
    ]
    if not found:
        raise ParseError(f"no JSON with {name!r} in the answer: {output.text[:80]!r}")
    return list(found[-1])


def _unlike_members(
    group: Sequence[Draft], rules: Sequence[Merged], similarity: float, vectorise: Vectoriser
) -> dict[int, int]:
    """The members that do not resemble the text of their rule: number in the group -> number of the rule."""
    vectors = vectorise([*(draft.text for draft in group), *(rule.text for rule in rules)])
    if vectors is None:
        return {}
    unlike = {}
    for index, (text, members) in enumerate(rules):
        own = vectors[[len(group) + index]]
        for number in members:
            same_words = normalise_rule(group[number].text) == normalise_rule(text)
            if not same_words and float((vectors[[number]] @ own.T).sum()) < similarity:
                unlike[number] = index
    return unlike


def is_number(value: object) -> TypeGuard[int]:
    """Whether a value of a JSON answer is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_merge(entries: object) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("rule"), str)
        and isinstance(entry.get("from"), list)
        and all(map(is_number, entry["from"]))
        and entry["from"]
        for entry in entries
    )
