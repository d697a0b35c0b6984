"""Scripted models for tests, named in a config as `tests.scripts:NAME`.

Answers are functions of the request alone, so that a resumed run must end as an unbroken one does.
"""

import hashlib
import json
import os
import re
import threading

from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import VerificationConfig
from autorule.prompting import load_prompt
from autorule.records import Failure, ModelOutput, Usage

THEMES = (
    "state the answer in the first sentence",
    "keep to the format that was asked for",
    "give a reason for every claim it makes",
    "leave out everything that was not asked",
    "use words that the reader will understand",
    "admit what it does not know for certain",
    "show each step of a calculation",
    "answer in the language of the request",
)


def digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def answer_text(stage: str, shown: str) -> tuple[str, str | None]:
    """(answer, reasoning) of a helpful model for what it is shown."""
    number = digest(shown)
    theme = THEMES[number % len(THEMES)]
    if stage == "interpretation":
        return f"It wins, case {number}.", f"The preferred text manages to {theme}; that decided it. Case {number}."
    if stage == "chain_check":
        return json.dumps({"winner": number % 3}), None
    if stage == "mining":
        found = [known for known in THEMES if known in shown] or [theme]
        return json.dumps({"rules": [f"The response should {known}." for known in found]}), None
    numbers = re.findall(r"^(\d+)\. (.*)$", shown, re.MULTILINE)
    if shown.startswith("Here are the rules of a list"):  # a review
        return json.dumps({"matches": []}), None
    if shown.startswith("Each of these rules"):
        return json.dumps({"rules": [{"from": int(index), "parts": [text]} for index, text in numbers]}), None
    if shown.startswith("Here are pairs of rules"):
        return json.dumps({"contradictions": []}), None
    by_text: dict[str, list[int]] = {}
    for index, text in numbers:
        by_text.setdefault(text, []).append(int(index))
    return json.dumps({"rules": [{"rule": text, "from": members} for text, members in by_text.items()]}), None


def _generate(request: GenerateRequest) -> ModelOutput | Failure | str:
    shown = request.messages[-1].content
    text, reasoning = answer_text(request.stage, shown)
    source = "field" if reasoning else None
    usage = Usage(prompt_tokens=len(shown) // 4, completion_tokens=len(text) // 4)
    return ModelOutput(
        text=text, reasoning=reasoning, reasoning_source=source, finish_reason="stop", usage=usage, model="helpful"
    )


def _choose(request: ChoiceRequest, question: Question) -> float:
    return digest(request.messages[-1].content + question.text) % 1000 / 1000


def helpful() -> ScriptedBackend:
    return ScriptedBackend(_generate, _choose, name="helpful")


def checks_nothing() -> ScriptedBackend:
    """Like `helpful`, but no answer to a blind check names a winner."""
    return ScriptedBackend(lambda r: "?" if r.stage == "chain_check" else _generate(r), _choose, name="checks_nothing")


def merges_nothing() -> ScriptedBackend:
    """Like `helpful`, but no merge can be read."""
    return ScriptedBackend(lambda r: "?" if r.stage == "synthesis" else _generate(r), _choose, name="merges_nothing")


def answers_nothing() -> ScriptedBackend:
    return ScriptedBackend(lambda r: "?", _choose, name="answers_nothing")


def forgets_the_first() -> ScriptedBackend:
    """Like `helpful`, but every answer of synthesis leaves out the first rule of its list."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        if request.stage != "synthesis":
            return _generate(request)
        answer = json.loads(answer_text("synthesis", request.messages[-1].content)[0])
        return json.dumps(
            {name: [entry for entry in entries if entry.get("from") != [1]] for name, entries in answer.items()}
        )

    return ScriptedBackend(generate, _choose, name="forgets_the_first")


def half_surrogates() -> ScriptedBackend:
    """Mines and merges with half of a surrogate pair in its JSON."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        if request.stage == "mining":
            return '{"rules": ["The response should use one emoji \\ud83d at the end."]}'
        return _generate(request)

    return ScriptedBackend(generate, _choose, name="half_surrogates")


def flaky() -> ScriptedBackend:
    """Like `helpful`, but one request in ten gets no answer and one in ten nonsense; every verdict in twenty fails."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        fate = digest(request.messages[-1].content) % 10
        if fate == 0:
            return Failure(stage=request.stage, kind="provider", message="HTTP 500", item_id=request.request_id)
        return "?" if fate == 1 else _generate(request)

    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        if digest(question.text + request.messages[-1].content) % 20 == 0:
            return Failure(stage="verification", kind="timeout", message="too late", item_id=request.request_id)
        return _choose(request, question)

    return ScriptedBackend(generate, choose, name="flaky")


def breaks_or_fails() -> ScriptedBackend:
    """Like `helpful`, but an exception when it is shown the word BREAK, and no answer to what holds FAIL."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        shown = request.messages[-1].content
        if "BREAK" in shown:
            raise RuntimeError("told to break by <b>row</b> \x1b[31mtwo")
        if "FAIL" in shown:
            return Failure(stage=request.stage, kind="provider", message="HTTP 418", item_id=request.request_id)
        return _generate(request)

    return ScriptedBackend(generate, _choose, name="breaks_or_fails")


def one_rule_fails() -> ScriptedBackend:
    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        if question == request.questions[0]:
            return Failure(stage="verification", kind="timeout", message="too late", item_id=request.request_id)
        return 1.0

    return ScriptedBackend(_generate, choose, name="one-rule-fails")


def needs_a_second_draw() -> ScriptedBackend:
    """Nonsense from greedy decoding, an answer from any other."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        return _generate(request) if request.temperature > 0 else "?"

    return ScriptedBackend(generate, _choose, name="needs-a-second-draw")


def refusing() -> ScriptedBackend:
    return ScriptedBackend(lambda _: "I'm sorry, but I can't help with comparing these texts.", name="refusing")


def dead() -> ScriptedBackend:
    def generate(request: GenerateRequest) -> Failure:
        return Failure(stage=request.stage, kind="provider", message="connection refused", item_id=request.request_id)

    return ScriptedBackend(generate, name="dead")


def no_usage() -> ScriptedBackend:
    return ScriptedBackend(lambda request: answer_text(request.stage, request.messages[-1].content)[0], name="no-usage")


def corrects_itself() -> ScriptedBackend:
    """Mines in a bad form, and in a good one when it is shown what was wrong."""

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        if request.stage != "mining":
            return _generate(request)
        answer, asked = request.follow_up or (None, None)
        shown = answer is not None and answer.content == "{rules: none}" and "no list of rules" in asked.content
        return _generate(request) if shown else "{rules: none}"

    return ScriptedBackend(generate, _choose, name="corrects-itself")


def by_words() -> ScriptedBackend:
    """Says yes to a rule whose last word stands in the conversation, and fails on one that holds FAIL. Of two responses
    it likes pears, and rather the first."""

    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        shown = request.messages[-1].content
        if "FAIL" in shown:
            return Failure(stage=request.stage, kind="provider", message="told to fail", item_id=request.request_id)
        if request.choices == ("A", "B"):
            return 0.6 + 0.3 * ("Response A:\n```\npears" in shown) - 0.3 * ("Response B:\n```\npears" in shown)
        [rule] = re.findall(r"mention (\w+)\.", question.text, re.IGNORECASE)
        return float(re.search(rf"\b{rule}\b", shown) is not None)

    return ScriptedBackend(_generate, choose, name="by-words")


def fruit() -> ScriptedBackend:
    """Mines one rule on pears and one on apples, and answers as by_words."""
    plain = by_words()

    def generate(request: GenerateRequest) -> ModelOutput | Failure | str:
        if request.stage == "mining":
            return json.dumps({"rules": ["The response should mention pears.", "The response should mention apples."]})
        return _generate(request)

    return ScriptedBackend(generate, plain._choice_script, name="fruit")


def breaks_about_both() -> ScriptedBackend:
    """by_words, but an exception when it is asked about both responses."""
    plain = by_words()

    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        if request.choices == ("A", "B"):
            raise RuntimeError("told to break")
        return plain._choice_script(request, question)

    return ScriptedBackend(_generate, choose, name="breaks-about-both")


def fails_in_other_words() -> ScriptedBackend:
    """by_words, where it is asked by the prompt that is the default."""
    plain, usual = by_words(), load_prompt(VerificationConfig().prompt_name).sha256

    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        if request.prompt_sha256 == usual:
            return plain._choice_script(request, question)
        message = "not in these words"
        return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)

    return ScriptedBackend(_generate, choose, name="fails-in-other-words")


def by_words_slowly() -> ScriptedBackend:
    """by_words after 20 ms."""
    backend = by_words()
    backend.latency_s = 0.02
    return backend


def never_answers() -> ScriptedBackend:
    """A verifier that hangs."""

    def choose(*_: object) -> float:
        threading.Event().wait()
        raise AssertionError

    return ScriptedBackend(_generate, choose, name="never-answers")


def minds_company() -> ScriptedBackend:
    """Yes to a rule that is asked about alone, no to several at once."""
    return ScriptedBackend(_generate, lambda request, _: float(len(request.questions) == 1), name="minds-company")


def breaks_on_demand() -> ScriptedBackend:
    """Like `helpful`, but an exception for what holds the text of $BREAK_ON, while that is set."""

    def choose(request: ChoiceRequest, question: Question) -> float:
        if (text := os.environ.get("BREAK_ON")) and text in request.messages[-1].content:
            raise RuntimeError("told to break")
        return _choose(request, question)

    return ScriptedBackend(_generate, choose, name="breaks_on_demand")


def disk_fails_once() -> ScriptedBackend:
    """Like `helpful`, but the first question about question 7 meets a disk that fails."""
    failed = []

    def choose(request: ChoiceRequest, question: Question) -> float:
        if "question 7" in request.messages[-1].content and not failed:
            failed.append(request)
            raise OSError("told to fail")
        return _choose(request, question)

    return ScriptedBackend(_generate, choose, name="disk_fails_once")
