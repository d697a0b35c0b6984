"""Layouts in which public preference sets are published.

They go before a mapping, which can only name part of what they mean.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from autorule.preferences import public_sets as sets
from autorule.preferences.public_sets import Values
from autorule.preferences.winners import Side, Winners


class Layout(NamedTuple):
    needs: frozenset[str]
    """Columns by which it is known."""
    read: Callable[[Values], dict[str, Any]]
    """Our columns but for the winner."""
    gives: frozenset[str]
    """Their names."""
    winner: Callable[[Values], Side] | None = None
    spelt: str = ""
    """Or the column that has the winner in words: those that are known, or those that the user names."""
    responses: tuple[str, str] = ("", "")
    """The columns of the two responses."""
    looks_at: frozenset[str] = frozenset()
    """Further columns that it reads where they are there."""
    unless: frozenset[str] = frozenset()
    """Columns with which it is another layout."""
    winners: frozenset[str] = frozenset()
    """Columns each of which may be mapped as the winner instead."""

    def columns(self) -> frozenset[str]:
        return self.needs | self.looks_at


def layout_of(names: Collection[str]) -> Layout | None:
    """The layout of a file with these columns."""
    has = set(names)
    return next((one for one in LAYOUTS if one.needs <= has and has.isdisjoint(one.unless)), None)


def our_columns(values: Values, mapped: Mapping[str, str], named_winners: bool) -> dict[str, Any]:
    """Our columns of a row in one of these layouts; nothing for any other. `mapped` are columns that the user names:
    of another column than those of the layout it is the user who knows. `named_winners`: and the winner's values.

    Raises FieldError for a row that is not of the layout that its columns show.
    """
    if (layout := layout_of(values.keys())) is None:
        return {}
    ours = layout.read(values)
    if layout.spelt:
        value = values[layout.spelt]
        ours["winner"] = value if named_winners else Winners().side(value)
    elif layout.winner is not None and mapped.get("winner") not in layout.winners:
        ours["winner"] = layout.winner(values)
    known = {name: value for name, value in ours.items() if mapped.get(name, "") in {"", *layout.columns()}}
    if named_winners and not isinstance(known.get("winner"), Side) and _is_turned(layout, mapped):
        known["response_a"], known["response_b"] = known.get("response_b"), known.get("response_a")
    return known


def _is_turned(layout: Layout, mapped: Mapping[str, str]) -> bool:
    """Whether the user, who says what the winner's values mean, calls the second response a."""
    first, second = layout.responses
    return bool(first) and (mapped.get("response_a") == second or mapped.get("response_b") == first)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _renamed(first: str, second: str, **others: str) -> Callable[[Values], dict[str, Any]]:
    named = {"response_a": first, "response_b": second, **others}
    return lambda values: {ours: values[theirs] for ours, theirs in named.items()}


BOTH, PAIR = _names("response_a response_b"), _names("prompt response_a response_b")
PROMPT = _names("prompt")
OUTPUTS = ("output_1", "output_2")
FIRST_OR_SECOND = {"1": Side.A, "2": Side.B, "0": Side.TIE, "1.5": Side.TIE}
LAYOUTS = (
    Layout(
        _names("conversation_a conversation_b winner"), sets.arena, PAIR, spelt="winner",
        responses=("conversation_a", "conversation_b"), looks_at=_names("turn"),
    ),
    Layout(
        _names("conversation_a conversation_b"), sets.arena, PAIR,
        responses=("conversation_a", "conversation_b"), looks_at=_names("turn"),
    ),
    Layout(
        _names("prompt response_a response_b winner_model_a winner_model_b winner_tie"), sets.arena_55k, PAIR,
        sets.outcome, responses=("response_a", "response_b"),
    ),
    Layout(
        _names("response1 response2 overall_preference"), sets.helpsteer3, PAIR,
        partial(sets.by_sign, name="overall_preference"), responses=("response1", "response2"),
        looks_at=_names("prompt context"),
    ),
    Layout(
        _names("prompt response_1 response_2 preference_strength"), sets.helpsteer2, PAIR,
        partial(sets.by_sign, name="preference_strength"), responses=("response_1", "response_2"),
    ),
    Layout(  # PPE
        _names("prompt response_1 response_2 winner"), _renamed("response_1", "response_2", prompt="prompt"), PAIR,
        spelt="winner", responses=("response_1", "response_2"),
    ),
    Layout(  # JudgeBench
        _names("question response_A response_B label"), _renamed("response_A", "response_B", prompt="question"), PAIR,
        spelt="label", responses=("response_A", "response_B"), unless=PROMPT,
    ),
    Layout(  # SHP, where 1 is the first
        _names("history human_ref_A human_ref_B labels"), _renamed("human_ref_A", "human_ref_B", prompt="history"),
        PAIR, partial(sets.by_code, name="labels", sides={"1": Side.A, "0": Side.B}),
        responses=("human_ref_A", "human_ref_B"),
    ),
    Layout(
        _names("instruction response1 response2 annotator1 annotator2 annotator3"), sets.pandalm, PAIR, sets.agreed,
        responses=("response1", "response2"), looks_at=_names("input"), winners=frozenset(sets.ANNOTATORS),
    ),
    Layout(  # PKU-SafeRLHF, which tells two winners
        _names("prompt response_0 response_1"), _renamed("response_0", "response_1"), BOTH,
        responses=("response_0", "response_1"),
    ),
    Layout(  # ShareGPT
        _names("conversations"), lambda values: {"prompt": values["conversations"]}, PROMPT, unless=PROMPT,
    ),
    Layout(  # AlpacaFarm
        _names("instruction output_1 output_2 preference"), partial(sets.asked_of_two, names=OUTPUTS), PAIR,
        partial(sets.by_code, name="preference", sides=FIRST_OR_SECOND), responses=OUTPUTS, looks_at=_names("input"),
        unless=PROMPT,
    ),
    Layout(  # LLMBar
        _names("input output_1 output_2 label"), partial(sets.asked_of_two, names=OUTPUTS), PAIR,
        partial(sets.by_code, name="label", sides=FIRST_OR_SECOND), responses=OUTPUTS, unless=PROMPT,
    ),
    Layout(  # Prometheus
        _names("orig_instruction orig_response_A orig_response_B orig_preference"),
        _renamed("orig_response_A", "orig_response_B", prompt="orig_instruction"), PAIR, spelt="orig_preference",
        responses=("orig_response_A", "orig_response_B"), unless=PROMPT,
    ),
    Layout(  # WebGPT's comparisons
        _names("question answer_0 answer_1 score_0 score_1"), sets.webgpt, PAIR,
        partial(sets.by_scores, names=("score_0", "score_1")), responses=("answer_0", "answer_1"), unless=PROMPT,
    ),
    Layout(  # Unified-Feedback
        _names("conv_A conv_B conv_A_rating conv_B_rating"), partial(sets.arena, names=("conv_A", "conv_B")), PAIR,
        partial(sets.by_scores, names=("conv_A_rating", "conv_B_rating")), responses=("conv_A", "conv_B"),
    ),
    Layout(  # distilabel's Orca pairs
        _names("input chosen rejected status"), sets.asked, PROMPT, unless=PROMPT,
    ),
    Layout(_names("instruction chosen rejected"), sets.asked, PROMPT, looks_at=_names("input"), unless=PROMPT),
    Layout(_names("question chosen rejected"), sets.asked, PROMPT, unless=PROMPT),
)  # fmt: skip
