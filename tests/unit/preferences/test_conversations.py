"""A prompt out of several columns: nothing of the conversation is lost, and nothing stands in it twice."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.preferences.fields import FieldMap
from autorule.preferences.layouts import LAYOUTS
from autorule.preferences.readers import Row
from autorule.records import PreferencePair
from tests.unit.preferences.test_layouts import READ


def user(text):
    return {"role": "user", "content": text}


def model(text):
    return {"role": "assistant", "content": text}


def read(values):
    return FieldMap().read_pair(Row(1, values))


def shown(pair):
    assert isinstance(pair, PreferencePair), pair
    return [f"{message.role[0]}:{message.content}" for message in pair.prompt]


def codes(row):
    return [reason.code for reason in row.reasons]


PAIR = {"prompt": "Q", "chosen": "A", "rejected": "B"}


@pytest.mark.parametrize(("values", "_"), READ)
@pytest.mark.parametrize("name", ["system", "system_prompt"])
def test_a_system_message_leads_the_prompt_in_every_layout(values, _, name):
    assert shown(read({**values, name: "Be brief."})) == ["s:Be brief.", "u:Which fruit?"]


@pytest.mark.parametrize("value", ["", "  ", None, float("nan")])
def test_an_empty_system_message_is_none(value):
    assert shown(read({**PAIR, "system": value})) == ["u:Q"]


def test_a_system_message_that_the_prompt_has_already_is_not_repeated_and_another_one_is_told():
    lists = {"chosen": [{"role": "system", "content": "S"}, user("Q"), model("A")],
             "rejected": [{"role": "system", "content": "S"}, user("Q"), model("B")]}  # fmt: skip
    assert shown(read({**lists, "system": "S"})) == ["s:S", "u:Q"]
    assert codes(read({**lists, "system": "T"})) == ["prompts_disagree"]


def test_an_empty_prompt_stays_empty_with_a_system_message():
    assert codes(read({**PAIR, "prompt": "", "system": "S"})) == ["empty_prompt"]


@pytest.mark.parametrize("form", [lambda turns: turns, json.dumps])
@pytest.mark.parametrize("turns", [[["h", "r"]], [user("h"), model("r")]])
@pytest.mark.parametrize("prompt", ["prompt", "instruction", "question"])
def test_earlier_turns_go_before_the_prompt(form, turns, prompt):
    row = {prompt: "Q", "chosen": "A", "rejected": "B", "history": form(turns), "system": "S"}
    assert shown(read(row)) == ["s:S", "u:h", "a:r", "u:Q"]


@pytest.mark.parametrize("value", [[], "", None, "[]"])
def test_no_earlier_turns(value):
    assert shown(read({**PAIR, "history": value})) == ["u:Q"]


@pytest.mark.parametrize("value", ["Long ago", [["h"]], 3, [3], [["h", 1]], "{"])
def test_earlier_turns_that_can_not_be_read_are_told_and_not_left_out(value):
    row = read({**PAIR, "history": value})
    assert codes(row) == ["wrong_type"] and "rename the column" in row.reasons[0].message


TURNS = [user("Q"), model("x"), user("Q2")]


@pytest.mark.parametrize(
    "prompt", ["Q", "Q2", "Q2\n", TURNS, TURNS[:1], TURNS[1:], [{"role": "system", "content": "S"}, *TURNS]]
)
@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "S"}]])
def test_a_prompt_at_either_end_of_what_both_begin_with_is_that(prompt, system):
    row = {
        "prompt": prompt,
        "chosen": [*system, *TURNS, model("A")],
        "rejected": [*system, *TURNS, model("B")],
    }
    pair = read(row)
    with_system = bool(system) or (isinstance(prompt, list) and prompt[0]["role"] == "system")
    assert shown(pair) == [*(["s:S"] if with_system else []), "u:Q", "a:x", "u:Q2"]
    assert (pair.chosen[0].content, pair.rejected[0].content) == ("A", "B")


def test_conversations_that_go_apart_after_the_first_turn_have_that_as_their_prompt():
    pair = read({"prompt": "Q", "chosen": [*TURNS, model("A")], "rejected": [user("Q"), model("y")]})
    assert shown(pair) == ["u:Q"] and [message.content for message in pair.chosen] == ["x", "Q2", "A"]


@pytest.mark.parametrize("prompt", ["x", "Another", [user("Q"), user("Q2")]])
def test_another_prompt_is_told_with_what_to_do(prompt):
    row = read({"prompt": prompt, "chosen": [*TURNS, model("A")], "rejected": [*TURNS, model("B")]})
    assert codes(row) == ["prompts_disagree"] and "take it out of the file" in row.reasons[0].message


TEXT = st.text("abc", min_size=1, max_size=3)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=3), TEXT, st.none() | TEXT)
def test_every_part_is_in_the_prompt_once(history, question, system):
    row = {"instruction": f"q{question}", "chosen": "A", "rejected": "B", "history": [list(turn) for turn in history]}
    told = shown(read({**row, "system": None if system is None else f"s{system}"}))
    turns = [text for asked, said in history for text in (f"u:{asked}", f"a:{said}")]
    assert told == [*([] if system is None else [f"s:s{system}"]), *turns, f"u:q{question}"]


def test_columns_before_the_prompt_are_read_with_every_layout():
    for layout in LAYOUTS:
        assert {"system", "system_prompt", "history"} <= FieldMap().used(list(layout.needs))
