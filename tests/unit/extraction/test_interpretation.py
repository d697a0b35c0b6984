import pytest

from autorule.backends.answer_text import is_refusal
from autorule.backends.base import output_from_text
from autorule.config.stages import InterpretationConfig
from autorule.errors import ParseError
from autorule.extraction.interpretation import build_request, given_interpretation, parse_interpretation, shown_order
from autorule.prompting import Prompt, load_prompt
from autorule.records import ModelOutput, Usage
from tests.conftest import make_pair

CONFIG = InterpretationConfig()
PLAIN = Prompt(name="p", text="@user\n{prompt}|{response_a}|{response_b}|{preferred}")
LONG = "It says what was asked for and no more than that."


def parse(text, finish_reason="stop", reasoning=None, prompt=PLAIN):
    pair = make_pair()
    request = build_request(pair, prompt, CONFIG, "chosen_first")
    output = output_from_text(text, finish_reason, Usage(), "m", reasoning)
    return parse_interpretation(pair, request, output, CONFIG, "chosen_first")


def test_golden_prompt():
    request = build_request(make_pair("Name `a` fruit."), load_prompt("interpretation"), CONFIG, "rejected_first")
    (message,) = request.messages
    assert "The conversation:\n```\nName `a` fruit.\n```" in message.content
    assert "Response A:\n```\nNo.\n```" in message.content
    assert "Response B:\n```\nPear.\n```" in message.content
    assert "Response B was preferred." in message.content


def test_swapping_the_label_changes_only_the_label():
    differing = 0
    first = 0
    for i in range(400):
        pair = make_pair(f"prompt {i}", f"one {i}", f"two {i}")
        swapped = pair.model_copy(update={"chosen": pair.rejected, "rejected": pair.chosen})
        shown = [build_request(p, PLAIN, CONFIG, shown_order(p, 0)).messages[0].content for p in (pair, swapped)]
        assert shown[0][:-1] == shown[1][:-1]
        assert {shown[0][-1], shown[1][-1]} == {"A", "B"}
        differing += shown[0] != shown[1]
        first += shown_order(pair, 0) == "chosen_first"
    assert differing == 400
    assert 150 < first < 250


@pytest.mark.parametrize(
    ("text", "reasoning", "chain", "source"),
    [
        (LONG, None, LONG, "answer"),
        ("In short: it fits.", LONG, LONG, "field"),
        (f"<think>{LONG}</think>In short: it fits.", None, LONG, "think_tags"),
        (f"{LONG}</think>In short: it fits.", None, LONG, "think_tags"),
        (f"<think>{LONG}", None, LONG, "think_tags"),
    ],
)
def test_the_chain_is_the_thinking_where_there_is_any(text, reasoning, chain, source):
    interpretation = parse(text, reasoning=reasoning)
    assert (interpretation.chain, interpretation.chain_source) == (chain, source)


def test_a_truncated_chain_is_kept_and_marked():
    interpretation = parse(f"<think>{LONG}", finish_reason="length")
    assert interpretation.truncated
    assert interpretation.answer == ""


def test_a_chain_that_a_filter_ended_is_none():
    with pytest.raises(ParseError, match="declined"):
        parse("", finish_reason="content_filter", reasoning=LONG)


@pytest.mark.parametrize("text", ["", "   ", "Yes.", "<think></think>"])
def test_an_answer_without_explanation_is_a_parse_error(text):
    with pytest.raises(ParseError):
        parse(text)


def test_a_begun_answer_is_part_of_the_chain():
    small = load_prompt("interpretation.small")
    interpretation = parse(" keeps to the form that was asked for.", prompt=small)
    assert interpretation.chain == "Response A is better because it keeps to the form that was asked for."
    with pytest.raises(ParseError):
        parse(" is.", prompt=small)


def test_long_responses_are_trimmed_in_the_middle_and_this_is_recorded():
    config = InterpretationConfig(max_response_chars=200)
    pair = make_pair("Keep all of me." * 100, "a" * 500 + "END", "b")
    request = build_request(pair, PLAIN, config, "chosen_first")
    shown = request.messages[0].content
    assert "Keep all of me." * 100 in shown
    assert "characters left out here" in shown
    assert "END|b|A" in shown
    result = parse_interpretation(pair, request, ModelOutput(text=LONG), config, "chosen_first")
    assert result.trimmed


def test_given_chains_need_no_model():
    pair = make_pair(reasoning="Because it fits.", explanation="A", given_order="rejected_first")
    interpretation = given_interpretation(pair)
    assert (interpretation.chain, interpretation.answer, interpretation.order) == (
        "Because it fits.",
        "A",
        "rejected_first",
    )
    assert interpretation.chain_source == "given"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I cannot compare these.", True),
        ("As an AI, I have no preferences.", True),
        ("I'm sorry to say it, but response B " + "is longer " * 60, False),
        ("The apology 'I'm sorry' made the difference.", False),
    ],
)
def test_refusals_are_told_from_answers(text, refused):
    assert is_refusal(text) is refused
