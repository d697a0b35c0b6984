"""No number that is no probability becomes a verdict, whichever back end it comes from; no key is shown in part."""

import json
import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autorule.backends.answer_store import AnswerStore, NewGeneration, StoredGeneration
from autorule.backends.base import (
    SLACK,
    ChoiceProbabilities,
    ChoiceRequest,
    Question,
    choice_result,
    probabilities_from_top_logprobs,
    probability_of,
)
from autorule.backends.cache_keys import choice_keys
from autorule.backends.cached import CachedBackend
from autorule.backends.chat_replies import read_choices
from autorule.backends.generative_scoring import GenerativeScoring
from autorule.backends.keys import quoted, read_key
from autorule.backends.retrying import FailedExchangeError
from autorule.backends.scripted import ScriptedBackend, open_script
from autorule.backends.token_scoring import _probabilities_by_index
from autorule.errors import CacheError, ConfigError
from autorule.records import Failure, Usage
from tests.conftest import messages

REQUEST = ChoiceRequest("c", "verification", messages("Pear."), (Question("r", "Is it short?"),))
NUMBERS = st.one_of(st.floats(), st.integers(), st.just(10**400), st.booleans(), st.none(), st.text(max_size=3))


@given(st.lists(st.tuples(st.sampled_from(["Yes", " yes", "No", "Maybe", "no"]), NUMBERS), min_size=1, max_size=6))
def test_what_is_read_of_log_probabilities_is_probabilities_or_nothing(top):
    try:
        found = probabilities_from_top_logprobs(top, ("Yes", "No"), Usage())
    except ValueError:
        return
    for _, logprob in top:
        assert isinstance(logprob, (int, float)) and math.isfinite(logprob) and logprob <= SLACK
    if found is not None:
        told = [p for choice, p in found.probabilities.items() if choice not in found.bounded]
        assert all(0 <= p <= 1 + SLACK for p in found.probabilities.values()) and sum(told) <= 1 + SLACK


@given(st.dictionaries(st.sampled_from(["Yes", "No", "N/A"]), st.floats() | st.integers(-3, 3), max_size=3))
def test_a_back_end_tells_probabilities_or_a_failure(values):
    result = choice_result(REQUEST, values)
    if isinstance(result, Failure):
        assert result.item_id == "c" and "probabilities" in result.message
    else:
        assert result.probabilities and sum(result.probabilities.values()) <= 1 + SLACK
        assert all(p >= 0 for p in result.probabilities.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 1.1])
def test_no_record_holds_what_is_no_probability(value):
    with pytest.raises(ValidationError):
        ChoiceProbabilities(probabilities={"Yes": value, "No": 0.1})


@pytest.mark.parametrize("logprob", [math.nan, math.inf, -math.inf, 0.5, 10**400, None, "-0.1", True, [-0.1]])
def test_what_is_no_log_probability_is_none(logprob):
    with pytest.raises(ValueError, match="no log-probability"):
        probability_of(logprob)


def test_a_script_that_tells_nan_gives_a_failure_that_is_not_kept(tmp_path):
    store = AnswerStore(tmp_path / "cache.sqlite")
    backend = ScriptedBackend(choice_script=lambda *_: math.nan)
    for _ in range(2):
        [(_, _, result)] = CachedBackend(backend, store).score_choices([REQUEST])
        assert isinstance(result, Failure)
    assert len(backend.choice_log) == 2


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "null",
        "[",
        '{"probabilities": {"Yes": NaN, "No": 0.1}}',
        '{"probabilities": {"Yes": 2.0, "No": 0.1}}',
        '{"probabilities": {"Yes": 0.4, "No": 0.1}, "newer": 1}',
        '{"probabilities": {"Yes": 0.4}}',
        '{"probabilities": {"Yes": 0.4, "Maybe": 0.1}}',
        '{"probabilities": {"Yes": "0.4", "No": 0.1}}',
        '{"probabilities": {"Yes": true, "No": false}}',
        '{"probabilities": {"Yes": 0.9, "No": 0.9}, "bounded": ["Yes", "No"]}',
        '{"probabilities": {"Yes": 0.4, "No": 0.1}, "usage": {"prompt_tokens": -5}}',
        b"\xff\xfe{}",
        b'{"probabilities": {"Yes": 0.4, "No": 0.1, "\xff": 0}}',
    ],
)
def test_a_cached_answer_that_can_not_be_read_is_asked_for_again(tmp_path, stored):
    store = AnswerStore(tmp_path / "cache.sqlite")
    backend = ScriptedBackend(choice_script=lambda *_: 0.75)
    [key] = choice_keys(backend.identity, REQUEST).values()
    store.put_choices([(key, stored)])
    for n_sent in (1, 0):
        cached = CachedBackend(backend, store)
        [(_, _, result)] = cached.score_choices([REQUEST])
        assert result.probabilities["Yes"] == 0.75
        assert cached.counts.sent == n_sent


def test_a_file_that_others_wrote_to_is_read_as_far_as_it_can_be(tmp_path):
    store = AnswerStore(tmp_path / "cache.sqlite")
    store.put_choices([(b"k", '{"probabilities": {}}')])
    store.put_generations([NewGeneration(b"g", 1, "mining", False, "{}")])
    with sqlite3.connect(tmp_path / "cache.sqlite") as connection:
        connection.execute("UPDATE choices SET used_at = 'abc', payload = CAST(x'fffe7b' AS TEXT)")
        connection.execute("UPDATE generations SET used_at = x'00', failed = 'no', payload = 7")
    assert store.choices([b"k"]) == {b"k": b"\xff\xfe{"}
    assert store.generations([b"g"])[b"g"] == [StoredGeneration(1, False, b"7")]


@pytest.mark.parametrize("content", [b"x", b"notes of somebody", b"SQLite format 4 and more"])
def test_a_file_of_others_is_no_cache_and_stays_as_it_is(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    with pytest.raises(CacheError, match="it is no cache file"):
        AnswerStore(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_bytes() == content


@pytest.mark.parametrize(
    "values",
    [{"Yes": "0.9", "No": 0.1}, {"Yes": True, "No": False}, {"Yes": 0.9}, {"Yes": 0.9, "No": 0.1, "Maybe": 0.0}, {}],
)
def test_what_a_back_end_tells_must_be_numbers_of_the_choices_that_were_asked_about(values):
    assert isinstance(choice_result(REQUEST, values), Failure)


@pytest.mark.parametrize("said", [10**400, "abc", "0.9", None, [1], math.inf, -1, 2, {}])
def test_a_script_may_say_anything(said):
    [(_, _, result)] = ScriptedBackend(choice_script=lambda *_: said).score_choices([REQUEST])
    assert isinstance(result, Failure) and result.message


@pytest.mark.parametrize(
    "line", ['{"p_yes": "x"}', '{"p_yes": true}', '{"p_yes": 7}', '{"text": 5}', "[]", "{", '{"contains": 5}']
)
def test_a_file_of_answers_with_a_line_that_can_not_answer_names_it(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "Hello."}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2"):
        open_script(str(tmp_path / "a.jsonl"))


def chat_reply(*top, **entry):
    logprobs = {"content": [{"token": "Yes", "top_logprobs": [{"token": t, "logprob": p, **entry} for t, p in top]}]}
    return {"choices": [{"index": 0, "message": {"content": "Yes"}, "logprobs": logprobs}]}


@pytest.mark.parametrize("space", ["\u0120", "\u2581", " "])
def test_a_token_with_a_space_before_it_is_another_one(space):
    for reply in (
        chat_reply((f"{space}Yes", -0.5), ("Yes", -1.5), ("No", -3)),
        {"choices": [{"logprobs": {"top_logprobs": [{f"{space}Yes": -0.5, "Yes": -1.5, "No": -3}]}}]},
    ):
        found = read_choices(reply, ("Yes", "No"))
        assert found.probabilities["Yes"] == pytest.approx(math.exp(-0.5) + math.exp(-1.5))


@pytest.mark.parametrize("raw", [2_000_000_000, [True, False], [999], ["a"], "Yes", list(range(200)) * 9])
def test_bytes_that_are_none_are_a_fault_of_the_reply(raw):
    with pytest.raises(FailedExchangeError, match="malformed"):
        read_choices(chat_reply(("Yes", -0.1), ("No", -3), bytes=raw), ("Yes", "No"))


def test_of_several_choices_it_must_be_known_which_is_the_first():
    one, other = chat_reply(("Yes", -0.1), ("No", -3))["choices"], chat_reply(("Yes", -3), ("No", -0.1))["choices"]
    with pytest.raises(FailedExchangeError, match="several choices"):
        read_choices({"choices": one + other}, ("Yes", "No"))
    other[0]["index"] = 1
    assert read_choices({"choices": other + one}, ("Yes", "No")).probabilities["Yes"] > 0.5


@pytest.mark.parametrize(
    "top",
    [
        {"token_id:1": -0.2, "1": -9.0, "token_id:2": -3.0},
        {"token_id:\u0661": -0.2, "token_id:2": -3.0},
        {"token_id:1": -0.2, "token_id:2": -3.0, "token_id:9": -0.01},
        {"token_id:1": -0.2, "token_id:2": -3.0, "x": -9.0},
    ],
)
def test_token_ids_are_told_once_and_have_at_most_1_together(top):
    assert _probabilities_by_index({"choices": [{"index": 0, "logprobs": {"top_logprobs": [top]}}]}) == {}


@pytest.mark.parametrize("times", [1, 2])
def test_a_question_that_a_server_tells_of_twice_is_a_failure(times):
    reply = {"data": [{"index": 0, "score": 0.9}] * times}
    [(_, _, result)] = GenerativeScoring.read(reply, REQUEST, False)
    assert isinstance(result, Failure) == (times == 2)


def test_no_half_of_a_key_is_left_where_a_text_is_cut(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-0123456789")
    assert read_key("SOME_KEY") == "sk-0123456789"
    assert quoted("x" * 295 + "sk-0123456789").endswith("[key]")
    assert "sk-0" not in quoted({"said": "sk-0123456789"}) and "sk-0" not in quoted(b"\xff sk-0123456789")
    deep = json.loads("[" * 900 + "]" * 900)
    assert quoted(deep)
