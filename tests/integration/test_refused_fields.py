"""Servers that refuse a field: it is left out or renamed from then on, said once, and nothing else is lost."""

import logging

import pytest
from starlette.responses import JSONResponse

from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
from autorule.records import ModelOutput
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer, completion, logprobs, shown

SCHEMA = {"type": "object"}
REFUSALS = {
    "max_tokens": (lambda b: "max_tokens" in b, 400, "'max_tokens' is not supported: use 'max_completion_tokens'"),
    "temperature": (
        lambda b: b.get("temperature", 1) != 1,
        400,
        "Unsupported value: 'temperature' takes only the default",
    ),
    "one of two": (
        lambda b: {"temperature", "top_p"} <= b.keys(),
        400,
        "`temperature` and `top_p` cannot both be given",
    ),
    "seed": (lambda b: "seed" in b, 422, "Extra inputs are not permitted: seed"),
    "top_p": (lambda b: b.get("top_p", 0.5) >= 1, 422, "top_p must lie between 0 and 1, both excluded"),
    "top_logprobs": (lambda b: b.get("top_logprobs", 0) > 5, 400, "top_logprobs: 20 is more than the maximum of 5"),
    "schema, 400": (lambda b: "response_format" in b, 400, "I do not understand"),
    "schema, 500": (lambda b: "response_format" in b, 500, "not implemented: response_format json_schema"),
    "schema, 501": (lambda b: "response_format" in b, 501, "guided decoding by json_schema is off"),
}
LONG = "x" * 400


def has(field):
    return lambda body: field in body


def more_than(most):
    return lambda body: body.get("top_logprobs", 0) > most


def error(message, **fields):
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


OTHER_WORDS = {
    "the name comes late": (has("seed"), 400, error(f"{LONG} 'seed' is not permitted")),
    "inside a 200": (has("seed"), 200, error("Unsupported parameter: 'seed'", code="unsupported_parameter")),
    "inside a 200, param": (has("seed"), 200, error("Unsupported", code=None, param="seed")),
    "inside a 200, schema": (has("response_format"), 200, error("json_schema is not supported")),
    "in this context": (has("seed"), 400, error("In this context the field 'seed' is not permitted")),
    "guided, context": (has("response_format"), 400, error("guided decoding not supported in this context")),
    "schema too long": (has("response_format"), 400, error("json_schema too long")),
    "404": (has("response_format"), 404, error("No endpoints found that support response_format")),
    "403": (has("seed"), 403, error("'seed' not allowed for your plan")),
    "409": (has("seed"), 409, error("conflict: 'seed'")),
    "429": (has("response_format"), 429, error("response_format not on this tier")),
    "grammar, 500": (has("response_format"), 500, error("failed to compile grammar")),
    "structured outputs, 501": (has("response_format"), 501, error("structured outputs are not implemented")),
    "no name, 500": (has("response_format"), 500, error("internal error")),
    "no name, 415": (has("response_format"), 415, error("not supported")),
    "Seed": (has("seed"), 400, error("Seed is not supported by this model")),
    "MAX_TOKENS": (has("max_tokens"), 422, error("MAX_TOKENS unsupported")),
    "maxTokens": (has("max_tokens"), 400, error("maxTokens is not supported")),
    "max tokens": (has("max_tokens"), 400, error("use max_completion_tokens instead of max tokens")),
    "topLogprobs": (more_than(5), 400, error("topLogprobs must be <= 5")),
    "sample logprobs": (
        more_than(5),
        400,
        error("Requested sample logprobs of 20, which is greater than max allowed: 5"),
    ),
    "at most 2": (more_than(2), 400, error("top_logprobs must be at most 2")),
    "0 to 4": (more_than(4), 400, error("top_logprobs must be in 0..4")),
    "no limit told": (more_than(2), 400, error("top_logprobs is too large")),
    "loc": (has("seed"), 422, {"detail": [{"loc": ["body", "seed"], "msg": f"{LONG} Extra inputs"}]}),
    "param": (has("seed"), 400, error("Extra inputs are not permitted", param="seed")),
}


def asked_of(server, **settings):
    settings = {"max_retries": 0, "retry_wait_s": 0.01, "server_wait_s": 0, **settings}
    backend = OpenAICompatibleBackend(
        ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, concurrency=1, **settings)
    )
    requests = [
        GenerateRequest(
            f"r{n}", "mining", messages(f"Name {n} fruits."), Sampling(max_tokens=8, temperature=0.7), SCHEMA
        )
        for n in range(4)
    ]
    questions = (Question("a", "Is it short?"), Question("b", "Is it kind?"))
    chosen = [ChoiceRequest(f"c{n}", "verification", messages(f"Answer {n}."), questions) for n in range(3)]
    results = [answer.result for answer in backend.generate(requests)]
    verdicts = [answer.result for answer in backend.score_choices(chosen)]
    backend.close()
    return results, verdicts


def check_it_is_learnt_once(refuses, status, words):
    def answer(body):
        if refuses(body):
            return JSONResponse(words, status)
        return logprobs(("Yes", -0.1), ("No", -2.5)) if "logprobs" in body else completion("fruit")

    with ScriptedServer(answer) as server:
        results, verdicts = asked_of(server)
        refused = [body for body in server.log if refuses(body)]
    assert all(isinstance(result, ModelOutput) for result in results), results
    assert all(hasattr(verdict, "probabilities") for verdict in verdicts), verdicts
    assert 1 <= len(refused) <= 2, "learnt once"


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_server_refuses_is_left_out_from_then_on(name, caplog):
    refuses, status, message = REFUSALS[name]
    with caplog.at_level(logging.WARNING):
        check_it_is_learnt_once(refuses, status, {"error": {"message": message}})
    assert 1 <= len(caplog.records) <= 2 and all("refused" in record.message for record in caplog.records)


def test_a_field_can_be_left_out_by_a_setting_and_null_means_none():
    with ScriptedServer(lambda body: completion("fruit")) as server:
        asked_of(server, omit_fields=("seed", "top_p"), extra_body={"temperature": None, "user": "me"})
        assert not any({"seed", "top_p", "temperature"} & body.keys() for body in server.log)
        assert all(body["user"] == "me" for body in server.log)


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_what_refuses_no_field_teaches_nothing(status):
    with ScriptedServer(lambda body: JSONResponse({"error": "seed, top_p, max_tokens"}, status)) as server:
        results, _ = asked_of(server)
        assert not any(isinstance(result, ModelOutput) for result in results)
        assert all("seed" in body for body in server.log if "logprobs" not in body)


@pytest.mark.parametrize("name", OTHER_WORDS)
def test_a_refusal_in_other_words_is_understood(name, caplog):
    with caplog.at_level(logging.WARNING):
        check_it_is_learnt_once(*OTHER_WORDS[name])
    assert len(caplog.records) == 1 and "refused" in caplog.text


@pytest.mark.parametrize("words", ["blocked by content policy", "I won't answer this", "no: 'seed' of hate", "stop it"])
@pytest.mark.parametrize("status", [400, 500])
def test_what_is_said_of_one_prompt_takes_nothing_from_the_others(status, words, caplog):
    def answer(body):
        bad = "Name 1" in shown(body)
        return JSONResponse(error(words), status) if bad else completion("fruit")

    with ScriptedServer(answer) as server, caplog.at_level(logging.WARNING):
        results, _ = asked_of(server)
        others = [body for body in server.log if "logprobs" not in body and "Name 1" not in shown(body)]
    assert [isinstance(result, ModelOutput) for result in results] == [True, False, True, True]
    assert results[1].message.startswith(f"HTTP {status}") and words.split("'")[0] in results[1].message
    assert all("response_format" in body and "seed" in body for body in others)
    assert not caplog.records


def test_a_server_that_is_broken_for_a_time_keeps_its_schemas():
    n_asked = 0

    def answer(body):
        nonlocal n_asked
        n_asked += 1
        return JSONResponse({"error": "broken"}, 500) if n_asked == 1 else completion("fruit")

    with ScriptedServer(answer) as server:
        results, _ = asked_of(server)
        assert ["response_format" in body for body in server.log[:5]] == [True, False, True, True, True]
    assert all(isinstance(result, ModelOutput) for result in results)


def test_a_length_that_does_not_fit_renames_nothing():
    words = "'max_tokens' is too large: 8. This model's maximum context length is 4 tokens"
    with ScriptedServer(lambda body: JSONResponse(error(words), 400)) as server:
        results, _ = asked_of(server)
        assert all("max_tokens" in body for body in server.log)
    assert not any(isinstance(result, ModelOutput) for result in results)
