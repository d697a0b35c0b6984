"""A conversation as the verifier sees it keeps to its limit, whatever is in it, and changes nothing that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.prompting import trim_middle
from autorule.records import Completion, Message
from autorule.verification.conversation import render_conversation

TEXT = st.one_of(
    st.text(max_size=60),
    st.integers(0, 5000).map("x".__mul__),
    st.integers(0, 3000).map("`".__mul__),
    st.just("[... 9 characters left out here ...]"),
)
TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), TEXT), min_size=1, max_size=60)


def conversation(turns):
    shown = tuple(Message(role=role, content=text) for role, text in turns)
    return Completion(completion_id="c", row=1, prompt=shown[:-1], completion=shown[-1:])


@given(TURNS, st.integers(1000, 20_000))
def test_it_is_never_longer_than_it_may_be(turns, limit):
    shown = render_conversation(conversation(turns), limit, "full")
    assert len(shown.text) <= limit
    whole = render_conversation(conversation(turns), 10**9, "full")
    assert not whole.trimmed
    if len(whole.text) <= limit:
        assert shown == whole


def test_a_thousand_turns_keep_to_the_limit_and_say_what_is_left_out():
    turns = [(("user", "assistant")[n % 2], f"turn {n} " + "word " * 20) for n in range(1000)]
    shown = render_conversation(conversation(turns), 40_000)
    assert shown.trimmed and len(shown.text) <= 40_000
    assert "turns left out here ...]" in shown.text
    assert "turn 0 " in shown.text and "turn 999 " in shown.text


@given(st.text(max_size=400) | st.integers(0, 4000).map("ab".__mul__), st.integers(0, 3000))
def test_what_is_cut_is_never_longer_than_asked_for(text, limit):
    cut = trim_middle(text, limit)
    assert len(cut.text) <= max(limit, 0) or cut.text == text
    assert cut.trimmed == (len(text) > limit)


@pytest.mark.parametrize("limit", [0, 1, 10, 39])
def test_where_the_mark_has_no_room_the_beginning_stays(limit):
    assert trim_middle("abcdefghij" * 10, limit).text == ("abcdefghij" * 10)[:limit]
