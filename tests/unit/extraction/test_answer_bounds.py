"""What schemas let an answer hold, and what becomes of one that ended at its bound or at its budget."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.asking import ask
from autorule.backends.base import output_from_text
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import MiningConfig, Sampling, SynthesisConfig
from autorule.errors import ParseError
from autorule.extraction import chain_check, mining
from autorule.extraction.answer_bounds import MARKS_CHARS, ran_on
from autorule.extraction.interpretation import given_interpretation
from autorule.extraction.merging import Merge, Merged, build_request, build_review, parse_merge, parse_review
from autorule.extraction.rule_checks import (
    apply_split,
    build_contradictions,
    build_split,
    parse_contradictions,
    parse_split,
)
from autorule.extraction.synthesis import Draft
from autorule.prompting import load_prompt
from autorule.records import Failure, Usage
from autorule.rules.linting import lint_rule, sets_aside
from autorule.rules.text import clean_rule
from tests.conftest import make_pair

CHAIN = given_interpretation(make_pair(reasoning="It fits the request well."))
CONFIG = SynthesisConfig()
RULE = "The response should be short."
GROUP = [Draft(f"The response should have {name}.", ()) for name in ("lists", "tables", "links")]
REQUESTS = {
    "mining": mining.build_request(CHAIN, load_prompt("mining"), MiningConfig()),
    "merge": build_request(GROUP, load_prompt("synthesis"), CONFIG),
    "review": build_review(
        Merge(tuple(GROUP), (Merged(RULE, (0,)),), {1: 0}, (2,)), load_prompt("synthesis_review"), CONFIG
    ),
    "split": build_split(GROUP, load_prompt("synthesis_split"), CONFIG),
    "contradictions": build_contradictions([(RULE, "b"), ("a", "c")], load_prompt("synthesis_contradictions"), CONFIG),
}
PARSERS = {
    "mining": mining.parse_rules,
    "merge": lambda request, output: parse_merge(request, output, 3),
    "review": lambda request, output: parse_review(request, output, 2, 1),
    "split": lambda request, output: parse_split(request, output, 3),
    "contradictions": lambda request, output: parse_contradictions(request, output, 2),
}
WHOLE = {
    "mining": {"rules": [RULE] * 8},
    "merge": {"rules": [{"rule": RULE, "from": [n]} for n in (1, 2, 3)]},
    "review": {"matches": [{"statement": 1, "rule": 1}, {"statement": 2, "rule": 0}]},
    "split": {"rules": [{"from": n, "parts": [RULE, "It should rhyme."]} for n in (1, 2, 3)]},
    "contradictions": {"contradictions": [1, 2]},
}


def answer(value, finish_reason="stop"):
    text = value if isinstance(value, str) else json.dumps(value)
    return output_from_text(text, finish_reason, Usage(), "m")


def parts_of(schema):
    yield schema
    for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from parts_of(part)


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_list_text_and_number_has_a_bound(kind):
    bounds = {"array": "maxItems", "string": "maxLength", "integer": "maximum"}
    parts = list(parts_of(REQUESTS[kind].json_schema))
    assert all(bounds.get(part["type"], "type") in part for part in parts)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_whole_answer_fits_its_schema_and_does_not_run_on(kind):
    jsonschema.validate(WHOLE[kind], REQUESTS[kind].json_schema)
    assert PARSERS[kind](REQUESTS[kind], answer(WHOLE[kind]))
    assert not ran_on(REQUESTS[kind], answer(WHOLE[kind]))


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_list_that_ran_on_is_told(kind):
    ((name, items),) = WHOLE[kind].items()
    for n in (20, 500):
        long = {name: (items * n)[:n]}
        assert ran_on(REQUESTS[kind], answer(long))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(long, REQUESTS[kind].json_schema)


@pytest.mark.parametrize("kind", REQUESTS)
def test_json_that_is_cut_off_is_a_failure_that_names_the_budget(kind):
    request = REQUESTS[kind]
    whole = json.dumps(WHOLE[kind])
    for n in range(1, len(whole)):
        with pytest.raises(ParseError):  # the whole one before it may be an example or a draft
            PARSERS[kind](request, answer(f"{whole} No, rather: {whole[:n]}", "length"))
    assert PARSERS[kind](request, answer(whole + " That is all that I", "length"))
    ((_, failure),) = ask(ScriptedBackend(lambda _: answer(whole[:-2], "length")), [request], PARSERS[kind])
    assert isinstance(failure, Failure) and failure.kind == "truncated"
    n_tokens = f"{request.sampling.max_tokens:,}"
    assert failure.message.endswith(f"its budget of {n_tokens} tokens: raise {request.stage}.sampling.max_tokens")


def test_a_winner_before_a_cut_is_none():
    request = mining.build_request(CHAIN, load_prompt("mining"), MiningConfig())
    with pytest.raises(ParseError, match="cut off"):
        chain_check.parse_check(CHAIN, request, answer('{"winner": 1} or rather {"winner"', "length"), 0)


@given(st.integers(20, 400), st.text(alphabet="aé回か한ไ ", max_size=500))
def test_a_good_rule_fits_its_bound_with_its_marks_and_one_that_is_cut_is_none(max_chars, text):
    bound = mining.rules_schema(MiningConfig(max_rule_chars=max_chars))["properties"]["rules"]["items"]["maxLength"]
    rule = clean_rule(text)
    if not sets_aside(lint_rule(rule, "", max_chars)):
        assert len(f'- **"{rule}"**') <= bound
    cut = clean_rule(("word " + "x" * 9 + " ") * 100)[:bound]
    assert bound == max_chars + MARKS_CHARS and "too_long" in lint_rule(clean_rule(cut), "", max_chars)


def test_rules_may_be_missing_from_lists_that_ran_on_and_lines_that_were_cut():
    request = REQUESTS["mining"]
    lines = mining.build_request(CHAIN, load_prompt("mining.small"), MiningConfig())
    assert mining.is_cut(request, answer({"rules": [RULE] * 17}))
    assert mining.is_cut(request, answer([RULE] * 17))
    assert not mining.is_cut(request, answer({"rules": [RULE] * 16}))
    assert not mining.is_cut(request, answer(json.dumps({"rules": [RULE]}) + " and", "length"))
    assert mining.is_cut(lines, answer(" be short.\n- The response should", "length"))
    assert not mining.is_cut(lines, answer(" be short."))


def test_the_last_candidate_of_a_cut_list_says_so_and_goes_on():
    config, prompt = MiningConfig(), load_prompt("mining")
    found = mining.candidates_from(CHAIN, [RULE, "It should rhyme well."], prompt, config, cut=True)
    assert [candidate.lint for candidate in found] == [(), ("list_cut",)]
    assert not sets_aside(found[-1].lint)
    assert mining.candidates_from(CHAIN, [], prompt, config, cut=True) == []


def test_a_rule_with_more_parts_than_it_can_have_stays_whole():
    parts = {0: [f"The response should have {n} lists." for n in range(31)]}
    assert [draft.text for draft in apply_split(GROUP, parts, load_prompt("synthesis_split"), 300)] == [
        draft.text for draft in GROUP
    ]
    assert len(apply_split(GROUP, {0: parts[0][:30]}, load_prompt("synthesis_split"), 300)) == 32


def test_the_budget_of_mining_grows_with_what_is_asked_for_and_is_kept_where_it_is_set():
    assert MiningConfig().sampling == Sampling()  # so that forms, which show the default, say the same
    few, many = MiningConfig(max_rules=2), MiningConfig(max_rules=50, sampling={"temperature": 0.5})
    assert few.sampling.max_tokens < 4096 < many.sampling.max_tokens
    assert many.sampling.temperature == 0.5
    assert MiningConfig(max_rules=50, sampling={"max_tokens": 100}).sampling.max_tokens == 100
    assert MiningConfig.model_validate(many.model_dump()) == many
