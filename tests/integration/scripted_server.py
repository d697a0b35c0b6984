"""A real HTTP server on loopback with an OpenAI-compatible interface and scripted answers.

It logs every request, can hold requests back, and can misbehave as real servers do.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from autorule.records import Stage
from tests.scripts import answer_text, digest

Body = dict[str, Any]
Reply = Body | Response
DEADLINE_S = 60


def shown(body: Body) -> str:
    """What the request is about: its first message, whatever was asked again after it."""
    return body["messages"][0]["content"]


def stage_of(body: Body) -> Stage:
    text = shown(body)
    if "Rule:" in text and "logprobs" in body:
        return "verification"
    if text.startswith("Someone read"):
        return "chain_check" if "The thoughts:" in text else "interpretation"
    return "mining" if text.startswith("Below is somebody") else "synthesis"


def completion(text: str, finish_reason: str = "stop", **message: Any) -> Body:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def logprobs(*top: tuple[str, float]) -> Body:
    entries = [{"token": token, "logprob": value} for token, value in top]
    reply = completion(top[0][0])
    reply["choices"][0]["logprobs"] = {"content": [{"token": top[0][0], "top_logprobs": entries}]}
    return reply


def helpful(body: Body) -> Reply:
    """The answers of tests.scripts.helpful, over HTTP: functions of the request alone."""
    stage = stage_of(body)
    if stage == "verification":
        return logprobs(*((("Yes", -0.1), ("No", -2.5)) if digest(shown(body)) % 2 else (("No", -0.1), ("Yes", -2.5))))
    text, reasoning = answer_text(stage, shown(body))
    return completion(text, reasoning_content=reasoning) if reasoning else completion(text)


class ScriptedServer:
    """`with ScriptedServer(answer) as server:` serves on server.base_url; `answer` gets the body of each request."""

    def __init__(
        self,
        answer: Callable[[Body], Reply] = helpful,
        models: tuple[str, ...] = ("m",),
        port: int = 0,
        answer_tokens: Callable[[str, Body], Reply] | None = None,
        answer_at: dict[str, Callable[[Body], Any]] | None = None,
    ) -> None:
        """`port` 0: any that is free. `answer_tokens` gets the path and the body of requests in token ids; without it
        there are no such paths. `answer_at`: the answers of further paths."""
        self.answer = answer
        self.models = models
        self.answer_tokens = answer_tokens
        self._metrics = ""
        self._listed: Any = None
        self.log: list[Body] = []
        self.token_log: list[tuple[str, Body]] = []
        self.sent_to: dict[str, list[Body]] = {path: [] for path in answer_at or ()}
        """The bodies that came to each of the further paths."""
        self.answered: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.held = 0
        self._hold_after: tuple[str, int] | None = None
        routes = [
            Route("/v1/models", self._models),
            Route("/metrics", self._tell_metrics),
            Route("/v1/chat/completions", self._complete, methods=["POST"]),
            Route("/v1/completions", self._complete_tokens, methods=["POST"]),
            Route("/generative_scoring", self._complete_tokens, methods=["POST"]),
            Route("/v1/embeddings", self._embed, methods=["POST"]),
        ]
        routes += [Route(path, self._at(path, own), methods=["POST"]) for path, own in (answer_at or {}).items()]
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        wait_until(lambda: self._server.started, "the server starts")
        self.base_url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()

    def hold_after(self, stage: str, n: int) -> None:
        """From the n-th request of the stage on, requests of it are logged and left without an answer."""
        self._hold_after = (stage, n)

    def release(self) -> None:
        self._hold_after = None
        self.held = 0

    def sent(self, stage: str | None = None) -> list[str]:
        """What was shown to the model, request by request."""
        return [shown(body) for body in self.log if stage is None or stage_of(body) == stage]

    def tell(self, metrics: str, models: Any) -> None:
        """What it tells of itself from now on: its metrics, and its list of models."""
        self._metrics, self._listed = metrics, models

    async def _tell_metrics(self, _: Request) -> Response:
        return Response(self._metrics) if self._metrics else Response(status_code=404)

    async def _models(self, _: Request) -> Response:
        return JSONResponse(self._listed or {"data": [{"id": model} for model in self.models]})

    async def _embed(self, request: Request) -> Response:
        body = await request.json()
        self.log.append(body)
        reply = self.answer(body)
        return reply if isinstance(reply, Response) else JSONResponse(reply)

    def _at(self, path: str, answer: Callable[[Body], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def reply(request: Request) -> Response:
            body = await request.json()
            self.sent_to[path].append(body)
            return JSONResponse(answer(body))

        return reply

    async def _complete_tokens(self, request: Request) -> Response:
        if self.answer_tokens is None:
            return Response(status_code=404)
        body = await request.json()
        self.token_log.append((request.url.path, body))
        reply = self.answer_tokens(request.url.path, body)
        return reply if isinstance(reply, Response) else JSONResponse(reply)

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.log.append(body)
        self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if (
                self._hold_after
                and stage_of(body) == self._hold_after[0]
                and len(self.sent(stage_of(body))) > self._hold_after[1]
            ):
                self.held += 1
                while self._hold_after and not await request.is_disconnected():
                    await asyncio.sleep(0.01)
                return Response(status_code=503)
            self.answered.append(shown(body))
            reply = self.answer(body)
        finally:
            self.in_flight -= 1
        if asyncio.iscoroutine(reply):
            reply = await reply
        return reply if isinstance(reply, Response) else JSONResponse(reply)


class Hang(Response):
    """Never answers while the client waits."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


def cut_off(reply: Body) -> Response:
    """A body that ends in the middle of its JSON."""
    return Response(json.dumps(reply)[:40], media_type="application/json")


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_s} s: {what}")
        time.sleep(0.01)
