"""A back end whose answers are written down: for tests, demonstrations and dry runs, with a log of every request.

Answers come from a function, a list (one per request, in order) or a JSON-lines file of
{"contains": text, "text": answer, "reasoning": chain, "p_yes": number} where the first line whose `contains` occurs
in the prompt answers. Faults and latency can be injected.
"""

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autorule.backends.base import (
    Answer,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    GenerateRequest,
    Question,
    choice_result,
    output_from_text,
)
from autorule.errors import ConfigError, in_words
from autorule.records import Failure, Messages, ModelOutput, Usage
from autorule.storage import parse_json, read_text

Script = Callable[[GenerateRequest], "ModelOutput | Failure | str"]
ChoiceScript = Callable[[ChoiceRequest, Question], "float | ChoiceProbabilities | Failure"]


class ScriptedBackend:
    """Answers by `script` and `choice_script` (P(yes) as a number, or whole probabilities, or a Failure)."""

    batch_size = None

    def __init__(
        self,
        script: Script | Sequence[ModelOutput | Failure | str] | None = None,
        choice_script: ChoiceScript | None = None,
        name: str = "script",
        latency_s: float = 0.0,
    ) -> None:
        """`latency_s`: of each generation; of choices, of all that are asked for in one call."""
        self.identity = f"scripted:{name}"
        self.latency_s = latency_s
        self.log: list[GenerateRequest] = []
        self.choice_log: list[tuple[ChoiceRequest, Question]] = []
        self._lock = threading.Lock()
        self._script = script if callable(script) else _from_list(script or ())
        self._choice_script = choice_script

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        for request in requests:
            with self._lock:
                self.log.append(request)
                result = self._script(request)
            if self.latency_s:
                time.sleep(self.latency_s)
            if isinstance(result, str):
                result = output_from_text(result, "stop", Usage(), self.identity)
            yield Answer(request, result)

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        if self.latency_s:
            time.sleep(self.latency_s)
        for request in requests:
            for question in request.questions:
                with self._lock:
                    self.choice_log.append((request, question))
                    result = self._choose(request, question)
                yield ChoiceAnswer(request, question, result)

    def check(self) -> str:
        return f"{self.identity}: scripted answers, no model"

    def close(self) -> None:
        pass

    def _choose(self, request: ChoiceRequest, question: Question) -> ChoiceProbabilities | Failure:
        if self._choice_script is None:
            return Failure(
                stage=request.stage,
                kind="provider",
                message="this script answers no choices",
                item_id=request.request_id,
            )
        result = self._choice_script(request, question)
        if isinstance(result, (ChoiceProbabilities, Failure)):
            return result
        first, second = ("Yes", "No") if "Yes" in request.choices else request.choices[:2]
        rest = dict.fromkeys(request.choices, 0.0)
        try:
            return choice_result(request, {**rest, first: result, second: 1.0 - result})
        except (TypeError, OverflowError):
            message = f"the script answers {result!r:.40}, which is no probability"
            return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)


def open_script(spec: str) -> ScriptedBackend:
    """The scripted back end of a config: `package.module:factory` (a function without parameters that returns a
    ScriptedBackend) or the path of a JSON-lines file. Raises ConfigError."""
    if spec.endswith(".jsonl"):
        return _from_file(Path(spec))
    module, _, name = spec.partition(":")
    if not name:
        raise ConfigError(f"scripted model {spec!r}: give package.module:factory or a .jsonl file")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"scripted model {spec!r}: {in_words(error)}") from error
    backend = factory()
    if not isinstance(backend, ScriptedBackend):
        raise ConfigError(f"scripted model {spec!r} returned {type(backend).__name__}, not a ScriptedBackend")
    return backend


def _from_list(answers: Sequence[ModelOutput | Failure | str]) -> Script:
    remaining = iter(answers)

    def answer(request: GenerateRequest) -> ModelOutput | Failure | str:
        exhausted = Failure(
            stage=request.stage, kind="provider", message="the script has no more answers", item_id=request.request_id
        )
        return next(remaining, exhausted)

    return answer


def _entry(path: Path, number: int, line: str) -> dict[str, Any]:
    """A line of a script. Raises ConfigError for one that can't answer."""
    where = f"scripted model {str(path)!r}, line {number}"
    try:
        entry = parse_json(line)
    except ValueError as error:
        raise ConfigError(f"{where}: {in_words(error)}") from error
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: it must be a JSON object")
    for name in ("contains", "text", "reasoning"):
        if not isinstance(entry.get(name, ""), str):
            raise ConfigError(f"{where}: {name} is {entry[name]!r:.40}, expected text")
    p_yes = entry.get("p_yes", 0)
    if isinstance(p_yes, bool) or not isinstance(p_yes, (int, float)) or not 0 <= p_yes <= 1:
        raise ConfigError(f"{where}: p_yes is {p_yes!r:.40}, expected a number from 0 to 1")
    return entry


def _from_file(path: Path) -> ScriptedBackend:
    try:
        texts = [(number, line) for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"scripted model {str(path)!r}: {in_words(error)}") from error
    lines = [_entry(path, number, line) for number, line in texts]

    def entry_for(messages: Messages, key: str) -> dict[str, Any] | None:
        shown = "\n".join(message.content for message in messages)
        return next((line for line in lines if key in line and line.get("contains", "") in shown), None)

    def answer(request: GenerateRequest) -> ModelOutput | Failure:
        if (entry := entry_for(request.messages, "text")) is None:
            return Failure(
                stage=request.stage,
                kind="provider",
                message=f"no line of {path} fits the prompt",
                item_id=request.request_id,
            )
        return output_from_text(entry["text"], "stop", Usage(), "scripted", entry.get("reasoning"))

    def choose(request: ChoiceRequest, question: Question) -> float | Failure:
        if (entry := entry_for(request.messages_with(question), "p_yes")) is None:
            return Failure(
                stage=request.stage,
                kind="provider",
                message=f"no line of {path} fits the question",
                item_id=request.request_id,
            )
        return entry["p_yes"]  # type: ignore[no-any-return]

    return ScriptedBackend(answer, choose, name=path.name)
