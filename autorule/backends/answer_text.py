"""Reading what models write: JSON with text around it, bulleted lists, fences, refusals, begun answers."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from autorule.backends.json_spans import spans_of
from autorule.errors import ParseError
from autorule.records import Messages, ModelOutput

BULLET = re.compile(r"(?:[-*•●◦▪■‣►]|\(?\d{1,3}[.)])\s+(?=\S)")
FENCE = re.compile(r"^[^\S\n]*+`{3,}\w*+[^\S\n]*+$", re.MULTILINE)
REFUSAL = re.compile(
    r"\A\W*(?:i['’]?m sorry|i am sorry|sorry,|i apologi[sz]e|i can(?:no|['’])t|i am unable|i['’]m unable|as an ai\b)",
    re.IGNORECASE,
)
REFUSAL_MAX_CHARS = 400
MAX_DIGITS = 4000
"""Python makes no integer of more than 4,300."""


def whole_answer(messages: Messages, answer: str) -> str:
    """The begun answer of the request, if it has one, and what the model went on to write, without code fences."""
    begun = messages[-1].content if messages[-1].role == "assistant" else ""
    between = " " if begun and answer and not answer[0].isspace() else ""
    return FENCE.sub("", begun + between + answer)


def json_values(text: str, read_object: Callable[[list[tuple[str, Any]]], Any] = dict) -> Iterator[Any]:
    """Every JSON object and array in the text, in order; what stands inside one already found is not repeated.

    `read_object` makes a value of the keys and values of an object. An integer of thousands of digits is read as JSON
    numbers beyond a float are: as infinite.
    """
    for span in spans_of(text):
        if span.is_value:
            yield json.loads(text[span.start : span.end], object_pairs_hook=read_object, parse_int=_number)


def check_is_whole(output: ModelOutput, text: str) -> None:
    """Raises ParseError when the answer was cut off within its JSON: what stands before it may be an earlier draft, or
    the example of the prompt. `text` is the whole answer."""
    if was_cut_off(output) and any(span.is_cut for span in spans_of(text)):
        raise ParseError(f"the JSON of the answer is cut off: {output.text[-80:]!r}")


def was_cut_off(output: ModelOutput) -> bool:
    """Whether the model had more to say: its budget ended, or a filter stopped it."""
    return output.finish_reason in ("length", "content_filter")


def list_item(line: str) -> str | None:
    """The text of a bulleted or numbered line; None for any other line."""
    line = line.strip()
    match = BULLET.match(line)
    return line[match.end() :] if match else None


def is_refusal(text: str) -> bool:
    """Whether a short text only declines to answer."""
    return len(text) <= REFUSAL_MAX_CHARS and REFUSAL.match(text.strip()) is not None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)
