"""What the rows of public preference sets say, in our columns; which set it is, layouts.py knows.

Each raises FieldError for a row that is not what its columns show.
"""

import re
from collections.abc import Mapping
from typing import Any

from autorule.preferences.messages import FieldError, is_transcript
from autorule.preferences.showing import shown
from autorule.preferences.strict_json import JsonError, loads
from autorule.preferences.winners import Side

Values = Mapping[str, Any]
OUTCOMES = {Side.A: "winner_model_a", Side.B: "winner_model_b", Side.TIE: "winner_tie"}
TRUE, FALSE = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")


def arena(values: Values) -> dict[str, Any]:
    """The prompt is what both conversations begin with; what follows are the responses, up to the turn that was
    judged."""
    one, other = (_list_of(values[name], name) for name in ("conversation_a", "conversation_b"))
    if isinstance(turn := values.get("turn"), int) and turn > 0:
        one, other = _until(one, turn), _until(other, turn)
    shared = 0
    while shared < min(len(one), len(other)) and one[shared] == other[shared]:
        shared += 1
    return {"prompt": one[:shared], "response_a": one[shared:], "response_b": other[shared:]}


def _until(conversation: list[Any], turn: int) -> list[Any]:
    """The conversation up to what the user says after that turn."""
    asked = [i for i, one in enumerate(conversation) if isinstance(one, Mapping) and one.get("role") == "user"]
    return conversation[: asked[turn]] if turn < len(asked) else conversation


def _list_of(value: Any, name: str, what: str = "a list of messages") -> list[Any]:
    """A list, which is JSON in a CSV file."""
    try:
        found = loads(value) if isinstance(value, str) else value
    except JsonError:
        found = None
    if not isinstance(found, list) or not found:
        raise FieldError("wrong_type", f"{name} is {shown(value)}, expected {what}")
    return found


def arena_55k(values: Values) -> dict[str, Any]:
    return {name: _only_text(values[name], name) for name in ("prompt", "response_a", "response_b")}


def _only_text(value: Any, name: str) -> str:
    """The text of a list of one. Longer ones are conversations that went apart after the first turn."""
    texts = _list_of(value, name, "a list of texts as JSON")
    if not isinstance(texts[0], str):
        raise FieldError("wrong_type", f"{name} is {shown(value)}, expected a list of texts as JSON")
    if len(texts) > 1:
        raise FieldError(
            "several_turns",
            f"{name} has {len(texts)} turns, which differ between the responses: no one prompt is shared",
        )
    return texts[0]


def outcome(values: Values) -> Side:
    """The one of three columns that is true."""
    told = {side: str(values[name]).strip().casefold() for side, name in OUTCOMES.items()}
    for side, text in told.items():
        if text not in TRUE | FALSE:
            raise FieldError("unknown_winner", f"{OUTCOMES[side]} is {shown(text)}, expected 0 or 1")
    won = [side for side, text in told.items() if text in TRUE]
    if len(won) != 1:
        raise FieldError("unknown_winner", f"{', '.join(OUTCOMES.values())} name {len(won)} outcomes, expected one")
    return won[0]


def helpsteer2(values: Values) -> dict[str, Any]:
    """The prompt may hold earlier turns, with marks between them."""
    first, *rest = TURN.split(text_of(values["prompt"], "prompt"))
    turns = [("User", first), *zip(rest[::2], rest[1::2], strict=True)]
    if turns[-1] == ("Assistant", ""):  # whose turn it is
        turns.pop()
    prompt = [{"role": who.lower(), "content": said} for who, said in turns]
    return {"prompt": prompt, "response_a": values["response_1"], "response_b": values["response_2"]}


def helpsteer3(values: Values) -> dict[str, Any]:
    prompt = values["prompt"] if "prompt" in values else values.get("context")
    return {"prompt": prompt, "response_a": values["response1"], "response_b": values["response2"]}


def by_sign(values: Values, name: str) -> Side:
    """Below 0 the first response is better, above 0 the second."""
    try:
        preference = float(values[name])
    except (TypeError, ValueError, OverflowError):
        preference = float("nan")
    if not -3 <= preference <= 3:
        raise FieldError("unknown_winner", f"{name} is {shown(values[name])}, expected -3 to 3")
    return Side.A if preference < 0 else Side.B if preference > 0 else Side.TIE


def by_code(values: Values, name: str, sides: Mapping[str, Side]) -> Side:
    told = str(values[name]).strip().removesuffix(".0")
    if told not in sides:
        raise FieldError("unknown_winner", f"{name} is {shown(values[name])}, expected {' or '.join(sides)}")
    return sides[told]


def agreed(values: Values) -> Side:
    """The side that all annotators name: who is right where they differ is not in the file."""
    told = {by_code(values, name, {"1": Side.A, "2": Side.B, "0": Side.TIE}) for name in ANNOTATORS}
    if len(told) > 1:
        raise FieldError(
            "unknown_winner",
            f"{', '.join(ANNOTATORS)} differ; to go by one: --columns winner=annotator1 --winner-values a=1,b=2,tie=0",
        )
    return told.pop()


def pandalm(values: Values) -> dict[str, Any]:
    return {**asked(values), "response_a": values["response1"], "response_b": values["response2"]}


def asked(values: Values) -> dict[str, Any]:
    """The prompt out of the columns in which sets for training hold it; none beside whole conversations, which begin
    with theirs."""
    if not all(_is_plain(values[name]) for name in ("chosen", "rejected") if name in values):
        return {}
    told = [text_of(values.get(name), name) for name in ("instruction", "question", "input")]
    prompt = [{"role": "user", "content": "\n".join(text for text in told if text)}]
    system = text_of(values.get("system"), "system")
    return {"prompt": [{"role": "system", "content": system}, *prompt] if system else prompt}


def rated(values: Values) -> dict[str, Any]:
    """The same, of pairs that were made out of ratings: equal ones are marked."""
    if str(values["status"]).strip().casefold() == "tie":
        raise FieldError("tie", "status is 'tie': no response was preferred")
    return asked(values)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and not is_transcript(value) and not value.lstrip().startswith("[{")


def text_of(value: Any, name: str) -> str:
    """A text; none where the column is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError("wrong_type", f"{name} is {type(value).__name__} {shown(value)}, expected text")
    return value if value.strip() else ""
