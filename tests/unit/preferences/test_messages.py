"""One message, as it is read wherever it comes from: nothing that it holds beside its text is passed over."""

from collections import deque

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.preferences.messages import FieldError, as_messages
from autorule.preferences.unshown import BOOKKEEPING, MEDIA


def read(**fields):
    [message] = as_messages([{"role": "assistant", **fields}], "completion", "assistant")
    return message.content, message.unshown


@pytest.mark.parametrize(
    ("fields", "unshown"),
    [
        ({"content": "", "audio": {"id": "a", "transcript": "hi"}}, "the field audio"),
        ({"content": "See.", "audio": {"data": "x"}}, "the field audio"),
        ({"content": "See.", "images": [{"url": "x"}]}, "the field images"),
        ({"content": " \n", "attachments": [{"name": "x"}]}, "the field attachments"),
        ({"content": "", "reasoning_content": "It is a pear."}, "the field reasoning_content"),
        ({"content": None, "reasoning": "It is a pear."}, "the field reasoning"),
        ({"content": "", "refusal": {"why": "x"}}, "the field refusal"),
        ({"content": None, "parts": [{"text": "hi"}]}, "the field parts"),
        ({"content": "", "tool_calls": np.array([{"a": 1}, {"b": 2}], dtype=object)}, "tool calls"),
        ({"content": "hi", "function_call": {"name": "rm"}}, "tool calls"),
        ({"content": [{"type": "text", "text": "hi", "image_url": {"url": "x"}}]}, "the field image_url"),
        ({"content": [{"type": "text", "text": "", "source": "x"}]}, "the field source"),
        ({"content": [{"image_url": "x"}]}, "the field image_url"),
        ({"content": [{"type": ["x"]}, 7]}, "a block of type ['x'], a block of type int"),
        ({"content": float("nan")}, "no content (null)"),
        ({"content": "", **{f"part_{i}": "x" for i in range(9)}},
         "the field part_0, the field part_1, the field part_2, 6 more"),
    ],
)  # fmt: skip
def test_what_stands_beside_the_text_is_told(fields, unshown):
    assert read(**fields)[1] == unshown


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"content": "", "output_text": "hi"}, "hi"),
        ({"content": None, "text": "hi"}, "hi"),
        ({"content": [], "text": "hi", "output_text": "hi"}, "hi"),
        ({"content": "  ", "value": "hi"}, "hi"),
        ({"content": "", "refusal": "No."}, "No."),
        ({"content": {"type": "text", "text": "hi"}}, "hi"),
        ({"content": np.array([{"type": "text", "text": "hi"}], dtype=object)}, "hi"),
        ({"content": deque(["a", "b"])}, "a\nb"),
        ({"content": "hi", "reasoning_content": "It is a pear.", "annotations": [1]}, "hi"),
        ({"content": "hi", "text": "other"}, "hi"),
        ({"content": "", "id": "x", "name": "a", "weight": 1, "index": np.int64(3), "metadata": {"a": 1}}, ""),
        ({"content": "", "images": [], "audio": {"id": None, "data": {"x": None}}, "text": float("nan")}, ""),
        ({"content": [{"type": "text", "text": "hi", "image_url": None, "cache_control": {"type": "x"}}]}, "hi"),
    ],
)
def test_text_is_read_and_what_only_describes_a_message_is_not_in_its_way(fields, text):
    assert read(**fields) == (text, None)


@given(
    st.text(min_size=1, max_size=20).filter(
        lambda name: name not in {*BOOKKEEPING, "content", "value", "text", "output_text", "refusal"}
    ),
    st.text(min_size=1).filter(str.strip) | st.lists(st.integers(), min_size=1),
    st.sampled_from(["", " ", "\n\n", None, ("",)]),
)
def test_a_blank_text_beside_any_other_value_is_no_empty_answer(name, value, blank):
    assert read(content=blank, **{name: value})[1] is not None


@given(st.sampled_from(sorted(MEDIA)), st.text(min_size=1))
def test_media_are_told_beside_any_text(name, text):
    told = read(content=text.encode("utf-8", "replace").decode(), **{name: [{"data": "x"}]})[1]
    assert told == f"the field {name}"


TURNS = [{"role": "user", "content": "a"}, {"from": "gpt", "value": "b"}]


@pytest.mark.parametrize(
    "value",
    [
        TURNS,
        tuple(TURNS),
        deque(TURNS),
        np.array(TURNS, dtype=object),
        pa.array([{**TURNS[0], "from": None, "value": None}, {"role": None, "content": None, **TURNS[1]}]),
    ],
    ids=["list", "tuple", "deque", "ndarray", "pyarrow"],
)
def test_a_list_of_messages_may_be_any_sequence(value):
    messages = as_messages(value, "prompt", "user")
    assert [(message.role, message.content) for message in messages] == [("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize("value", [3, b"x", {"a"}, (x for x in TURNS), [3], [["a"]], [None], [b"x"]])
def test_what_is_no_message_is_named(value):
    with pytest.raises(FieldError, match="completion"):
        as_messages(value, "completion", "assistant")


def test_a_role_is_named_however_deep_it_is():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(FieldError, match="has role"):
        as_messages([{"role": deep, "content": "x"}], "completion", "assistant")
