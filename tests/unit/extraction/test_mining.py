import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.asking import ask
from autorule.backends.base import output_from_text
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import MiningConfig
from autorule.errors import ParseError
from autorule.extraction.interpretation import given_interpretation
from autorule.extraction.mining import build_request, candidates_from, parse_rules
from autorule.prompting import load_prompt
from autorule.records import Failure, Usage
from autorule.rules.text import clean_rule, normalise_rule
from tests.conftest import make_pair

CONFIG = MiningConfig()
CHAIN = given_interpretation(make_pair(reasoning="It ```fits``` {chain}.", explanation="Short."))
ONE = ["The response should be short."]


def request(variant="mining", **config):
    return build_request(CHAIN, load_prompt(variant), MiningConfig(**config))


def parse(text, finish_reason="stop", variant="mining"):
    return parse_rules(request(variant), output_from_text(text, finish_reason, Usage(), "m"))


def test_golden_prompt():
    (message,) = request(max_rules=3).messages
    assert "\n````\nIt ```fits``` {chain}.\n````\n" in message.content
    assert "At most 3 rules" in message.content
    assert request().json_schema["required"] == ["rules"]
    assert request("mining.small").json_schema is None


@pytest.mark.parametrize(
    ("source", "shown"),
    [("chain", "It ```fits``` {chain}."), ("answer", "Short."), ("both", "It ```fits``` {chain}.\n\nShort.")],
)
def test_what_is_mined_is_what_the_setting_says(source, shown):
    content = request(extract_from=source).messages[0].content
    assert shown in content
    assert ("It ```fits```" in content) is (source != "answer")


def test_mining_an_answer_that_is_not_there_is_an_error_not_a_fallback():
    without = given_interpretation(make_pair(reasoning="It fits the request."))
    with pytest.raises(ParseError, match="no answer"):
        build_request(without, load_prompt("mining"), MiningConfig(extract_from="answer"))


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        ('{"rules": ["The response should be short."]}', ONE),
        ('```json\n{"rules": ["The response should be short."]}\n```', ONE),
        ('Here you are:\n["The response should be short."] Done.', ONE),
        ('<think>{"rules": ["wrong"]}</think>{"rules": ["The response should be short."]}', ONE),
        ('{"rules": ["...", "..."]}\n{"rules": ["The response should be short."]}', ONE),
        ("- The response should be short.\n", ONE),
        ("1. The response should be short.\n2) It should rhyme.", [*ONE, "It should rhyme."]),
        ('{"rules": []}', []),
        ("- The response should return [] for no input.", ["The response should return [] for no input."]),
        ('{"rules": ["The response should be short."]} Else I would have said {"rules": []} or [].', ONE),
    ],
    ids=[
        "clean",
        "fenced",
        "text around",
        "thinking",
        "echoed example",
        "bullets",
        "numbers",
        "explicitly none",
        "brackets in a rule",
        "none mentioned later",
    ],
)
def test_answers_that_can_be_read(answer, rules):
    assert parse(answer) == rules


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        '{"rules": ["It should return [] for',
        "",
        "  ",
        "I could not find any.",
        '{"rules": ["The response should',
        '{"rules": [1, 2]}',
        '{"verdict": "A"}',
    ],
    ids=[
        "bare brackets",
        "truncated with brackets",
        "empty",
        "blank",
        "prose",
        "truncated",
        "not texts",
        "another object",
    ],
)
def test_answers_that_can_not_be_read(answer):
    with pytest.raises(ParseError):
        parse(answer)


def test_the_last_line_of_a_list_that_was_cut_off_is_dropped():
    assert parse("- The response should be short.\n- The response should be", "length") == ONE
    assert parse("- The response should be short.", "length") == ONE
    with pytest.raises(ParseError):
        parse("- The response should be", "length")


def test_a_begun_answer_is_completed():
    assert parse(" be short.\n- The response should rhyme.", variant="mining.small") == [
        *ONE,
        "The response should rhyme.",
    ]


@pytest.mark.parametrize(
    ("answer", "finish_reason", "kind"),
    [
        ("I'm sorry, I can't do that.", "stop", "refused"),
        ("", "content_filter", "refused"),
        ("{", "length", "truncated"),
        ("hm", "stop", "parse"),
    ],
)
def test_what_can_not_be_read_becomes_a_failure_with_its_kind_and_the_raw_text(answer, finish_reason, kind):
    backend = ScriptedBackend(lambda _: output_from_text(answer, finish_reason, Usage(), "m"))
    ((_, failure),) = ask(backend, [request()], parse_rules)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.raw, failure.item_id) == (kind, answer, CHAIN.interpretation_id)


def test_asking_again_is_bounded_and_stops_at_the_first_answer_that_can_be_read():
    backend = ScriptedBackend(["?", '{"rules": ["The response should be short."]}', "never asked"])
    assert [result for _, result in ask(backend, [request()], parse_rules, asks=3)] == [ONE]
    assert len(backend.log) == 2
    backend = ScriptedBackend(["?", "?", "?"])
    ((_, failure),) = ask(backend, [request()], parse_rules, asks=2)
    assert (len(backend.log), failure.attempts) == (2, 2)


def test_candidates_are_distinct_capped_and_kept_with_their_lint():
    rules = [
        "The response should be short",
        "the response should be SHORT!",
        "Be kind.",
        "It should rhyme well.",
        "It should end soon.",
    ]
    candidates = candidates_from(CHAIN, rules, load_prompt("mining"), MiningConfig(max_rules=2))
    assert [(c.text, c.lint) for c in candidates] == [
        ("The response should be short.", ()),
        ("Be kind.", ("too_short",)),
        ("It should rhyme well.", ()),
        ("It should end soon.", ("over_max_rules",)),
    ]
    assert all(c.pair_id == CHAIN.pair_id for c in candidates)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ('"It should be short."', "It should be short."),
        ("**It should be short**", "It should be short."),
        ('It should end with "done"', 'It should end with "done".'),
        ("3. It should be short", "It should be short."),
    ],
)
def test_marks_around_a_rule_go_and_those_in_it_stay(text, cleaned):
    assert clean_rule(text) == cleaned


@given(st.text(max_size=80))
def test_cleaning_is_idempotent_and_keeps_the_words(text):
    cleaned = clean_rule(text)
    assert clean_rule(cleaned) == cleaned
    assert "\n" not in cleaned
    if cleaned:
        assert set(normalise_rule(cleaned).split()) <= set(normalise_rule(text).split())
