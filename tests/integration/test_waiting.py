"""How long a request waits for a server that is away: never longer in all than it may."""

import asyncio

import pytest
from starlette.responses import Response

from autorule.backends import retrying
from autorule.backends.base import GenerateRequest
from autorule.backends.openai_compatible import OpenAICompatibleBackend
from autorule.config.models import ModelConfig
from autorule.config.stages import Sampling
from autorule.records import Failure
from autorule.rewards.reward_model import RewardModel
from autorule.rewards.settings import RewardModelConfig
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer, completion, shown
from tests.unit.backends.test_addresses import raw_server

WAIT_S = 0.4
CONCURRENCY = 4


@pytest.mark.parametrize("headers", [{}, {"retry-after": "60"}, {"retry-after": "0"}, {"retry-after": "soon"}])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_all_waits_together_are_within_the_limit(monkeypatch, status, headers):
    asked_for = []

    async def sleep(seconds):
        asked_for.append(seconds)
        await asyncio.sleep(seconds)

    monkeypatch.setattr(retrying, "sleep", sleep)
    with ScriptedServer(lambda body: Response("away", status, headers)) as server:
        backend = OpenAICompatibleBackend(
            ModelConfig(
                backend="openai_compatible",
                model="m",
                base_url=server.base_url,
                server_wait_s=WAIT_S,
                retry_wait_s=0.05,
            )
        )
        [(_, result)] = backend.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        backend.close()
    assert isinstance(result, Failure) and f"HTTP {status}" in result.message
    assert asked_for and sum(asked_for) <= WAIT_S + 1e-6


@pytest.mark.parametrize("status", [502, 503])
def test_a_request_that_alone_gets_no_answer_is_tried_as_often_as_it_may(status):
    """Others are answered while it is asked: the server is there, and is neither waited for nor asked without end."""
    others = Counted()

    async def answer(body):
        if "poison" not in shown(body):
            await others.another()
            return completion("Hello.")
        await others.reach(others.n + CONCURRENCY)  # so one of those before them was answered, and was read
        return Response("", status)

    requests = [GenerateRequest(f"r{n}", "mining", messages(f"Hi {n}."), Sampling()) for n in range(300)]
    requests.insert(1, GenerateRequest("poison", "mining", messages("poison"), Sampling()))
    with ScriptedServer(answer) as server:
        settings = {"max_retries": 2, "retry_wait_s": 0.001, "server_wait_s": 30, "concurrency": CONCURRENCY}
        backend = OpenAICompatibleBackend(
            ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, **settings)
        )
        results = {request.request_id: result for request, result in backend.generate(requests)}
        backend.close()
        n_asked = server.sent().count("poison")
    assert [name for name, result in results.items() if isinstance(result, Failure)] == ["poison"]
    assert n_asked == results["poison"].attempts == 3


@pytest.mark.parametrize(("limit", "most"), [(0.4, 0.4), (0, 0.1)])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_busy_server_is_waited_for_no_longer_than_one_that_is_away(monkeypatch, status, limit, most):
    """It answers others, and tells one to come again much later; without a limit there is only the backoff."""
    asked_for, others = [], Counted()

    async def sleep(seconds):
        asked_for.append(seconds)

    async def answer(body):
        if "poison" not in shown(body):
            await others.another()
            return completion("Hello.")
        await others.reach(others.n + CONCURRENCY)
        return Response("", status, {"retry-after": "600"})

    monkeypatch.setattr(retrying, "sleep", sleep)
    requests = [GenerateRequest(f"r{n}", "mining", messages(f"Hi {n}."), Sampling()) for n in range(300)]
    requests.insert(1, GenerateRequest("poison", "mining", messages("poison"), Sampling()))
    with ScriptedServer(answer) as server:
        settings = {"max_retries": 3, "retry_wait_s": 0.001, "server_wait_s": limit, "concurrency": CONCURRENCY}
        backend = OpenAICompatibleBackend(
            ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, **settings)
        )
        results = {request.request_id: result for request, result in backend.generate(requests)}
        backend.close()
    assert [name for name, result in results.items() if isinstance(result, Failure)] == ["poison"]
    assert asked_for and sum(asked_for) <= most + 1e-6


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2040 99:00:00 GMT", "nan", "-5", "1e999", ""]
)
def test_a_date_that_is_none_is_no_reason_to_fail_others(monkeypatch, date):
    async def sleep(seconds):
        assert 0 <= seconds <= 600

    monkeypatch.setattr(retrying, "sleep", sleep)
    with ScriptedServer(lambda body: Response("", 429, {"retry-after": date})) as server:
        settings = {"max_retries": 1, "retry_wait_s": 0.001, "base_url": server.base_url}
        backend = OpenAICompatibleBackend(ModelConfig(backend="openai_compatible", model="m", **settings))
        [(_, result)] = backend.generate([GenerateRequest("r", "mining", messages("Hi."), Sampling())])
        backend.close()
    assert isinstance(result, Failure) and "HTTP 429" in result.message and result.attempts == 2


def test_a_served_reward_model_says_so_too(monkeypatch):
    async def sleep(seconds):
        assert 0 <= seconds <= 600

    monkeypatch.setattr(retrying, "sleep", sleep)
    head = b"HTTP/1.1 429 Busy\r\nRetry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n"
    with raw_server(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n") as (host, _):
        [said] = RewardModel(RewardModelConfig(model="rm", base_url=f"http://{host}", normalise="none")).scores(
            [messages("Hi.")]
        )
    assert "HTTP 429" in said


class Unforeseen(Exception):
    pass


def test_what_nobody_foresaw_costs_one_request(monkeypatch):
    read = retrying._read_bounded

    async def trip(response):
        content = await read(response)
        if b"poison" in content:
            raise Unforeseen("over there")
        return content

    monkeypatch.setattr(retrying, "_read_bounded", trip)
    with ScriptedServer(lambda body: completion(shown(body))) as server:
        backend = OpenAICompatibleBackend(
            ModelConfig(backend="openai_compatible", model="m", base_url=server.base_url, max_retries=3)
        )
        asked = [GenerateRequest(name, "mining", messages(name), Sampling()) for name in ("a", "poison", "b")]
        results = {request.request_id: result for request, result in backend.generate(asked)}
        backend.close()
    assert [name for name, result in results.items() if isinstance(result, Failure)] == ["poison"]
    assert results["poison"].message == "Unforeseen: over there" and results["poison"].attempts == 1


class Counted:
    """What came so far, for whoever waits for more of it."""

    def __init__(self):
        self.n = 0
        self._more = asyncio.Condition()

    async def another(self):
        async with self._more:
            self.n += 1
            self._more.notify_all()

    async def reach(self, n):
        async with self._more:
            await self._more.wait_for(lambda: self.n >= n)
