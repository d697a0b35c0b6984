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
from tests.integration.scripted_server import ScriptedServer, completion, logprobs

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


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_server_refuses_is_left_out_from_then_on(name, caplog):
    refuses, status, message = REFUSALS[name]

    def answer(body):
        if refuses(body):
            return JSONResponse({"error": {"message": message}}, status)
        return logprobs(("Yes", -0.1), ("No", -2.5)) if "logprobs" in body else completion("fruit")

    with ScriptedServer(answer) as server, caplog.at_level(logging.WARNING):
        results, verdicts = asked_of(server)
        refused = [body for body in server.log if refuses(body)]
    assert all(isinstance(result, ModelOutput) for result in results), results
    assert all(hasattr(verdict, "probabilities") for verdict in verdicts), verdicts
    assert 1 <= len(refused) <= 2, "learnt once"
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
