"""What is read from a refusal: names in any spelling, limits, and nothing that a server only repeats."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.refusal_words import MOST_CHARS, named_fields, says_too_long, told_limit, words_in

FIELDS = ["max_tokens", "response_format", "seed", "top_p", "temperature", "stop", "top_logprobs"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Seed is not supported", ["seed"]),
        ("MAX_TOKENS unsupported", ["max_tokens"]),
        ("maxTokens is unknown", ["max_tokens"]),
        ("no max tokens here", ["max_tokens"]),
        ("topLogprobs and top-p", ["top_p", "top_logprobs"]),
        ("extra field random_seed", ["seed"]),
        ("seeding is off, and so is nonstop temperatures", []),
        ("please stop, and come back later", []),
        ("stop sequences are not supported", ["stop"]),
        ("failed to compile the grammar", ["response_format"]),
        ("structured outputs are off", ["response_format"]),
        ("guided decoding is not supported in this context", ["response_format"]),
        ("Unknown field 'seed'. Known: max_tokens, temperature, top_p", ["seed"]),
    ],
)
def test_a_field_is_named_in_any_spelling_and_in_quotes_before_others(words, named):
    assert named_fields(FIELDS, words) == named


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("top_logprobs must be at most 2", 2),
        ("must lie in 0..4", 4),
        ("Requested sample logprobs of 20, which is greater than max allowed: 5", 5),
        ("a value <= 20, but got 20", None),
        ("version 1.5 of v2 has none", None),
        ("code 400: not supported", None),
    ],
)
def test_a_limit_is_the_largest_number_below_what_was_sent(words, limit):
    assert told_limit(words, 20) == limit


def test_the_whole_reply_speaks_but_not_what_it_repeats_of_the_request():
    detail = {"loc": ["body", "seed"], "msg": "Extra inputs\nare not permitted", "input": {"stop": ["x"]}}
    words = words_in(json.dumps({"detail": [detail], "code": 422, "request": {"top_p": 1}}).encode())
    assert "'seed'" in words and "422" in words
    assert "stop" not in words and "top_p" not in words
    assert named_fields(FIELDS, words_in({"error": {"message": "x" * 5000 + "\nseed"}})) == ["seed"]


@given(JSON)
def test_words_are_bounded_whatever_is_said(said):
    assert len(words_in(said)) <= MOST_CHARS
    assert len(words_in(json.dumps(said).encode())) <= MOST_CHARS


def test_words_of_what_is_no_json():
    assert words_in(b"\xffno seed") == "\ufffdno seed"
    assert len(words_in(b"[" * 100_000)) == len(words_in(b"9" * 100_000)) == MOST_CHARS


@pytest.mark.parametrize(
    ("words", "is_so"),
    [
        ("This model's maximum context length is 4096 tokens", True),
        ("the request exceeds the available context", True),
        ("context_length_exceeded", True),
        ("prompt is too long", True),
        ("In this context the field 'seed' is not permitted", False),
    ],
)
def test_a_prompt_that_is_too_long_is_told_from_other_contexts(words, is_so):
    assert says_too_long(400, words) is is_so
    assert not says_too_long(404, words)
