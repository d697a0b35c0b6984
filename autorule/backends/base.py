"""The contract between stages and models: two batch methods, results as they complete, no exception for one request.

`generate` answers with text, `score_choices` with the probabilities of a few fixed answers to many questions about
one conversation. A request that can't be answered yields a Failure; an exception means that no request can be
(BackendError). Retries of transient faults are the back end's own; re-asking an answer that can't be parsed is the
stage's (asking.py).
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import Strict, ValidationError, model_validator

from autorule.backends.keys import quoted
from autorule.config.stages import Sampling
from autorule.errors import in_words
from autorule.prompting import QUESTION_SEPARATOR, load_prompt, trim_middle
from autorule.records import Failure, FinishReason, Messages, ModelOutput, Record, Stage, Usage

REPEAT_TEMPERATURE = 0.4
SHOWN_ANSWER_CHARS = 2000
MIN_CONVERSATION_CHARS = 200
MOST_TOKENS = 2**53
SLACK = 1e-3
"""By which rounding may take a probability, or a sum of them, above 1."""


def _no_fault(_: ModelOutput) -> Failure | None:
    return None


@dataclass(frozen=True)
class GenerateRequest:
    request_id: str
    stage: Stage
    messages: Messages
    """A last message of the assistant is the beginning of the answer, which the model continues."""
    sampling: Sampling
    json_schema: dict[str, Any] | None = None
    """Asked for where the server can constrain its answer; the stage parses tolerantly all the same."""
    sample_index: int = 0
    attempt: int = 0
    """How often it was sent before, for whatever reason. For the record: it changes no answer."""
    repeats: int = 0
    """How many answers so far could not be parsed: the next one is drawn anew."""
    prompt_sha256: str = ""
    follow_up: Messages = ()
    """The last answer and what was wrong with it, shown after the messages. Like attempt and repeats it belongs to the
    history of the request, not to what the request is."""
    fault: Callable[[ModelOutput], Failure | None] = field(default=_no_fault, compare=False, repr=False)
    """Why the stage can't use an answer, None when it can. A stored answer that it can't use is not served again."""

    @property
    def conversation(self) -> Messages:
        """All that the model is shown."""
        return self.messages + self.follow_up

    def again(self, output: ModelOutput, fault: Failure) -> "GenerateRequest":
        """The request as it is asked once more after `output`, with the fault shown where that can help: not after a
        refusal, and not where the answer was begun for the model."""
        shown: Messages = ()
        if fault.kind != "refused" and output.text.strip() and self.messages[-1].role != "assistant":
            answer = trim_middle(output.text.strip(), SHOWN_ANSWER_CHARS).text
            shown = load_prompt("ask_again").render({"answer": answer, "problem": fault.message.rstrip(".")})
        return dataclasses.replace(self, attempt=self.attempt + 1, repeats=self.repeats + 1, follow_up=shown)

    @property
    def temperature(self) -> float:
        """That of the sampling; higher after an answer that can't be parsed, which greedy decoding would repeat."""
        return max(self.sampling.temperature, REPEAT_TEMPERATURE) if self.repeats else self.sampling.temperature


class Question(NamedTuple):
    question_id: str
    text: str

    def asked_in(self, messages: Messages) -> Messages:
        """The messages with the question at the end of the last user message, before a begun answer."""
        index = len(messages) - (2 if messages[-1].role == "assistant" else 1)
        asked = messages[index]
        content = asked.content + QUESTION_SEPARATOR + self.text
        return (*messages[:index], asked.model_copy(update={"content": content}), *messages[index + 1 :])


@dataclass(frozen=True)
class ChoiceRequest:
    """K questions about one conversation, which stands first and once, so that every engine can share it."""

    request_id: str
    stage: Stage
    messages: Messages
    """Ends with the user message to which each question is appended, and perhaps a begun answer after it."""
    questions: tuple[Question, ...]
    choices: tuple[str, ...] = ("Yes", "No")
    prompt_sha256: str = ""
    align: int = 1
    """The shared part is filled up to a multiple of so many tokens, with blank lines at the beginning of the message,
    where it is sent as tokens: paged key-value caches share whole blocks only."""
    shorten: Callable[[int], Messages] | None = field(default=None, compare=False, repr=False)
    """The messages with at most about so many characters of conversation, for a model with too small a context. The
    instruction and the questions stay whole."""

    def shortened(self, max_chars: int) -> "ChoiceRequest | None":
        """The request with less of the conversation; None when there is no more to take away."""
        if self.shorten is None or max_chars < MIN_CONVERSATION_CHARS:
            return None
        return dataclasses.replace(self, messages=self.shorten(max_chars))

    @property
    def n_chars(self) -> int:
        return sum(len(message.content) for message in self.messages)

    def messages_with(self, question: Question) -> Messages:
        """The whole conversation for one question."""
        return question.asked_in(self.messages)


class ChoiceProbabilities(Record):
    """Probability of each choice as the first token of the answer, summed over its spellings of one token.

    Numbers that are no probabilities raise ValueError, wherever they come from: `choice_result` makes a Failure of it.
    """

    probabilities: dict[str, Annotated[float, Strict()]]
    bounded: tuple[str, ...] = ()
    """Choices that the engine did not return: their value is the greatest that they can have."""
    complete: bool = True
    """False where the engine gives probabilities among the choices only, so that there is no mass."""
    trimmed: bool = False
    """The engine's context was too small: the middle of the conversation was left out."""
    usage: Usage = Usage()

    @property
    def mass(self) -> float:
        """Of all choices together; of meaning only where it is complete."""
        return sum(self.probabilities.values())

    @model_validator(mode="after")
    def _are_probabilities(self) -> Self:
        wrong = {choice: p for choice, p in self.probabilities.items() if not 0 <= p <= 1 + SLACK}  # NaN is wrong
        if wrong or not self.probabilities:
            raise ValueError(f"no probabilities: {wrong or 'none'}")
        if not set(self.bounded) < self.probabilities.keys():
            raise ValueError(f"no choice is known: {', '.join(self.bounded)} are bounds")
        total = sum(p for choice, p in self.probabilities.items() if choice not in self.bounded)
        if total > 1 + SLACK:
            raise ValueError(f"probabilities that are more than 1 together: {total:.4g}")
        return self


def choice_result(
    request: "ChoiceRequest", probabilities: dict[str, Any], **fields: Any
) -> "ChoiceProbabilities | Failure":
    """What a back end tells of the choices; a Failure where its numbers are no probabilities, or of other choices."""
    try:
        result = ChoiceProbabilities(probabilities=probabilities, **fields)
        if probabilities.keys() == set(request.choices):
            return result
        message = f"the probabilities are for {', '.join(probabilities)}, not for {', '.join(request.choices)}"
    except ValidationError as error:
        message = f"the numbers for the choices are {in_words(error).removeprefix('Value error, ')}"
    return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)


def token_count(value: Any) -> int:
    """A number of tokens that a server tells; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else 0


def probability_of(logprob: Any) -> float:
    """The probability of a log-probability that a server tells. Raises ValueError for what is none: no number, not
    finite, or above 0 by more than rounding."""
    if isinstance(logprob, bool) or not isinstance(logprob, (int, float)):
        raise ValueError(f"{quoted(repr(logprob), 40)} is no log-probability")
    try:
        value = float(logprob)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value) or value > SLACK:
        raise ValueError(f"{value:.6g} is no log-probability")
    return math.exp(min(value, 0.0))


class Answer(NamedTuple):
    request: GenerateRequest
    result: ModelOutput | Failure


class ChoiceAnswer(NamedTuple):
    request: ChoiceRequest
    question: Question
    result: ChoiceProbabilities | Failure


class Backend(Protocol):
    identity: str
    """Everything about the model that fixes an answer (kind, name, revision, precision); no URL and no key."""

    @property
    def batch_size(self) -> int | None:
        """How many requests are computed together, where that could change an answer; None where each stands alone."""

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        """`requests` is read as there is room for them: what it does not yield any more is not sent."""
        ...

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]: ...

    def check(self) -> str:
        """One line that says what is there. Raises BackendError when no request could succeed."""

    def close(self) -> None: ...


def split_thinking(text: str) -> tuple[str | None, str]:
    """(thinking, answer) of a text with a <think> block; (None, text) when it has none.

    The opening tag may be missing (some chat templates write it for the model). Without a closing tag the thinking
    was cut off, and there is no answer.
    """
    before, closed, answer = text.partition("</think>")
    if closed:
        return before.lstrip().removeprefix("<think>").strip(), answer.strip()
    if text.lstrip().startswith("<think>"):
        return text.lstrip().removeprefix("<think>").strip(), ""
    return None, text


def output_from_text(
    text: str, finish_reason: FinishReason, usage: Usage, model: str, reasoning: str | None = None
) -> ModelOutput:
    """A ModelOutput, with the thinking taken from the server's field or else from <think> tags."""
    # Half a surrogate pair (an emoji cut by the token limit) can't be written to any file.
    text = text.encode("utf-8", "replace").decode()
    reasoning = reasoning.encode("utf-8", "replace").decode() if reasoning else None
    if reasoning and reasoning.strip():
        return ModelOutput(
            text=text,
            reasoning=reasoning.strip(),
            reasoning_source="field",
            finish_reason=finish_reason,
            usage=usage,
            model=model,
        )
    thinking, answer = split_thinking(text)
    return ModelOutput(
        text=answer,
        reasoning=thinking or None,
        reasoning_source="think_tags" if thinking else None,
        finish_reason=finish_reason,
        usage=usage,
        model=model,
    )


def choice_of(token: str, choices: Sequence[str]) -> str | None:
    """The choice that a token spells, ignoring case and surrounding space; None when it spells none.

    Hardly any vocabulary has N/A as one token, so a choice that is no plain word is known by its beginning.
    """
    spelled = token.strip().casefold()
    if word := next((choice for choice in choices if choice.casefold() == spelled), None):
        return word
    begun = (choice for choice in choices if not choice.isalpha() and choice.casefold().startswith(spelled))
    return next(begun, None) if spelled else None


def probabilities_from_top_logprobs(
    top: Sequence[tuple[str, float]], choices: Sequence[str], usage: Usage
) -> ChoiceProbabilities | None:
    """The probabilities of the choices from (token, logprob) of the likeliest first tokens.

    A choice that is not among them is bounded by the least of them and by what they leave of 1. None when none of the
    choices is there: then nothing is known about their order. Raises ValueError for numbers that are no
    log-probabilities, that are more than 1 together, and for a spelling of a choice that is told twice.
    """
    sums = dict.fromkeys(choices, 0.0)
    found = set()
    spellings = set()
    returned = [probability_of(logprob) for _, logprob in top]
    if sum(returned) > 1 + SLACK:
        raise ValueError(f"the likeliest tokens have a probability of {sum(returned):.4g} together")
    for (token, _), probability in zip(top, returned, strict=True):
        if (choice := choice_of(token, choices)) is not None:
            if token in spellings:
                raise ValueError(f"{token!r} is told twice")
            spellings.add(token)
            sums[choice] += probability
            found.add(choice)
    if not found:
        return None
    floor = min(*returned, max(0.0, 1.0 - sum(returned)))
    bounded = tuple(choice for choice in choices if choice not in found)
    return ChoiceProbabilities(probabilities={**sums, **dict.fromkeys(bounded, floor)}, bounded=bounded, usage=usage)
