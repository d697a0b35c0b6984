"""vLLM's /generative_scoring: one request for all questions about a conversation, in token ids.

No text is tokenised by the server, so none can smuggle a marker of the chat template in. The server tells the
probability of the first label among the labels, so one spelling of each choice counts and there is no mass; and it
takes two labels, so it can't answer N/A.
"""

from collections import Counter
from typing import Any

from autorule.backends.base import ChoiceAnswer, ChoiceProbabilities, ChoiceRequest, choice_result, token_count
from autorule.backends.chat_tokens import ChatTokens
from autorule.backends.keys import quoted
from autorule.backends.retrying import FailedExchangeError
from autorule.records import Failure, Usage

CHOICES = ("Yes", "No")


class GenerativeScoring:
    path = "/generative_scoring"

    def __init__(self, tokens: ChatTokens, model: str, context: int) -> None:
        """`context`: tokens that the server takes in one prompt."""
        self._tokens = tokens
        self._model = model
        self._context = context
        self._labels = [tokens.plain_spelling(choice) for choice in CHOICES]

    @staticmethod
    def takes(choices: tuple[str, ...]) -> bool:
        return choices == CHOICES

    def probe(self) -> dict[str, Any]:
        """A small request by which one finds out whether a server has the interface."""
        fields = {"query": [1], "items": [[2]], "label_token_ids": [1, 2], "apply_softmax": True}
        return {"model": self._model, **fields}

    @staticmethod
    def understands(reply: Any) -> bool:
        return isinstance(reply, dict) and isinstance(reply.get("data"), list)

    def body(self, request: ChoiceRequest) -> tuple[dict[str, Any], bool]:
        """The body of one request for all questions, and whether the conversation lost its middle. Raises
        FailedExchangeError when not even the instruction fits the context."""
        fitted = self._tokens.encode_fitting(request, self._context)
        if isinstance(fitted, Failure):
            raise FailedExchangeError(fitted.kind, fitted.message, transient=False)
        body = {
            "model": self._model,
            "query": fitted.prompt.prefix,
            "items": fitted.prompt.suffixes,
            "label_token_ids": self._labels,
            "apply_softmax": True,
        }
        return body, fitted.trimmed

    @staticmethod
    def read(reply: dict[str, Any], request: ChoiceRequest, trimmed: bool) -> list[ChoiceAnswer]:
        """The answer to each question, in order. A question without a probability in the reply is a Failure."""
        scores = _scores_by_index(reply)
        usage = reply.get("usage")
        n_tokens = token_count(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
        answers: list[ChoiceAnswer] = []
        for index, question in enumerate(request.questions):
            result: ChoiceProbabilities | Failure
            if index in scores:
                # The server counts the conversation for each question; all of it is put on the first one.
                tokens = Usage(prompt_tokens=0 if answers else n_tokens)
                p = scores[index]
                result = choice_result(
                    request, {"Yes": p, "No": 1.0 - p}, complete=False, trimmed=trimmed, usage=tokens
                )
            else:
                message = f"the reply holds no probability for question {index}: {quoted(reply)}"
                result = Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)
            answers.append(ChoiceAnswer(request, question, result))
        return answers


def _scores_by_index(reply: dict[str, Any]) -> dict[int, float]:
    """Question -> probability of Yes. A question that is told of twice is left out: it is a failure."""
    entries = reply.get("data")
    told = [entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict)]
    times = Counter(entry["index"] for entry in told if type(entry.get("index")) is int)
    return {
        entry["index"]: float(entry["score"])
        for entry in told
        if type(entry.get("index")) is int and times[entry["index"]] == 1 and _is_probability(entry.get("score"))
    }


def _is_probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
