"""JSON in the text of an answer is found as a parser finds it from each bracket, in steps that grow with the text."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends import json_spans
from autorule.backends.answer_text import check_is_whole, json_values
from autorule.errors import ParseError
from autorule.records import ModelOutput

PIECES = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"',
    '"a"',
    "1",
    "-",
    "true",
    "tru",
    " ",
    "\\",
    "\\u12",
    "x",
    "1.5",
    '"a":',
    "\n",
]
LEAVES = st.sampled_from([None, True, False, 0, -12, 1e9, "", "a", "é\u2028", '"', "\\", "[", "👍"])
VALUE = st.lists(LEAVES | st.lists(LEAVES, max_size=2), max_size=3) | st.dictionaries(st.sampled_from("ab🙂"), LEAVES)


def tried_from_each_bracket(text):
    position = 0
    while match := re.compile(r"[{\[]").search(text, position):
        try:
            value, position = json.JSONDecoder().raw_decode(text, match.start())
        except json.JSONDecodeError:
            position = match.end()
        else:
            yield value


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_values_are_those_that_a_parser_finds(text):
    assert list(json_values(text)) == list(tried_from_each_bracket(text))


@given(VALUE, st.booleans(), st.data())
def test_a_value_is_cut_wherever_the_text_ends_in_it(value, ascii_only, data):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert list(json_values(f"So: {text} that is all")) == [value]
    cut = ModelOutput(text=text[: data.draw(st.integers(1, len(text) - 1))], finish_reason="length")
    with pytest.raises(ParseError, match="cut off"):
        check_is_whole(cut, cut.text)
    check_is_whole(ModelOutput(text=text + " and", finish_reason="length"), text + " and")


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000])
def test_an_integer_of_thousands_of_digits_is_beyond_all_numbers(number):
    assert list(json_values(f'{{"a": {number}}}')) == [{"a": float(number)}]


@pytest.mark.parametrize(
    "text",
    [
        lambda n: "[" * n,
        lambda n: "{" * n,
        lambda n: '["' * n,
        lambda n: '{"a":' * n,
        lambda n: '["[","' * n,
        lambda n: "[[1]," * n,
        lambda n: "[" * n + "]" * n,
        lambda n: "[" * 90 + "0," * n + "x",
        lambda n: '{"a":' * 900 + "[" + "0," * n,
        lambda n: '[{"a":1},' * n,
    ],
)
def test_the_steps_grow_with_the_text(text, monkeypatch):
    class Counted:
        n = 0

        def match(self, *where):
            Counted.n += 1
            return pattern.match(*where)

    pattern = json_spans._TOKEN
    monkeypatch.setattr(json_spans, "_TOKEN", Counted())
    steps = []
    for n in (2000, 4000):
        Counted.n = 0
        assert list(json_spans.spans_of(text(n)))
        steps.append(Counted.n)
    assert steps[1] <= 2.6 * steps[0]
    assert steps[1] <= 4 * len(text(4000))
