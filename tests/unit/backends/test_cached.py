import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorule.backends.answer_store import AnswerStore, NewGeneration
from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.backends.cached import CachedBackend
from autorule.backends.scripted import ScriptedBackend
from autorule.config.stages import Sampling
from autorule.errors import ConfigError
from autorule.records import CallCounts, Failure, Message, ModelOutput
from tests.conftest import messages


def request(text="q", request_id="r", **fields):
    defaults = {"stage": "mining", "messages": messages(text), "sampling": Sampling(), "prompt_sha256": "s"}
    return GenerateRequest(request_id=request_id, **{**defaults, **fields})


@pytest.fixture
def store(tmp_path):
    return AnswerStore(tmp_path / "answers.sqlite")


def texts(backend, *requests):
    return [a.result.text if isinstance(a.result, ModelOutput) else a.result.kind for a in backend.generate(requests)]


def test_an_answer_is_asked_for_once_also_by_another_process_of_the_same_file(store):
    model = ScriptedBackend(["one"])
    first = CachedBackend(model, store)
    assert texts(first, request()) == ["one"]
    second = CachedBackend(model, AnswerStore(store.path))
    assert texts(second, request(request_id="other")) == ["one"]
    assert len(model.log) == 1
    assert (first.counts.sent, second.counts) == (1, CallCounts(cached=1))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": messages("another")},
        {"messages": (Message(role="system", content="q"),)},
        {"sampling": Sampling(seed=1)},
        {"sampling": Sampling(temperature=0.5)},
        {"sample_index": 1},
        {"prompt_sha256": "t"},
        {"json_schema": {"type": "object"}},
    ],
)
def test_whatever_fixes_an_answer_is_part_of_its_key(store, change):
    backend = CachedBackend(ScriptedBackend(["one", "two"]), store)
    assert texts(backend, request()) == ["one"]
    assert texts(backend, dataclasses.replace(request(), **change)) == ["two"]


def test_another_model_has_answers_of_its_own(store):
    assert texts(CachedBackend(ScriptedBackend(["one"], name="m1"), store), request()) == ["one"]
    assert texts(CachedBackend(ScriptedBackend(["two"], name="m2"), store), request()) == ["two"]


def test_the_same_request_twice_in_one_call_is_sent_once(store):
    backend = CachedBackend(ScriptedBackend(["one"]), store)
    assert texts(backend, request(request_id="a"), request(request_id="b")) == ["one", "one"]
    assert backend.counts == CallCounts(sent=1, cached=1)


def test_an_answer_that_can_not_be_parsed_is_kept_but_asked_again_under_the_next_attempt(store):
    model = ScriptedBackend(["bad", "good"])
    picky = request(
        fault=lambda output: (
            None if output.text == "good" else Failure(stage="mining", kind="parse", message="not good")
        )
    )
    backend = CachedBackend(model, store)
    assert texts(backend, picky) == ["bad"]
    assert texts(backend, picky) == ["good"]
    assert texts(backend, picky) == ["good"]
    assert [r.attempt for r in model.log] == [0, 1]
    assert store.stats().generations_by_stage == {"mining": 2}


def test_failures_are_kept_for_the_record_and_never_served(store):
    failure = Failure(stage="mining", kind="timeout", message="late")
    model = ScriptedBackend([failure, "good"])
    assert texts(CachedBackend(model, store), request()) == ["timeout"]
    assert texts(CachedBackend(model, store), request()) == ["good"]
    assert store.stats().failed_generations == 1


def test_without_a_store_every_request_is_sent():
    backend = CachedBackend(ScriptedBackend(["one", "two"]), None)
    assert texts(backend, request()) + texts(backend, request()) == ["one", "two"]
    assert backend.counts.sent == 2


class Batching(ScriptedBackend):
    batch_size = 3


def test_a_batch_is_committed_whole_so_that_a_resumed_run_forms_the_same_batches(store):
    requests = [request(f"q{i}", f"r{i}") for i in range(7)]
    model = Batching(lambda r: r.messages[0].content)
    answers = CachedBackend(model, store).generate(requests)
    next(answers)  # and the process dies
    assert sum(store.stats().generations_by_stage.values()) == 3
    resumed = Batching(lambda r: r.messages[0].content)
    assert sorted(texts(CachedBackend(resumed, AnswerStore(store.path)), *requests)) == [f"q{i}" for i in range(7)]
    assert [r.request_id for r in resumed.log] == ["r3", "r4", "r5", "r6"]


def choice_request(*questions, conversation="c"):
    return ChoiceRequest("c", "verification", messages(conversation), tuple(Question(q, q) for q in questions))


def test_verdicts_are_cached_one_by_one_and_failures_asked_again(store):
    fail = {"b"}

    def choose(_, question):
        if question.text in fail:
            return Failure(stage="verification", kind="provider", message="down")
        return 0.25

    model = ScriptedBackend(choice_script=choose)
    assert len(list(CachedBackend(model, store).score_choices([choice_request("a", "b")]))) == 2
    fail.clear()
    answers = list(CachedBackend(model, store).score_choices([choice_request("a", "b", "c")]))
    assert sorted(answer.question.text for answer in answers) == ["a", "b", "c"]
    assert [question.text for _, question in model.choice_log] == ["a", "b", "b", "c"]
    list(CachedBackend(model, store).score_choices([choice_request("a", conversation="another")]))
    assert len(model.choice_log) == 5


def test_a_full_cache_loses_the_least_recently_used(tmp_path):
    store = AnswerStore(tmp_path / "a.sqlite")
    for i in range(50):
        store.put_generations([NewGeneration(bytes([i]), 0, "mining", False, "x" * 20_000)])
    store._connection.execute("UPDATE generations SET used_at = 1 WHERE key != ?", (bytes([49]),))
    store._connection.commit()
    before = store.stats().n_bytes
    assert store.prune(before // 2) > 0
    assert store.stats().n_bytes <= before // 2
    assert store.generations([bytes([49])]), "the one just used stays"
    assert store.prune(30_000) > 0
    assert sum(store.stats().generations_by_stage.values()) == 0
    assert store.path.stat().st_size < before // 4, "the file gives its pages back"


def test_the_cap_is_held_while_answers_arrive(tmp_path):
    store = AnswerStore(tmp_path / "a.sqlite", max_bytes=2_000_000)
    for i in range(1500):
        store.put_generations([NewGeneration(i.to_bytes(4), 0, "mining", False, "x" * 5_000)])
    assert store.stats().n_bytes < 6_000_000


def test_a_cache_that_can_not_be_used_says_what_to_do(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"this is no database, and long enough to be read as one" * 40)
    with pytest.raises(ConfigError, match=r"a\.sqlite.*--no-cache"):
        AnswerStore(tmp_path / "a.sqlite")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="can't be opened"):
        AnswerStore(tmp_path / "file" / "a.sqlite")


@given(st.lists(st.sampled_from("abcdef"), max_size=20))
def test_every_request_gets_exactly_one_answer_and_repeats_are_free(sequence):
    model = ScriptedBackend(lambda r: r.messages[0].content.upper())
    backend = CachedBackend(model, None)
    requests = [request(text, f"r{i}") for i, text in enumerate(sequence)]
    answers = {a.request.request_id: a.result.text for a in backend.generate(requests)}
    assert answers == {f"r{i}": text.upper() for i, text in enumerate(sequence)}
    assert len(model.log) == len(set(sequence))
