"""Replies of the chat-completions interface: text, reasoning, log-probabilities.

Servers differ and misbehave: whatever a reply lacks or garbles is a FailedExchangeError of that one request.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from autorule.backends.base import ChoiceProbabilities, output_from_text, probabilities_from_top_logprobs, token_count
from autorule.backends.finish_reasons import finish_reason
from autorule.backends.keys import answer_without_keys, quoted
from autorule.backends.retrying import FailedExchangeError
from autorule.errors import with_kind
from autorule.records import ModelOutput, Usage

TEXT_BLOCKS = ("text", "output_text", "refusal")
THINKING_BLOCKS = ("thinking", "reasoning", "reasoning_text")
MOST_BYTES = 256
"""Of a token."""
RAW_SPACE = "Ġ▁"
"""A space, as vocabularies write it: byte-level BPE and SentencePiece."""
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def naming_what_is_malformed(read: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """`read`, which is given a reply: whatever that trips over is a fault of the reply."""

    @wraps(read)
    def reading(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return read(*args, **kwargs)
        except FailedExchangeError:
            raise
        except Exception as error:
            message = f"the reply is malformed ({quoted(with_kind(error), 120)}): {quoted(args[0])}"
            raise FailedExchangeError("provider", message, transient=False) from error

    return reading


@naming_what_is_malformed
def read_output(reply: dict[str, Any], model: str) -> ModelOutput:
    choice = _first_choice(reply)
    message = choice.get("message") or {}
    if refusal := message.get("refusal"):
        declined, _ = _text_and_thinking(refusal)
        return ModelOutput(text=declined, finish_reason="content_filter", usage=_usage(reply), model=model)
    text, thinking = _text_and_thinking(message.get("content"))
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    told = reasoning if isinstance(reasoning, str) else thinking
    return output_from_text(text, finish_reason(choice), _usage(reply), model, told or None)


@naming_what_is_malformed
def read_choices(reply: dict[str, Any], choices: Sequence[str]) -> ChoiceProbabilities:
    top = _likeliest(_first_choice(reply).get("logprobs") or {})
    if not top:
        raise FailedExchangeError(
            "provider",
            "the reply holds no logprobs; the verifier needs a server that returns top_logprobs",
            transient=False,
            usage=_usage(reply),
        )
    probabilities = probabilities_from_top_logprobs(top, choices, _usage(reply))
    if probabilities is None:
        likeliest = ", ".join(repr(token) for token, _ in top[:5])
        message = (
            f"none of {', '.join(choices)} is among the {len(top)} likeliest first tokens: {quoted(likeliest)} ..."
        )
        raise FailedExchangeError("parse", message, transient=False, usage=_usage(reply))
    return probabilities


def _text_and_thinking(content: Any) -> tuple[str, str]:
    """(answer, thinking) of a message's content: text, or a list of blocks. Raises ValueError for a block that is no
    text: what can't be read must not look like an empty answer."""
    if content is None or isinstance(content, str):
        return content or "", ""
    texts, thoughts = [], []
    for block in content if isinstance(content, list) else [content]:
        kind = "text" if isinstance(block, str) else block.get("type") if isinstance(block, dict) else None
        if kind in TEXT_BLOCKS:
            texts.append(block if isinstance(block, str) else _own_text(block, kind))
        elif kind in THINKING_BLOCKS:
            thoughts.append(_own_text(block, kind))
        else:
            raise ValueError(f"the content holds a block of type {quoted(kind, 40)!r}, which is no text")
    return answer_without_keys("".join(texts)), answer_without_keys("\n".join(thoughts))


def _own_text(block: dict[str, Any], kind: str) -> str:
    """The text of a block, under its own name or `text`; of blocks in it where it holds some."""
    inner = block.get("text") if block.get("text") is not None else block.get(kind)
    if isinstance(inner, list):
        return "".join(part if isinstance(part, str) else str(part["text"]) for part in inner)
    if not isinstance(inner, str):
        raise ValueError(f"a block of type {kind!r} holds no text")
    return inner


def _likeliest(logprobs: dict[str, Any]) -> list[tuple[str, Any]]:
    """(token, log-probability) of the first token, in the shape of the chat interface or that of completions."""
    content, top = logprobs.get("content"), logprobs.get("top_logprobs")
    if content and content[0].get("top_logprobs"):
        return [(_spelled(entry), entry["logprob"]) for entry in content[0]["top_logprobs"]]
    if top and isinstance(top[0], dict):
        return [(_as_text(token), logprob) for token, logprob in top[0].items()]
    return []


def _spelled(entry: dict[str, Any]) -> str:
    """A token as text: by its bytes where they are told. Raises ValueError for bytes that are none."""
    raw = entry.get("bytes")
    if not raw:
        return _as_text(str(entry["token"]))
    if not isinstance(raw, list) or len(raw) > MOST_BYTES or not all(type(byte) is int for byte in raw):
        raise ValueError("the bytes of a token are none")
    return bytes(raw).decode(errors="replace")


def _as_text(token: str) -> str:
    """With a space for the vocabulary's sign of one: `ĠYes` and `Yes` are two tokens."""
    text = token.lstrip(RAW_SPACE)
    return " " * (len(token) - len(text)) + text


def _first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise FailedExchangeError("provider", f"the reply holds no choices: {quoted(reply)}", transient=False)
    if len(choices) > 1:
        choices = [choice for choice in choices if isinstance(choice, dict) and choice.get("index") == 0]
    if len(choices) != 1:
        message = f"the reply holds several choices, and which is the first is not known: {quoted(reply)}"
        raise FailedExchangeError("provider", message, transient=False)
    [choice] = choices
    assert isinstance(choice, dict)
    return choice


def _usage(reply: dict[str, Any]) -> Usage:
    usage = reply.get("usage")
    told = usage if isinstance(usage, dict) else {}
    return Usage(**{name: token_count(told.get(name)) for name in ("prompt_tokens", "completion_tokens")})
