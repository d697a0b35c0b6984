"""vLLM's completions of token ids: one request for all questions about a conversation, with the log-probability of
every spelling of every choice.

No text is tokenised by the server, so none can smuggle a marker of the chat template in; P(yes) and mass are those of
an engine in this process, and any choices will do.
"""

import re
from typing import Any

from autorule.backends.base import (
    SLACK,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    choice_result,
    probability_of,
    token_count,
)
from autorule.backends.chat_tokens import ChatTokens
from autorule.backends.keys import quoted
from autorule.backends.retrying import FailedExchangeError
from autorule.records import Failure, Usage

TOKEN_ID = re.compile(r"(?:token_id:)?([0-9]{1,9})")


class TokenScoring:
    path = "completions"

    def __init__(self, tokens: ChatTokens, model: str, context: int) -> None:
        """`context`: tokens that the server takes in one prompt and its answer."""
        self._tokens = tokens
        self._model = model
        self._context = context

    @staticmethod
    def takes(choices: tuple[str, ...]) -> bool:
        return True

    def probe(self) -> dict[str, Any]:
        """A small request that a server answers only as one that honours the asked token ids would."""
        return self._fields([[1]], [1, 2])

    @staticmethod
    def understands(reply: Any) -> bool:
        """Whether the reply to the probe holds what was asked for: servers ignore fields that they do not know."""
        return {1, 2} <= _probabilities_by_index(reply).get(0, {}).keys()

    def body(self, request: ChoiceRequest) -> tuple[dict[str, Any], bool]:
        """The body of one request for all questions, and whether the conversation lost its middle. Raises
        FailedExchangeError when not even the instruction fits the context, BackendError for a choice that no token
        spells."""
        fitted = self._tokens.encode_fitting(request, self._context)
        if isinstance(fitted, Failure):
            raise FailedExchangeError(fitted.kind, fitted.message, transient=False)
        prompts = [fitted.prompt.prefix + suffix for suffix in fitted.prompt.suffixes]
        ids = [i for group in self._tokens.choice_ids(request.choices).values() for i in group]
        return self._fields(prompts, ids), fitted.trimmed

    def read(self, reply: dict[str, Any], request: ChoiceRequest, trimmed: bool) -> list[ChoiceAnswer]:
        """The answer to each question, in order. A question without every log-probability in the reply is a Failure."""
        by_index = _probabilities_by_index(reply)
        choice_ids = self._tokens.choice_ids(request.choices)
        usage = reply.get("usage")
        n_tokens = token_count(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
        answers: list[ChoiceAnswer] = []
        for index, question in enumerate(request.questions):
            found = by_index.get(index, {})
            result: ChoiceProbabilities | Failure
            if all(i in found for group in choice_ids.values() for i in group):
                # The server counts the conversation for each question; all of it is put on the first one.
                tokens = Usage(prompt_tokens=0 if answers else n_tokens)
                sums = {choice: sum(found[i] for i in group) for choice, group in choice_ids.items()}
                result = choice_result(request, sums, trimmed=trimmed, usage=tokens)
            else:
                message = f"the reply lacks log-probabilities of the choices for question {index}: {quoted(reply)}"
                result = Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)
            answers.append(ChoiceAnswer(request, question, result))
        return answers

    def _fields(self, prompts: list[list[int]], ids: list[int]) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": prompts,
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 1,  # without it the server returns none at all; the ids below say which
            "logprob_token_ids": ids,
            "return_tokens_as_token_ids": True,
        }


def _probabilities(top: dict[str, Any]) -> dict[int, float]:
    """Token id -> its probability. Raises ValueError for an id that is none or is told twice, and for numbers that are
    no log-probabilities or more than 1 together."""
    found: dict[int, float] = {}
    for token, logprob in top.items():
        match = TOKEN_ID.fullmatch(token)
        if match is None or int(match[1]) in found:
            raise ValueError(f"{token!r:.40} is no token id, or told twice")
        found[int(match[1])] = probability_of(logprob)
    if sum(found.values()) > 1 + SLACK:
        raise ValueError("the tokens have more than 1 together")
    return found


def _probabilities_by_index(reply: Any) -> dict[int, dict[int, float]]:
    """Question -> token id -> probability of the first token of its answer, as far as the reply tells them.

    A question that is told of twice, or with a number that is no log-probability, is left out: it is a failure.
    """
    entries = reply.get("choices") if isinstance(reply, dict) else None
    found: dict[int, dict[int, float]] = {}
    told: set[int] = set()
    for entry in entries if isinstance(entries, list) else ():
        index = entry.get("index") if isinstance(entry, dict) else None
        if not isinstance(index, int) or isinstance(index, bool):
            continue
        if index in told:
            found.pop(index, None)
            continue
        told.add(index)
        try:
            found[index] = _probabilities(entry["logprobs"]["top_logprobs"][0])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            continue
    return found
