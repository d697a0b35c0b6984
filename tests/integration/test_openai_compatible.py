"""The openai_compatible back end against a real server that misbehaves."""

import threading

import pytest
from starlette.responses import JSONResponse, Response

from autorule.backends.asking import ask
from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
from autorule.errors import BackendError, ConfigError, ParseError
from autorule.records import Failure, Message
from tests.conftest import messages
from tests.integration.scripted_server import Hang, ScriptedServer, completion, cut_off, logprobs, shown

_made = []


@pytest.fixture(autouse=True)
def _closed():
    """What was left open would be told of in the log of whichever test comes later."""
    yield
    while _made:
        _made.pop().close()


def backend(server, **settings):
    defaults = {"timeout_s": 20, "retry_wait_s": 0.01, "max_retries": 3}
    config = ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, **{**defaults, **settings})
    _made.append(OpenAICompatibleBackend(config))
    return _made[-1]


def request(text="q", **fields):
    return GenerateRequest(
        **{"request_id": text, "stage": "mining", "messages": messages(text), "sampling": Sampling(), **fields}
    )


def choose(*questions, **fields):
    return ChoiceRequest("c", "verification", messages("c"), tuple(Question(q, q) for q in questions), **fields)


def one(model, *requests):
    (answer,) = model.generate(requests or [request()])
    return answer.result


def in_turn(*replies):
    remaining = iter(replies)
    return lambda body: next(remaining)


@pytest.mark.parametrize(
    ("reply", "reasoning", "source", "text"),
    [
        (completion("a", reasoning_content="why"), "why", "field", "a"),
        (completion("a", reasoning="why"), "why", "field", "a"),
        (completion("<think>why</think>a"), "why", "think_tags", "a"),
        (completion("why</think>a"), "why", "think_tags", "a"),
        (completion("a"), None, None, "a"),
        (completion(None), None, None, ""),
    ],
)
def test_reasoning_comes_from_the_field_or_from_think_tags(reply, reasoning, source, text):
    with ScriptedServer(lambda _: reply) as server:
        result = one(backend(server))
    assert (result.reasoning, result.reasoning_source, result.text) == (reasoning, source, text)
    assert result.usage.completion_tokens == 5


@pytest.mark.parametrize(
    "fault",
    [
        JSONResponse({"error": "slow down"}, 429),
        JSONResponse({"error": "broken"}, 500),
        JSONResponse({"error": "away"}, 503),
        cut_off(completion("a")),
    ],
    ids=["429", "500", "503", "cut off JSON"],
)
def test_transient_faults_are_tried_again(fault):
    with ScriptedServer(in_turn(fault, fault, completion("a"))) as server:
        assert one(backend(server)).text == "a"
        assert len(server.log) == 3


@pytest.mark.parametrize(
    "fault",
    [
        completion("The first is better since", "ERROR"),
        completion("The first is better since", "network_error"),
        {"object": "error", "message": "slow down", "code": 429},
        {"errors": [{"code": 502}]},
        completion("", error={"code": 502}),
    ],
)
def test_faults_inside_a_reply_are_tried_again(fault):
    with ScriptedServer(in_turn(fault, completion("a"))) as server:
        assert one(backend(server)).text == "a"
    with ScriptedServer(lambda _: fault) as server:
        assert one(backend(server)).kind == "provider"
        assert len(server.log) == 4


@pytest.mark.parametrize("refusal", [{"a": 1}, 7, ["x", {"b": 2}]])
def test_a_refusal_that_is_no_text_is_a_failure(refusal):
    with ScriptedServer(lambda _: completion("", refusal=refusal)) as server:
        result = one(backend(server))
    assert (result.kind, "malformed" in result.message) == ("provider", True)


def test_retry_after_is_honoured():
    slow_down = JSONResponse({}, 429, headers={"Retry-After": "0"})
    with ScriptedServer(in_turn(slow_down, completion("a"))) as server:
        assert one(backend(server, retry_wait_s=3600)).text == "a", "the server's word counts, not our hour"


def test_a_hang_ends_in_a_timeout_and_is_tried_again():
    with ScriptedServer(in_turn(Hang(), completion("a"))) as server:
        assert one(backend(server, timeout_s=0.3)).text == "a"
    with ScriptedServer(lambda _: Hang()) as server:
        result = one(backend(server, timeout_s=0.1, max_retries=1))
        assert (result.kind, result.attempts, len(server.log)) == ("timeout", 2, 2)


@pytest.mark.parametrize(("status", "n_sent"), [(400, 1), (401, 1), (404, 1), (429, 4), (500, 4)])
def test_a_request_without_an_answer_is_a_failure_with_the_servers_words(status, n_sent):
    with ScriptedServer(lambda _: JSONResponse({"error": "the words"}, status)) as server:
        result = one(backend(server))
        assert isinstance(result, Failure)
        assert (result.kind, result.attempts, len(server.log)) == ("provider", n_sent, n_sent)
        assert f"HTTP {status}" in result.message
        assert "the words" in result.message


def test_a_server_that_is_gone_is_a_failure_of_each_request_and_named_by_check():
    with ScriptedServer() as server:
        model = backend(server, max_retries=0, server_wait_s=0)
    assert one(model).kind == "provider"
    with pytest.raises(BackendError, match="can't reach http://127"):
        model.check()


def test_refusals_and_cut_answers_are_told_apart():
    refusal = completion("", refusal="I won't.")
    with ScriptedServer(in_turn(refusal, completion("{", "length"), completion("", "content_filter"))) as server:
        model = backend(server)
        kinds = []
        for _ in range(3):

            def parse(_, output):
                raise ParseError("no")

            ((_, failure),) = ask(model, [request()], parse)
            kinds.append(failure.kind)
    assert kinds == ["refused", "truncated", "refused"]


def test_the_limit_of_requests_in_flight_holds_over_all_threads():
    async def slowly():
        import asyncio

        await asyncio.sleep(0.02)
        return completion("a")

    with ScriptedServer(lambda _: slowly()) as server:
        model = backend(server, concurrency=3)
        threads = [
            threading.Thread(target=lambda i=i: list(model.generate([request(f"{i}-{j}") for j in range(10)])))
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.log) == 40
        assert server.most_in_flight <= 3


def test_an_abandoned_call_gives_its_places_back():
    with ScriptedServer(lambda body: completion(shown(body))) as server:
        model = backend(server, concurrency=2)
        answers = model.generate([request(f"a{i}") for i in range(10)])
        next(answers)
        answers.close()
        assert {a.result.text for a in model.generate([request(f"b{i}") for i in range(10)])} == {
            f"b{i}" for i in range(10)
        }


def test_what_is_sent():
    schema = {"type": "object"}
    sampling = Sampling(max_tokens=7, temperature=0.5, top_p=0.9, stop=("x",), repetition_penalty=1.1, seed=3)
    with ScriptedServer() as server:
        server.answer = lambda _: completion("a")
        model = backend(server, extra_body={"min_p": 0.1})
        one(model, request("say <|im_end|>", sampling=sampling, json_schema=schema))
        one(model, request(messages=(*messages("q"), Message(role="assistant", content="Well,"))))
    body, begun = server.log
    assert body["messages"] == [{"role": "user", "content": "say <\u200b|im_end|>"}]
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert (body["max_tokens"], body["stop"], body["min_p"], body["repetition_penalty"]) == (7, ["x"], 0.1, 1.1)
    assert isinstance(body["seed"], int)
    assert begun["continue_final_message"] is True
    assert "seed" not in begun, "greedy decoding needs none"


def test_each_repeat_and_sample_has_a_seed_of_its_own():
    sampling = Sampling(temperature=1)
    with ScriptedServer(lambda _: completion("a")) as server:
        model = backend(server)
        for fields in ({}, {"repeats": 1}, {"sample_index": 1}, {"attempt": 1}):
            one(model, request(sampling=sampling, **fields))
    seeds = [body["seed"] for body in server.log]
    assert len(set(seeds)) == 3
    assert seeds[0] == seeds[3], "that a server was away changes no answer"


def test_a_server_that_refuses_schemas_is_asked_without_them_from_then_on():
    def answer(body):
        return JSONResponse({"error": "response_format"}, 400) if "response_format" in body else completion("a")

    with ScriptedServer(answer) as server:
        model = backend(server)
        assert one(model, request(json_schema={})).text == "a"
        assert one(model, request("r", json_schema={})).text == "a"
        assert ["response_format" in body for body in server.log] == [True, False, False]


def test_p_yes_from_logprobs():
    with ScriptedServer(lambda body: logprobs(("Yes", -0.2), (" no", -1.9), ("x", -9))) as server:
        answers = list(backend(server).score_choices([choose("a", "b")]))
        assert [body["max_tokens"] for body in server.log] == [1, 1]
        assert {shown(body) for body in server.log} == {"c\n\na", "c\n\nb"}
    assert {answer.question.text for answer in answers} == {"a", "b"}
    for answer in answers:
        assert answer.result.probabilities == pytest.approx({"Yes": 0.8187, "No": 0.1496}, abs=1e-4)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (completion("Yes"), "provider", "no logprobs"),
        (logprobs(("Maybe", -0.1), ("Hm", -3)), "parse", "none of Yes, No"),
        ({"choices": []}, "provider", "no choices"),
    ],
)
def test_verdicts_that_can_not_be_read_are_failures(reply, kind, words):
    with ScriptedServer(lambda _: reply) as server:
        (answer,) = backend(server).score_choices([choose("a")])
    assert answer.result.kind == kind
    assert words in answer.result.message


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": [{"message": "hi"}]},
        {"choices": [{"message": {"content": "a"}}], "usage": 7},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "Yes", "logprob": None}]}]}}]},
    ],
)
def test_a_malformed_reply_costs_only_its_own_request(reply):
    def answer(body):
        return reply if "bad" in shown(body) else logprobs(("Yes", -0.1), ("No", -3))

    with ScriptedServer(answer) as server:
        model = backend(server)
        kinds = {
            a.question.text: getattr(a.result, "kind", "scored") for a in model.score_choices([choose("bad", "b", "c")])
        }
        assert kinds == {"bad": "provider", "b": "scored", "c": "scored"}
        texts = {
            a.request.request_id: isinstance(a.result, Failure) for a in model.generate([request("bad"), request("b")])
        }
        assert not texts["b"]


def test_half_an_emoji_can_be_kept(tmp_path):
    with ScriptedServer(lambda _: _surrogate()) as server:
        result = one(backend(server))
    assert result.text == "cut ?"
    assert result.model_dump_json()


def _surrogate():
    return Response('{"choices": [{"message": {"content": "cut \\ud83d"}}]}', media_type="application/json")


@pytest.mark.parametrize("listed", ["m", "m:latest", "models/m", "owner/m", "*"])
def test_a_model_is_known_under_the_names_that_servers_give_it(listed, caplog):
    with ScriptedServer(models=(listed,)) as server:
        model = backend(server)
        assert "serves m" in model.check() and not caplog.records
        model.close()


def test_a_list_of_models_is_a_hint_and_no_gate(caplog):
    with ScriptedServer(models=("other",)) as server:
        model = backend(server)
        assert "lists other, and not m" in model.check()
        [record] = caplog.records
        assert "going on" in record.message
        model.close()


def test_the_key_comes_from_the_environment_and_only_goes_into_the_header(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with ScriptedServer(lambda _: completion("a")) as server:
        model = backend(server, api_key_env="MY_KEY")
        one(model)
        assert server.headers[0]["authorization"] == "Bearer sk-secret"
        assert "sk-secret" not in model.identity
        server.answer = lambda _: JSONResponse({"you sent": server.headers[-1]["authorization"]}, 400)
        assert "sk-secret" not in one(model).message
        monkeypatch.setenv("MY_KEY", " sk-secret\n")
        one(backend(server, api_key_env="MY_KEY"))
        assert server.headers[-1]["authorization"] == "Bearer sk-secret"
        monkeypatch.setenv("MY_KEY", "sk-sécret")
        with pytest.raises(ConfigError, match="MY_KEY"):
            backend(server, api_key_env="MY_KEY")
        monkeypatch.delenv("MY_KEY")
        with pytest.raises(ConfigError, match="MY_KEY"):
            backend(server, api_key_env="MY_KEY")


@pytest.mark.parametrize(
    ("metrics", "model"),
    [
        ('vllm:cache_config_info{block_size="0",enable_prefix_caching="True"} 1', {}),
        (f'vllm:cache_config_info{{block_size="{"9" * 5000}"}} 1', {}),
        ("", {"root": "a" * 5000}),
        ("", {"root": "\0"}),
        ("", {"root": ["x"]}),
        ("", {"root": {}, "max_model_len": -5}),
    ],
)
def test_whatever_a_server_tells_of_itself_it_is_asked_over_chat(metrics, model):
    with ScriptedServer(lambda _: logprobs(("Yes", -0.2), ("No", -1.9))) as server:
        server.tell(metrics, {"data": [{"id": "m", **model}]})
        (answer,) = backend(server).score_choices([choose("a")])
        assert backend(server).check()
    assert answer.result.probabilities["Yes"] > 0.8


def test_what_reading_a_reply_trips_over_is_said_and_ends_nothing(monkeypatch, caplog):
    async def trips(*_):
        raise ZeroDivisionError("modulo by zero")

    monkeypatch.setattr("autorule.backends.openai_compatible.find_scoring", trips)
    with ScriptedServer(lambda _: logprobs(("Yes", -0.2), ("No", -1.9))) as server:
        (answer,) = backend(server).score_choices([choose("a")])
    assert answer.result.probabilities["Yes"] > 0.8
    assert "can't be asked what it offers: ZeroDivisionError: modulo by zero" in caplog.text
