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
from tests.conftest import messages
from tests.integration.scripted_server import ScriptedServer, completion, shown

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
