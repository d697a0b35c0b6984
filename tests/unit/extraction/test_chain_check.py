"""The blind check: what is masked, how the answer is read, and that the label does not leak through the order."""

import pytest

from autorule.backends.base import output_from_text
from autorule.config.stages import InterpretationConfig
from autorule.errors import ParseError
from autorule.extraction.chain_check import MASK, build_request, mask_sides, parse_check
from autorule.extraction.interpretation import interpretation_id
from autorule.prompting import load_prompt
from autorule.records import Interpretation, Usage
from tests.conftest import make_pair

PROMPT = load_prompt("chain_check")


@pytest.mark.parametrize(
    ("chain", "masked"),
    [
        ("Response A is shorter.", f"{MASK} is shorter."),
        ("Assistant B's answer rambles, B lies.", f"{MASK}'s answer rambles, {MASK} lies."),
        ("I prefer A. A is right; B, not.", f"I prefer {MASK}. {MASK} is right; {MASK}, not."),
        ("The preferred response cites.", f"{MASK} cites."),
        ("the second answer, the first one", f"{MASK}, {MASK}"),
        ("So [[A>>B]] it is: A>B.", f"So {MASK} it is: {MASK}."),
        ("A good answer cites A-level sources.", "A good answer cites A-level sources."),
        ("Responses 1 and 2", f"{MASK} and 2"),
        ("A explains more than response b.", f"{MASK} explains more than {MASK}."),
        ("我认为回答A更好", f"我认为回答{MASK}更好"),
    ],
)
def test_names_of_the_sides_are_masked_and_articles_stay(chain, masked):
    assert mask_sides(chain) == masked


def interpretation(pair, chain="Response A is shorter and that decides."):
    return Interpretation(
        interpretation_id=interpretation_id(pair, "chosen_first", 0), pair_id=pair.pair_id, row=pair.row,
        order="chosen_first", chain=chain, answer="", chain_source="field",
    )  # fmt: skip


def asked(pair):
    return build_request(pair, interpretation(pair), PROMPT, InterpretationConfig(), seed=0)


def test_the_question_shows_both_responses_and_no_name():
    pair = make_pair(chosen="Pear.", rejected="Nothing.")
    (message,) = asked(pair).messages
    assert f"{MASK} is shorter and that decides." in message.content
    assert "Pear." in message.content and "Nothing." in message.content
    assert "Response A" not in message.content


def results(answer, pairs):
    return [
        parse_check(interpretation(p), asked(p), output_from_text(answer, "stop", Usage(), "m"), 0).result
        for p in pairs
    ]


def test_the_place_of_the_chosen_response_is_drawn_anew():
    pairs = [make_pair(prompt=f"Question {i}?") for i in range(400)]
    found = results('{"winner": 1}', pairs)
    assert 160 <= found.count("confirmed") <= 240
    assert set(found) == {"confirmed", "contradicted"}
    opposite = {"confirmed": "contradicted", "contradicted": "confirmed"}
    assert results("2", pairs) == [opposite[result] for result in found]


@pytest.mark.parametrize("answer", ['{"winner": 0}', "0.", 'They fit both. {"winner": 0}'])
def test_neither_is_an_answer(answer):
    assert results(answer, [make_pair()]) == ["unclear"]


@pytest.mark.parametrize("answer", ["", "Response 1, I think", '{"winner": 3}', '{"winner": true}'])
def test_what_names_no_winner_is_a_fault(answer):
    with pytest.raises(ParseError):
        results(answer, [make_pair()])
