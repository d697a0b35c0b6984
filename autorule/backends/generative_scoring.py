"""vLLM's /generative_scoring: one request for all questions about a conversation, in token ids.

No text is tokenised by the server, so none can smuggle a marker of the chat template in. The server tells the
probability of the first label among the labels, so one spelling of each choice counts and there is no mass; and it
takes two labels, so it can't answer N/A.
"""

import re
from typing import Any

from autorule.backends.base import ChoiceAnswer, ChoiceProbabilities, ChoiceRequest
from autorule.backends.chat_tokens import ChatTokens
from autorule.backends.retrying import FailedExchangeError
from autorule.records import Failure, Usage

PATH = "/generative_scoring"
METRICS_PATH = "/metrics"
CHOICES = ("Yes", "No")


class GenerativeScoring:
    def __init__(self, tokens: ChatTokens, model: str, context: int) -> None:
        """`context`: tokens that the server takes in one prompt."""
        self._tokens = tokens
        self._model = model
        self._context = context
        self._labels = [tokens.plain_spelling(choice) for choice in CHOICES]

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
        entries = reply.get("data")
        scores = {
            entry["index"]: entry["score"]
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("index"), int) and _is_probability(entry.get("score"))
        }
        usage = reply.get("usage")
        n_tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        answers: list[ChoiceAnswer] = []
        for index, question in enumerate(request.questions):
            result: ChoiceProbabilities | Failure
            if index in scores:
                # The server counts the conversation for each question; all of it is put on the first one.
                tokens = Usage(prompt_tokens=n_tokens if isinstance(n_tokens, int) and not answers else 0)
                p = float(scores[index])
                result = ChoiceProbabilities(
                    probabilities={"Yes": p, "No": 1.0 - p}, complete=False, trimmed=trimmed, usage=tokens
                )
            else:
                message = f"the reply holds no probability for question {index}: {reply!r:.300}"
                result = Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)
            answers.append(ChoiceAnswer(request, question, result))
        return answers


def probe() -> dict[str, Any]:
    """A small request by which one finds out whether a server has the interface."""
    return {"query": [1], "items": [[2]], "label_token_ids": [1, 2], "apply_softmax": True}


def lost_by_blocks(block_size: int, prefix_caching: bool, align: int) -> str | None:
    """What the server's key-value cache costs, as a warning; None when it is set up well for shared prefixes."""
    if not prefix_caching:
        return (
            "prefix caching is off, so every rule computes the whole conversation again: start it with prefix caching"
        )
    if align % block_size == 0:
        return None
    return (
        f"its key-value blocks hold {block_size} tokens and a conversation is filled up to a multiple of {align}, so "
        f"every rule computes about {block_size // 2} tokens of the conversation again: start it with --block-size 16 "
        "(32 on a CPU)"
    )


def cache_settings(metrics: str) -> tuple[int, bool] | None:
    """(block size, whether prefixes are cached) from the metrics that vLLM publishes; None where they don't tell."""
    found = re.search(r"^vllm:cache_config_info\{(?P<labels>.*)\}", metrics, re.MULTILINE)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"])) if found else {}
    block_size = labels.get("block_size", "")
    return (int(block_size), labels.get("enable_prefix_caching") == "True") if block_size.isdigit() else None


def _is_probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
