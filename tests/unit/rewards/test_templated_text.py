"""Turns out of templated text: each by its role, and no text left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.errors import ConfigError
from autorule.preferences.messages import ROLE_NAMES
from autorule.rewards import RuleReward
from autorule.rewards.templated_text import openrlhf_items, split_whole_text, turns_of
from tests.conftest import make_rule_set

TEMPLATES = {
    "ChatML": ("<|im_start|>{}\n", "<|im_end|>\n"),
    "Phi 4": ("<|im_start|>{}<|im_sep|>", "<|im_end|>"),
    "Llama 3": ("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>"),
    "Llama 3, calls": ("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eom_id|>"),
    "Gemma": ("<start_of_turn>{}\n", "<end_of_turn>\n"),
    "Phi": ("<|{}|>\n", "<|end|>\n"),
    "Zephyr": ("<|{}|>\n", "</s>\n"),
    "no ends": ("<|{}|>\n", "\n"),
}
ROLES = ("system", "user", "assistant", "tool", *ROLE_NAMES)
templates = pytest.mark.parametrize("template", TEMPLATES)


def templated(template, turns, opening="assistant"):
    begin, end = TEMPLATES[template]
    whole = "".join(begin.format(role) + text + end for role, text in turns)
    return whole + (begin.format(opening) if opening else "")


def by_role(turns):
    return [(turn["role"], turn["content"]) for turn in turns]


@templates
@pytest.mark.parametrize("role", ROLES)
def test_every_role_that_messages_have_is_one_in_templates(template, role):
    told = ROLE_NAMES.get(role, role)
    first = templated(template, [(role, "ALWAYS CITE"), ("user", "hi")])
    assert by_role(turns_of(first)) == [(told, "ALWAYS CITE"), ("user", "hi")]
    later = templated(template, [("user", "hi"), (role, "ALWAYS CITE"), ("user", "go on")], "model")
    assert by_role(turns_of(later)) == [("user", "hi"), (told, "ALWAYS CITE"), ("user", "go on")]


@pytest.mark.parametrize("template", ["ChatML", "Llama 3", "Gemma"])
def test_a_role_that_nobody_knows_is_told_and_costs_its_row_alone(template):
    odd = turns_of(templated(template, [("user", "hi"), ("judge", "ALWAYS CITE")]))
    assert by_role(odd) == [("user", "hi"), ("judge", "ALWAYS CITE")]
    model = {"backend": "scripted", "model": "tests.scripts:by_words"}
    reward = RuleReward(make_rule_set("Mention pears."), model, cache={"enabled": False})
    one, other = reward.score([odd, "hi"], ["pears", "pears"])
    assert one.reward is None and "prompt[1] has role 'judge'" in one.reason
    assert other.reward == 1.0


@pytest.mark.parametrize("template", ["Phi", "Zephyr", "no ends"])
def test_a_marker_that_may_be_any_stays_text(template):
    text = templated(template, [("user", "hi"), ("image_1", "ALWAYS CITE")])
    [(role, content)] = by_role(turns_of(text))
    assert role == "user" and "<|image_1|>" in content and "ALWAYS CITE" in content
    assert turns_of("<|image_1|>\nhi") == "<|image_1|>\nhi"


@templates
def test_text_between_two_turns_is_kept(template):
    begin, end = TEMPLATES[template]
    text = f"{begin.format('user')}hi{end}ALWAYS CITE\n{begin.format('developer')}Be short.{end}{begin.format('gpt')}"
    (role, content), second = by_role(turns_of(text))
    assert role == "user" and content.split() == ["hi", "ALWAYS", "CITE"]
    assert second == ("system", "Be short.")


SPOKEN = st.lists(st.tuples(st.sampled_from(ROLES), st.from_regex(r"[a-z]{3,9}", fullmatch=True)), min_size=2)
STRAYS = st.lists(st.sampled_from(["", "\n", "stray text", "<|endoftext|>\n", "stray</s>"]), min_size=2)


@templates
@given(turns=SPOKEN, strays=STRAYS)
def test_no_word_is_left_out(template, turns, strays):
    begin, end = TEMPLATES[template]
    text = "".join(
        begin.format(role) + content + end + strays[number % len(strays)]
        for number, (role, content) in enumerate(turns)
    )
    found = " ".join(turn["content"] for turn in turns_of(text))
    assert found.count("stray") == text.count("stray")
    for _, content in turns:
        assert content in found


def test_padding_is_no_text():
    pads = "<|endoftext|>" * 3
    text = f"{pads}{templated('ChatML', [('user', 'hi'), ('assistant', 'pears')], '')}{pads}\n"
    assert split_whole_text(text) == ([{"role": "user", "content": "hi"}], "pears")
    assert by_role(turns_of("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant")) == [("user", "hi")]


def test_a_whole_text_that_ends_with_no_assistant_is_refused():
    with pytest.raises(ConfigError, match="no templated conversation"):
        split_whole_text(templated("ChatML", [("assistant", "hi"), ("tool_response", "x")], ""))


def test_labels_may_be_an_array():
    import numpy as np

    own = np.array([{"role": "user", "content": "hi"}], dtype=object)
    labels = np.array([{"prompt": own}, {"prompt": own}], dtype=object)
    [(prompt, response, columns), _] = openrlhf_items(["p a", "p b"], ["p", "p"], labels)
    assert (prompt, response, columns) == ([{"role": "user", "content": "hi"}], " a", {})
