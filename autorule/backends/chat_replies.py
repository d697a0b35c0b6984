"""Replies of the chat-completions interface: text, reasoning, log-probabilities.

Servers differ and misbehave: whatever a reply lacks or garbles is a FailedExchangeError of that one request.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from autorule.backends.base import ChoiceProbabilities, output_from_text, probabilities_from_top_logprobs
from autorule.backends.retrying import FailedExchangeError
from autorule.records import FinishReason, ModelOutput, Usage

FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _naming_what_is_malformed(read: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    @wraps(read)
    def reading(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return read(*args, **kwargs)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            message = f"the reply is malformed ({type(error).__name__}: {error}): {args[0]!r:.300}"
            raise FailedExchangeError("provider", message, transient=False) from error

    return reading


@_naming_what_is_malformed
def read_output(reply: dict[str, Any], model: str) -> ModelOutput:
    choice = _first_choice(reply)
    message = choice.get("message") or {}
    if message.get("refusal"):
        return ModelOutput(
            text=str(message["refusal"]), finish_reason="content_filter", usage=_usage(reply), model=model
        )
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    finish_reason = FINISH_REASONS.get(str(choice.get("finish_reason")), "unknown")
    return output_from_text(
        str(message.get("content") or ""),
        finish_reason,
        _usage(reply),
        model,
        reasoning if isinstance(reasoning, str) else None,
    )


@_naming_what_is_malformed
def read_choices(reply: dict[str, Any], choices: Sequence[str]) -> ChoiceProbabilities:
    content = (_first_choice(reply).get("logprobs") or {}).get("content")
    if not content or not content[0].get("top_logprobs"):
        raise FailedExchangeError(
            "provider",
            "the reply holds no logprobs; the verifier needs a server that returns top_logprobs",
            transient=False,
            usage=_usage(reply),
        )
    top = [(str(entry["token"]), float(entry["logprob"])) for entry in content[0]["top_logprobs"]]
    probabilities = probabilities_from_top_logprobs(top, choices, _usage(reply))
    if probabilities is None:
        likeliest = ", ".join(repr(token) for token, _ in top[:5])
        message = f"none of {', '.join(choices)} is among the {len(top)} likeliest first tokens: {likeliest} ..."
        raise FailedExchangeError("parse", message, transient=False, usage=_usage(reply))
    return probabilities


def _first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise FailedExchangeError("provider", f"the reply holds no choices: {reply!r:.300}", transient=False)
    return choices[0]


def _usage(reply: dict[str, Any]) -> Usage:
    usage = reply.get("usage") or {}
    return Usage(prompt_tokens=usage.get("prompt_tokens") or 0, completion_tokens=usage.get("completion_tokens") or 0)
