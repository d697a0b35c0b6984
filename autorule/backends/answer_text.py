"""Reading what models write: JSON with text around it, bulleted lists, fences, refusals, begun answers."""

import json
import re
from collections.abc import Iterator
from typing import Any

from autorule.records import Messages

BULLET = re.compile(r"(?:[-*•]|\(?\d{1,3}[.)])\s+(?=\S)")
FENCE = re.compile(r"^[^\S\n]*+`{3,}\w*+[^\S\n]*+$", re.MULTILINE)
OPENING = re.compile(r"[{\[]")
REFUSAL = re.compile(
    r"\A\W*(?:i['’]?m sorry|i am sorry|sorry,|i apologi[sz]e|i can(?:no|['’])t|i am unable|i['’]m unable|as an ai\b)",
    re.IGNORECASE,
)
REFUSAL_MAX_CHARS = 400


def whole_answer(messages: Messages, answer: str) -> str:
    """The begun answer of the request, if it has one, and what the model went on to write, without code fences."""
    begun = messages[-1].content if messages[-1].role == "assistant" else ""
    between = " " if begun and answer and not answer[0].isspace() else ""
    return FENCE.sub("", begun + between + answer)


def json_values(text: str) -> Iterator[Any]:
    """Every JSON object and array in the text, in order; what stands inside one already found is not repeated."""
    decoder = json.JSONDecoder()
    position = 0
    while match := OPENING.search(text, position):
        try:
            value, position = decoder.raw_decode(text, match.start())
        except (json.JSONDecodeError, RecursionError):
            position = match.end()
        else:
            yield value


def list_item(line: str) -> str | None:
    """The text of a bulleted or numbered line; None for any other line."""
    line = line.strip()
    match = BULLET.match(line)
    return line[match.end() :] if match else None


def is_refusal(text: str) -> bool:
    """Whether a short text only declines to answer."""
    return len(text) <= REFUSAL_MAX_CHARS and REFUSAL.match(text.strip()) is not None
