"""Labels of published sets: each fault of a row is one line with file, row, value and fix; none is passed over."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorule.errors import InputError
from autorule.verification.labels import read_labels

PROMPT = {"key": 1, "kwargs": [{}]}
RESPONSE = {"key": 1, "prompt": "p", "response": "c", "rules": ["punctuation:no_comma"], "rule_followed": [True]}
WORDS = "keywords:existence"
GOLD = {"prompt_messages": [{"role": "user", "content": "p"}], "response": "c", "rules": {"a": True}}
PROPOSITIONS = {"simple_propositions": {"a": {"prompt": "Is it kind?"}}}


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def ifeval(folder, responses, prompts):
    return read_labels(
        write(folder / "responses.jsonl", *responses), "ifeval", {}, write(folder / "prompts.jsonl", *prompts)
    )


def without(row, name):
    return {key: value for key, value in row.items() if key != name}


def line(caught):
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def of_words(**given):
    return {**RESPONSE, "rules": [WORDS]}, {"key": 1, "kwargs": [given]}


FAULTS = [
    (RESPONSE, without(PROMPT, "key"), "prompts.jsonl, row 1: key is missing"),
    (RESPONSE, {**PROMPT, "key": [1]}, "prompts.jsonl, row 1: key is [1]"),
    (RESPONSE, {**PROMPT, "key": {"a": 1}}, "prompts.jsonl, row 1: key is {'a': 1}"),
    (RESPONSE, {**PROMPT, "key": True}, "prompts.jsonl, row 1: key is True"),
    (RESPONSE, without(PROMPT, "kwargs"), "prompts.jsonl, row 1: kwargs is missing; give a list"),
    (RESPONSE, {**PROMPT, "kwargs": "[{}]"}, "prompts.jsonl, row 1: kwargs is '[{}]'; give a list"),
    (RESPONSE, {**PROMPT, "kwargs": []}, "1 rules, 1 of rule_followed and 0 kwargs in"),
    (RESPONSE, {**PROMPT, "kwargs": [3]}, "prompts.jsonl, row 1: kwargs of punctuation:no_comma are 3; give an object"),
    (RESPONSE, "no JSON", "prompts.jsonl, row 1: not valid JSON"),
    (RESPONSE, "[1]", "prompts.jsonl, row 1: a row must be a JSON object"),
    (without(RESPONSE, "key"), PROMPT, "responses.jsonl, row 1: key is missing"),
    ({**RESPONSE, "key": [1]}, PROMPT, "responses.jsonl, row 1: key is [1]"),
    ({**RESPONSE, "key": 2}, PROMPT, "responses.jsonl, row 1: key 2 is not in"),
    (without(RESPONSE, "prompt"), PROMPT, "responses.jsonl, row 1: prompt is missing"),
    ({**RESPONSE, "prompt": None}, PROMPT, "responses.jsonl, row 1: prompt is missing"),
    ({**RESPONSE, "prompt": 3}, PROMPT, "responses.jsonl, row 1: prompt is int 3"),
    ({**RESPONSE, "prompt": " "}, PROMPT, "responses.jsonl, row 1: prompt is empty"),
    ({**RESPONSE, "prompt": "\ud800"}, PROMPT, "responses.jsonl, row 1: prompt holds half of a surrogate pair"),
    (without(RESPONSE, "response"), PROMPT, "responses.jsonl, row 1: response is missing; give its text"),
    ({**RESPONSE, "response": ["c"]}, PROMPT, "responses.jsonl, row 1: response is ['c']; give its text"),
    ({**RESPONSE, "response": "\ud800"}, PROMPT, "responses.jsonl, row 1: response holds half of a surrogate pair"),
    (without(RESPONSE, "rules"), PROMPT, "responses.jsonl, row 1: rules is missing; give a list"),
    ({**RESPONSE, "rules": "punctuation:no_comma"}, PROMPT, "responses.jsonl, row 1: rules is 'punctuation:no_comma'"),
    ({**RESPONSE, "rules": [["x"]]}, PROMPT, "responses.jsonl, row 1: unknown instruction ['x']"),
    ({**RESPONSE, "rules": ["x:y"]}, PROMPT, "responses.jsonl, row 1: unknown instruction 'x:y'"),
    ({**RESPONSE, "rule_followed": True}, PROMPT, "responses.jsonl, row 1: rule_followed is True; give a list"),
    ({**RESPONSE, "rule_followed": []}, PROMPT, "responses.jsonl, row 1: 1 rules, 0 of rule_followed and 1 kwargs"),
    ({**RESPONSE, "rule_followed": [None]}, PROMPT, "rule_followed is None; write true or false"),
    (*of_words(), "prompts.jsonl, row 1: keywords:existence needs 'keywords', found {}"),
    (*of_words(keywords=None), "prompts.jsonl, row 1: keywords:existence needs 'keywords'"),
    (*of_words(keywords="pear"), "keywords:existence needs a list of words, found 'pear'"),
    (*of_words(keywords=[1]), "keywords:existence needs a list of words, found [1]"),
    (*of_words(keywords=["\ud800"]), "prompts.jsonl, row 1: kwargs holds half of a surrogate pair"),
]


@pytest.mark.parametrize(("response", "prompt", "words"), FAULTS)
def test_a_fault_of_an_ifeval_row_is_one_line(tmp_path, response, prompt, words):
    with pytest.raises(InputError) as caught:
        ifeval(tmp_path, [response], [prompt])
    assert words in line(caught)


@pytest.mark.parametrize("bad", ["no JSON", "[1]", {"key": 2}, {"kwargs": []}])
def test_a_bad_row_of_the_prompts_is_not_passed_over_because_others_are_good(tmp_path, bad):
    with pytest.raises(InputError, match=r"prompts\.jsonl, row 2"):
        ifeval(tmp_path, [RESPONSE], [PROMPT, bad])


def test_a_key_that_comes_twice_must_say_the_same(tmp_path):
    assert len(ifeval(tmp_path, [RESPONSE], [PROMPT, PROMPT])) == 1
    with pytest.raises(InputError, match=r"row 2: key 1 is that of row 1 too, with other kwargs"):
        ifeval(tmp_path, [RESPONSE], [PROMPT, {**PROMPT, "kwargs": [{"a": 1}]}])


def test_tables_have_null_for_what_an_instruction_does_not_take(tmp_path):
    response, _ = of_words()
    kwargs = [{"keywords": ["pear"], "num_words": None}]
    prompts = tmp_path / "prompts.parquet"
    pq.write_table(pa.Table.from_pylist([{"key": 1, "kwargs": kwargs}]), prompts)
    (label,) = read_labels(write(tmp_path / "r.jsonl", {**response, "id": 7}), "ifeval", {}, prompts)
    assert label.rule == "The response should contain the words pear."
    assert (label.satisfied, label.completion.source_id) == (True, "7")


GOLD_FAULTS = [
    (without(GOLD, "rules"), "rules is missing; give an object"),
    ({**GOLD, "rules": [1]}, "rules is [1]; give an object"),
    ({**GOLD, "rules": None}, "rules is missing; give an object"),
    ({**GOLD, "rules": {"a": "perhaps"}}, "rules.a is 'perhaps'; write true or false"),
    (without(GOLD, "response"), "response is missing; give its text"),
    ({**GOLD, "response": "\ud800"}, "response holds half of a surrogate pair"),
    (without(GOLD, "prompt_messages"), "prompt is missing"),
    ({**GOLD, "prompt_messages": 3}, "prompt_messages is int 3"),
    ({**GOLD, "prompt_messages": [{"role": "user", "content": None}]}, "prompt_messages holds no content (null)"),
    ({**GOLD, "prompt_messages": [{"role": "user", "content": "\ud800"}]}, "holds half of a surrogate pair"),
    ("no JSON", "not valid JSON"),
]


@pytest.mark.parametrize(("row", "words"), GOLD_FAULTS)
def test_a_fault_of_a_gold_row_is_one_line(tmp_path, row, words):
    side = write(tmp_path / "propositions.json", PROPOSITIONS)
    with pytest.raises(InputError) as caught:
        read_labels(write(tmp_path / "gold.jsonl", row), "rbr_gold", {}, side)
    assert "gold.jsonl, row 1: " in line(caught) and words in line(caught)


@pytest.mark.parametrize("side", [[], {}, {"simple_propositions": [1]}, {"simple_propositions": {"a": {}}},
                                  {"simple_propositions": {"a": {"prompt": "\ud800"}}}])  # fmt: skip
def test_propositions_that_can_not_be_read_are_one_line(tmp_path, side):
    with pytest.raises(InputError, match=r"propositions\.json holds no simple_propositions") as caught:
        read_labels(write(tmp_path / "gold.jsonl", GOLD), "rbr_gold", {}, write(tmp_path / "propositions.json", side))
    line(caught)


def test_gold_rows_are_read(tmp_path):
    side = write(tmp_path / "propositions.json", PROPOSITIONS)
    rows = [{**GOLD, "id": 3}, {"prompt": "p", "response": "c", "rules": {"a": "no", "b": 1}}]
    first, second = read_labels(write(tmp_path / "gold.jsonl", *rows), "rbr_gold", {}, side)
    assert (first.satisfied, first.completion.source_id, second.satisfied) == (True, "3", False)
    assert first.completion.completion_id == second.completion.completion_id


@pytest.mark.parametrize(("rule", "words"), [(None, "rule is missing"), (3, "rule is 3"), ("\ud800", "half of a surr")])
def test_a_rule_that_is_no_text_is_one_line(tmp_path, rule, words):
    row = {"prompt": "p", "completion": "c", "rule": rule, "satisfied": True}
    with pytest.raises(InputError, match=f"row 1: .*{words}"):
        read_labels(write(tmp_path / "rows.jsonl", row), "rows", {})
