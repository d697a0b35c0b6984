"""What reads text of models and of users takes a time that grows with the text: a quadratic pattern would take minutes
on each of these."""

from contextlib import suppress

import pytest

from autorule.backends.answer_text import check_is_whole, is_refusal, json_values, list_item, whole_answer
from autorule.backends.base import split_thinking
from autorule.errors import ConfigError, ParseError
from autorule.preferences.messages import as_messages, is_transcript, parse_transcript
from autorule.prompting import fence_for, neutralise_special_tokens
from autorule.records import ModelOutput
from autorule.rewards.templated_text import response_of, turns_of
from autorule.rules.sense import sense_of
from autorule.rules.text import clean_rule, former_rule_ids, normalise_rule, words
from autorule.rules.wording import wording
from autorule.verification.reasoned import read_joint, read_reasoned
from tests.conftest import messages

N = 300_000
TEXTS = {
    "blank lines": "\n" * N + "x",
    "spaces": " " * N + "x",
    "blanks": " \n" * (N // 2) + "x",
    "a word": "a" * N,
    "dashes": "- " * (N // 2) + "x",
    "a bullet and spaces": "- a" + " " * N + "b",
    "backticks": "`" * N,
    "fences": "```\n" * (N // 4),
    "fences that are none": ("```" + " " * 50 + "x\n") * (N // 60),
    "openings": "<think>" * (N // 7),
    "closings": "</think>" * (N // 8),
    "markers": "<|im_start|>" * (N // 12),
    "turns": "<|im_start|>user\nx" * (N // 18),
    "endings": "<|im_end|>" * (N // 10),
    "roles": "<|user|>\n" * (N // 9),
    "humans": "\n\nHuman: " * (N // 9),
    "stars": "*" * N,
    "quotes": '"' * N,
    "underscores": "_" * N,
    "verdicts": "Verdict: " * (N // 9),
    "digits": "1" * N,
    "numbered": "1. " * (N // 3),
    "tabs": "\t" * N + "x",
    "carriage returns": "\r" * N + "x",
    "signs": "<" * N,
    "brackets": "[" * N,
    "braces": "{" * N,
    "open lists of texts": '["' * (N // 2),
    "open objects": '{"a":' * (N // 5),
    "deep and long": "[" * 900 + "0," * (N // 2) + "x",
    "deep objects and long": '{"a":' * 300 + "[" + "0," * (N // 2) + "x",
    "marks": "a" + "\u0316\u0301" * (N // 2),
    "marks of other orders": "a" + "\u0301\u0327" * (N // 2),
    "one mark": "a" + "\u0301" * N,
    "a number": "[" + "9" * N + "]",
    "a key": '{"' + "9" * N + '": "yes"}',
    "emoji": "👍" * N,
    "arrows": "<-" * (N // 2),
    "equals": "=" * N,
    "exclamations": "!" * N,
    "dashes in a row": "-" * N,
    "quoted signs": "'-" * (N // 2),
    "decimals": "1." * (N // 2),
    "acronyms": "US " * (N // 3),
}


def reasoned(text):
    return read_reasoned(ModelOutput(text=text), ("Yes", "No"))


READERS = {
    "split_thinking": split_thinking,
    "whole_answer": lambda text: whole_answer(messages("p"), text),
    "list_item": list_item,
    "is_refusal": is_refusal,
    "fence_for": lambda text: fence_for([text]),
    "neutralise": neutralise_special_tokens,
    "reasoned": reasoned,
    "turns_of": turns_of,
    "response_of": response_of,
    "transcript": is_transcript,
    "parse_transcript": parse_transcript,
    "as_messages": lambda text: as_messages(text, "prompt", "user"),
    "clean_rule": clean_rule,
    "words": words,
    "sense_of": sense_of,
    "json_values": lambda text: list(json_values(text)),
    "check_is_whole": lambda text: check_is_whole(ModelOutput(text=text, finish_reason="length"), text),
    "joint": lambda text: read_joint(ModelOutput(text=text), 2, ("Yes", "No")),
    "normalise_rule": normalise_rule,
    "former_rule_ids": former_rule_ids,
    "wording": wording,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_takes_a_time_that_grows_with_the_text(reader):
    for text in TEXTS.values():
        with suppress(ParseError, ConfigError, ValueError):
            READERS[reader](text)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("<think>a</think>b", ("a", "b")),
        ("a</think>b", ("a", "b")),
        (" \n<think> a \n</think>\n b ", ("a", "b")),
        ("b", (None, "b")),
        ("<think>a", ("a", "")),
        ("<think></think>b", ("", "b")),
        ("<think>a</think>b</think>c", ("a", "b</think>c")),
        ("x <think>a</think>b", ("x <think>a", "b")),
        ("</think>", ("", "")),
        ("", (None, "")),
    ],
)
def test_thinking_is_split_as_before(text, split):
    assert split_thinking(text) == split
