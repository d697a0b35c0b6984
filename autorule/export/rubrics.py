"""Rule sets in the formats of others' rubrics. Rules are positive, so that no target meets a negative weight."""

import json
import re
from collections.abc import Iterator, Sequence

from autorule.errors import ConfigError
from autorule.records import Messages, Rule
from autorule.rules.rule_sets import RuleSet, prompt_hash

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&])")


def criteria(rule_set: RuleSet) -> str:
    """The criteria file of the `rubric` judge of verifiers v1. Raises ConfigError when every weight is 0."""
    entries = [
        {"name": rule.rule_id, "text": rule.criterion, "weight": rule.weight, "choices": ["no", "yes"]}
        for rule in rule_set.rules
    ]
    return _json({"criteria": entries})


def requirement_list(rule_set: RuleSet) -> str:
    """The list of requirements of the package `rubric`."""
    return _json([{"weight": rule.weight, "requirement": rule.criterion} for rule in rule_set.rules])


def healthbench_rows(prompts: Sequence[tuple[Messages, Sequence[Rule]]]) -> Iterator[str]:
    """HealthBench rows, one JSON line for each prompt with the rules that apply to it; points are the weights."""
    for prompt, rules in prompts:
        rubrics = [
            {"criterion": rule.criterion, "points": rule.weight, "tags": [f"rule:{rule.rule_id}", *_aspect_tag(rule)]}
            for rule in rules
        ]
        if not rubrics:
            raise ConfigError(f"no rule applies to the prompt {prompt[0].content[:60]!r}; leave it out")
        row = {
            "prompt_id": prompt_hash(prompt),
            "prompt": [{"role": message.role, "content": message.content} for message in prompt],
            "rubrics": rubrics,
            "example_tags": [],
            "ideal_completions_data": None,
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"


def markdown(rule_set: RuleSet) -> str:
    """A table to read. The text of a rule can't become markup, a link or HTML."""
    lines = ["# Rules", "", "| weight | support | aspect | rule |", "|---|---|---|---|"]
    lines += [
        f"| {rule.weight:g} | {rule.support} | {escape_markdown(aspect)} | {escape_markdown(rule.criterion)} |"
        for rule in rule_set.rules
        for aspect in [rule.aspect or ""]
    ]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """The text on one line, with every character that means something escaped and control characters visible."""
    shown = "".join(char if char.isprintable() else _visible(char) for char in text)
    return _MARKDOWN.sub(r"\\\1", shown).replace("\\<", "&lt;").replace("\\>", "&gt;")


def _visible(char: str) -> str:
    return " " if char in "\n\r\t" else f"\\x{ord(char):02x}"


def _aspect_tag(rule: Rule) -> list[str]:
    return [f"aspect:{rule.aspect}"] if rule.aspect else []


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
