"""Verdicts that a model writes: after reasons, one rule at a time, or on all rules in one answer.

They have no P(yes). A reasoned verdict is the last one that stands alone after "Verdict:" or on a line of its own; a
joint answer is JSON. What can't be found is unscored.
"""

import re
from collections.abc import Sequence
from typing import Any

from autorule.backends.answer_text import json_values
from autorule.backends.base import GenerateRequest, Question
from autorule.errors import ParseError
from autorule.records import Completion, ModelOutput, Rule, VerdictLabel
from autorule.rules.rule_sets import VerificationSpec
from autorule.verification.conversation import render_conversation
from autorule.verification.direct import LABELS, describe_choices

_CHOICE = r"(?P<choice>yes|no|n/a)"
_MARKED = re.compile(rf"\bverdict\b[\s*_:\"'`\-]{{1,12}}{_CHOICE}(?![\w/])", re.IGNORECASE)
_ALONE = re.compile(rf"^[ \t\r*_\"'`]*+{_CHOICE}[ \t\r*_\"'`.]*+$", re.IGNORECASE | re.MULTILINE)
_LABEL_OF = {choice.casefold(): label for choice, label in LABELS.items()}


def build_reasoned_request(
    completion: Completion, spec: VerificationSpec, question: Question, sample_index: int = 0
) -> GenerateRequest:
    """One rule about one completion, to be answered with reasons and a verdict."""
    conversation = render_conversation(completion, spec.max_conversation_chars, spec.completion_view).text
    shown = spec.prompt.render({"conversation": conversation}, {"choices": describe_choices(spec.choices)})
    return GenerateRequest(
        request_id=f"{completion.completion_id}:{question.question_id}",
        stage="verification",
        messages=question.asked_in(shown),
        sampling=spec.sampling,
        sample_index=sample_index,
        prompt_sha256=spec.prompt_sha256,
    )


def read_reasoned(output: ModelOutput, choices: tuple[str, ...]) -> VerdictLabel:
    """The last verdict of an answer. Raises ParseError where there is none among the choices."""
    found = [match["choice"] for match in _MARKED.finditer(output.text)]
    found = found or [match["choice"] for match in _ALONE.finditer(output.text)]
    if not found:
        raise ParseError('the answer ends with no line "Verdict: ..."')
    label = _LABEL_OF[found[-1].casefold()]
    if label not in {LABELS[choice] for choice in choices}:
        raise ParseError(f"the verdict is {found[-1]}, which is none of {', '.join(choices)}")
    return label


def build_joint_request(completion: Completion, spec: VerificationSpec, rules: Sequence[Rule]) -> GenerateRequest:
    """All rules about one completion in one call, its answer constrained where the back end can."""
    conversation = render_conversation(completion, spec.max_conversation_chars, spec.completion_view).text
    listed = "\n".join(f"{number}. {rule.text}" for number, rule in enumerate(rules, start=1))
    values = {"conversation": conversation, "rules": listed}
    return GenerateRequest(
        request_id=completion.completion_id,
        stage="verification",
        messages=spec.prompt.render(values, {"choices": describe_choices(spec.choices)}),
        sampling=spec.sampling,
        json_schema=_joint_schema(len(rules), spec.choices),
        prompt_sha256=spec.prompt_sha256,
    )


def read_joint(output: ModelOutput, n_rules: int, choices: tuple[str, ...]) -> dict[int, VerdictLabel]:
    """Index of the rule -> verdict, for those that the answer tells. Raises ParseError when it tells none."""
    allowed = {choice.casefold(): LABELS[choice] for choice in choices}
    for value in json_values(output.text):
        given = value.get("verdicts", value) if isinstance(value, dict) else value
        if isinstance(given, list):
            given = dict(enumerate(given, start=1))
        if not isinstance(given, dict):
            continue
        told = {
            int(key) - 1: allowed[str(answer).strip().casefold()]
            for key, answer in given.items()
            if str(key).isdecimal() and str(answer).strip().casefold() in allowed and 1 <= int(key) <= n_rules
        }
        if told:
            return told
    raise ParseError('the answer holds no JSON object {"verdicts": {"1": ...}} with a verdict in it')


def _joint_schema(n_rules: int, choices: tuple[str, ...]) -> dict[str, Any]:
    numbers = [str(number) for number in range(1, n_rules + 1)]
    verdicts = {
        "type": "object",
        "properties": {number: {"type": "string", "enum": list(choices)} for number in numbers},
        "required": numbers,
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"verdicts": verdicts},
        "required": ["verdicts"],
        "additionalProperties": False,
    }
