"""What the rows of public preference sets say, in our columns; which set it is, layouts.py knows.

Each raises FieldError for a row that is not what its columns show.
"""

import re
from collections.abc import Mapping
from typing import Any

from autorule.preferences.messages import FieldError, is_transcript
from autorule.preferences.showing import shown
from autorule.preferences.strict_json import JsonError, loads
from autorule.preferences.values import as_score, as_turn
from autorule.preferences.winners import Side

Values = Mapping[str, Any]
OUTCOMES = {Side.A: "winner_model_a", Side.B: "winner_model_b", Side.TIE: "winner_tie"}
TRUE, FALSE = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
PYTHON_PRINTS = re.compile(r"\s*(?:array\(|\[\s*(?:\{\s*)?(?:'|array\())")
TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")


def arena(values: Values, names: tuple[str, str] = ("conversation_a", "conversation_b")) -> dict[str, Any]:
    """The prompt is what both conversations begin with; what follows are the responses, up to the turn that was
    judged."""
    one, other = (_list_of(values[name], name) for name in names)
    if (turn := as_turn(values.get("turn"))) is not None:
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
        if PYTHON_PRINTS.match(value):
            told = f"{name} is a list as Python prints it, {shown(value)}; write it as JSON (json.dumps)"
            raise FieldError("wrong_type", told) from None
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


def by_scores(values: Values, names: tuple[str, str]) -> Side:
    """The response with the higher score."""
    first, second = (as_score(values[name], name) for name in names)
    if first is None or second is None:
        raise FieldError("unknown_winner", f"{' or '.join(names)} is empty, expected a number")
    return Side.A if first > second else Side.B if second > first else Side.TIE


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
    return asked_of_two(values, ("response1", "response2"))


def asked_of_two(values: Values, names: tuple[str, str]) -> dict[str, Any]:
    return {**asked(values), "response_a": values[names[0]], "response_b": values[names[1]]}


def webgpt(values: Values) -> dict[str, Any]:
    """The question is an object with its text."""
    asked_as = values["question"]
    text = asked_as.get("full_text") if isinstance(asked_as, Mapping) else asked_as
    return {"prompt": text_of(text, "question"), "response_a": values["answer_0"], "response_b": values["answer_1"]}


def asked(values: Values) -> dict[str, Any]:
    """The prompt out of the columns in which sets for training hold it; none beside whole conversations, which begin
    with theirs."""
    if not all(_is_plain(values[name]) for name in ("chosen", "rejected") if name in values):
        return {}
    told = [text_of(values.get(name), name) for name in ("instruction", "question", "input")]
    return {"prompt": [{"role": "user", "content": "\n".join(text for text in told if text)}]}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and not is_transcript(value) and not value.lstrip().startswith("[{")


def text_of(value: Any, name: str) -> str:
    """A text; none where the column is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError("wrong_type", f"{name} is {type(value).__name__} {shown(value)}, expected text")
    return value if value.strip() else ""
