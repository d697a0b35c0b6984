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
from tests.integration.scripted_server import ScriptedServer

WAIT_S = 0.4


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
