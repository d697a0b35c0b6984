"""The reward server's interface: one dialect for each trainer, and a plain one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from autorule import __version__
from autorule.errors import AutoruleError, BackendError, UnscoredError
from autorule.rewards import Scored
from autorule.rewards.conversations import as_messages, as_reply
from autorule.rewards.templated_text import openrlhf_answer, openrlhf_items, response_of, split_whole_text, turns_of
from autorule.serving.batching import FullError, Item
from autorule.serving.bodies import (
    LlamaFactoryRequest,
    OpenRLHFReply,
    OpenRLHFRequest,
    ScoreReply,
    ScoreRequest,
    SlimeRequest,
)
from autorule.serving.following import Followed, follow
from autorule.serving.live import Live, Serving
from autorule.serving.metrics import Metrics

RETRY_AFTER = {"Retry-After": "1"}

router = APIRouter()


def make_app(live: Live, metrics: Metrics, followed: Followed | None = None) -> FastAPI:
    """`followed`: where the rule set comes from, when it may change while the server is up."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower = None if followed is None else asyncio.create_task(follow(followed, live))
        yield
        if follower is not None:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        live.close()

    app = FastAPI(title="autorule reward server", version=__version__, lifespan=lifespan, redirect_slashes=False)
    app.state.live, app.state.metrics = live, metrics
    app.middleware("http")(_measure)
    app.add_exception_handler(AutoruleError, _refuse)
    app.add_exception_handler(FullError, _push_back)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.include_router(router)
    return app


async def _measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Holds the rule set that a request was accepted under until it is answered, and counts the request."""
    live, metrics = request.app.state.live, request.app.state.metrics
    begun, status = time.perf_counter(), 500
    try:
        with live.accepted() as serving:
            request.state.serving = serving
            response = await call_next(request)
        status = response.status_code
        response.headers["X-Rule-Set-Sha256"] = serving.sha256
        if serving.version is not None:
            response.headers["X-Rule-Set-Version"] = serving.version
        return response
    finally:
        dialect = getattr(request.scope.get("route"), "path", "other")
        metrics.requests.labels(dialect, status).inc()
        metrics.latency.labels(dialect).observe(time.perf_counter() - begun)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, BackendError) or (isinstance(error, UnscoredError) and not error.final):
        return JSONResponse({"detail": str(error)}, 503, RETRY_AFTER)
    return JSONResponse({"detail": str(error)}, 422)


async def _invalid(_: Request, error: Exception) -> Response:
    """What is wrong with a body, where in it; without what was sent, which JSON may not be able to say (NaN)."""
    assert isinstance(error, RequestValidationError)
    faults = [{name: fault[name] for name in ("loc", "msg", "type")} for fault in error.errors()]
    return Response(json.dumps({"detail": faults}, default=str), 422, media_type="application/json")


async def _push_back(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 429, RETRY_AFTER)


class _Accepted:
    """A request by the rule set that it was accepted under."""

    def __init__(self, request: Request) -> None:
        serving: Serving = request.state.serving
        self.reward = serving.reward
        self._batcher = serving.batcher
        self._metrics: Metrics = request.app.state.metrics

    async def score(self, items: list[Item]) -> list[Scored]:
        """Raises ConfigError for what is no conversation: in a batch with others it would be unscored, and no error."""
        for item in items:
            as_messages(item.prompt, "user")
            as_reply(item.completion)
        scored = await self._batcher.score(items)
        self._metrics.count(scored)
        return scored


async def _accepted(request: Request) -> _Accepted:
    """On the event loop: a class would be made in a thread, and what arrived together would come apart."""
    return _Accepted(request)


Accepted = Annotated[_Accepted, Depends(_accepted)]


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """The server is up, and by which rule set it rewards. It asks nothing of the verifier."""
    live: Live = request.app.state.live
    now = live.now
    return {
        "status": "ok",
        "version": __version__,
        "rules": len(now.reward.rules),
        "waiting": live.n_waiting,
        "rule_set": {"name": live.name, "version": now.version, "sha256": now.sha256},
        "refused": None if live.refused is None else live.refused._asdict(),
    }


@router.get("/metrics", response_class=Response)
async def show_metrics(request: Request) -> Response:
    """For Prometheus."""
    live, metrics = request.app.state.live, request.app.state.metrics
    metrics.waiting.set(live.n_waiting)
    metrics.count_calls(live.counts)
    metrics.show_rule_set(live)
    return Response(metrics.page(), media_type="text/plain; version=0.0.4")


@router.post("/score")
async def plain(body: ScoreRequest, accepted: Accepted) -> ScoreReply:
    """Prompts and completions (text or messages), with everything that is known of each reward."""
    n = len(body.prompts)
    lengths = {name: len(values) for name, values in {"completions": body.completions, **body.columns}.items()}
    if wrong := [name for name, length in lengths.items() if length != n]:
        raise HTTPException(422, f"{n} prompts, but {lengths[wrong[0]]} values of {wrong[0]}")
    rows = [{name: values[row] for name, values in body.columns.items()} for row in range(n)]
    texts = zip(body.prompts, body.completions, rows, strict=True)
    scored = await accepted.score([Item(p, c, row) for p, c, row in texts])
    return ScoreReply(
        rewards=[one.reward for one in scored],
        reasons=[one.reason for one in scored],
        fractions=[one.rules.fraction for one in scored],
        aspects=[one.aspects for one in scored],
        verdicts=[{verdict.rule_id: verdict.verdict for verdict in one.verdicts} for one in scored],
    )


@router.post("/get_reward", response_model=OpenRLHFReply)
async def openrlhf(body: OpenRLHFRequest, accepted: Accepted) -> Response:
    """OpenRLHF: whole texts, templated prompts, labels.

    It needs the same names under `extra_logs` in every answer: a rule without a verdict is NaN, as Python's json
    writes it, and reads it in OpenRLHF.
    """
    items = [Item(*parts) for parts in openrlhf_items(body.query, body.prompts, body.labels)]
    scored = await accepted.score(items)
    answer = openrlhf_answer(accepted.reward, scored)
    answer["rewards"] = [accepted.reward.number(one) for one in scored]
    return Response(json.dumps(answer), media_type="application/json")


@router.post("/slime")
async def slime(body: SlimeRequest, accepted: Accepted) -> dict[str, Any]:
    """slime and miles: one sample. Use `--reward-key score`."""
    columns = body.label if isinstance(body.label, dict) else {}
    prompt = turns_of(body.prompt) if isinstance(body.prompt, str) else body.prompt
    [one] = await accepted.score([Item(prompt, response_of(body.response), columns)])
    return {"score": accepted.reward.number(one), "fraction": one.rules.fraction}


@router.post("/llama_factory")
async def llama_factory(body: LlamaFactoryRequest, accepted: Accepted) -> dict[str, list[float]]:
    """LLaMA-Factory's PPO: whole templated texts."""
    scored = await accepted.score([Item(*split_whole_text(text)) for text in body.messages])
    return {"scores": [accepted.reward.number(one) for one in scored]}
