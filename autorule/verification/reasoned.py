"""Verdicts that a model writes: after reasons, one rule at a time, or on all rules in one answer.

They have no P(yes). A reasoned verdict is the last one that stands alone after "Verdict:" or on a line of its own; a
joint answer is JSON, of which the last object counts. Which one is the last, nobody knows of an answer that was cut
off, even where it ends with one ("No" may have been going to be "No, wait"); unless the line of the verdict was ended,
or the JSON, and only blanks followed until the budget was used up. What can't be found is unscored.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from autorule.backends.answer_text import check_is_whole, json_values, was_cut_off
from autorule.backends.base import GenerateRequest, Question
from autorule.errors import ParseError
from autorule.records import Completion, ModelOutput, Rule, VerdictLabel
from autorule.rules.rule_sets import VerificationSpec
from autorule.verification.conversation import render_conversation
from autorule.verification.direct import LABELS, describe_choices

_CHOICE = r"(?P<choice>yes|no|n/a)"
_MARKED = re.compile(rf"\bverdict\b[\s*_:\"'`\-]{{1,12}}{_CHOICE}(?![\w/])", re.IGNORECASE)
_ALONE = re.compile(rf"^[ \t\r*_\"'`]*+{_CHOICE}[ \t\r*_\"'`.]*+$", re.IGNORECASE | re.MULTILINE)
_ENDED = re.compile(r"[ \t\r*_\"'`.]*+\n\s*+")
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
    """The last verdict of an answer. Raises ParseError where there is none among the choices, and for one that was cut
    off."""
    found = list(_MARKED.finditer(output.text)) or list(_ALONE.finditer(output.text))
    if was_cut_off(output) and not (found and _ENDED.fullmatch(output.text, found[-1].end("choice"))):
        raise ParseError("the answer is cut off: which verdict it would have ended with is not known")
    if not found:
        raise ParseError('the answer ends with no line "Verdict: ..."')
    choice = found[-1]["choice"]
    label = _LABEL_OF[choice.casefold()]
    if label not in {LABELS[allowed] for allowed in choices}:
        raise ParseError(f"the verdict is {choice}, which is none of {', '.join(choices)}")
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
    """Index of the rule -> verdict, for those that the answer tells: an object with `verdicts`, else one of numbers,
    else a list as long as there are rules; of several, the last. Raises ParseError when it tells none, tells two
    verdicts on one rule, or was cut off."""
    check_is_whole(output, output.text)
    if was_cut_off(output) and not output.text.rstrip(" \t\r\n`").endswith(("}", "]")):
        raise ParseError("the answer is cut off: which verdicts it would have ended with is not known")
    allowed = {choice.casefold(): LABELS[choice] for choice in choices}
    found: dict[str, Any] = {}
    for value in json_values(output.text, read_object=tuple):
        kind = "list" if isinstance(value, list) else "numbers"
        answers = list(_numbered(value, n_rules))
        if isinstance(value, tuple) and (named := [inner for name, inner in value if name == "verdicts"]):
            kind, answers = "verdicts", [one for inner in named for one in _numbered(inner, n_rules)]
        if answers and (kind == "verdicts" or any(answer in allowed for _, answer in answers)):
            found[kind] = answers
    told: dict[int, str] = {}
    for number, answer in next((found[kind] for kind in ("verdicts", "numbers", "list") if kind in found), ()):
        if told.setdefault(number, answer) != answer:
            raise ParseError(f"the answer tells two verdicts on rule {number}, {told[number]:.40} and {answer:.40}")
    verdicts = {number - 1: allowed[answer] for number, answer in told.items() if answer in allowed}
    if not verdicts:
        raise ParseError('the answer holds no JSON object {"verdicts": {"1": ...}} with a verdict in it')
    return verdicts


def _numbered(value: Any, n_rules: int) -> Iterable[tuple[int, str]]:
    """The numbers of rules and what is said to each, out of a list or the keys and values of an object."""
    pairs: list[tuple[int, Any]] = []
    if isinstance(value, list) and len(value) == n_rules:
        pairs = list(enumerate(value, start=1))
    elif isinstance(value, tuple):
        pairs = [(_number(name), answer) for name, answer in value]
    for number, answer in pairs:
        if 1 <= number <= n_rules and isinstance(answer, str):
            yield number, answer.strip().casefold()


def _number(name: str) -> int:
    """The number of a rule; 0 for what is none, or has so many digits that it can be none."""
    digits = name.strip().lstrip("0")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0


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
