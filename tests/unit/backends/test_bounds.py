"""No number that is no probability becomes a verdict, whichever back end it comes from; no key is shown in part."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autorule.backends.answer_store import AnswerStore
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
from autorule.backends.generative_scoring import GenerativeScoring
from autorule.backends.keys import quoted, read_key
from autorule.backends.scripted import ScriptedBackend
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
