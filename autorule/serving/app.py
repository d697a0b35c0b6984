"""The reward server's interface: one dialect for each trainer, and a plain one."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from autorule import __version__
from autorule.errors import AutoruleError, BackendError, UnscoredError
from autorule.records import Role
from autorule.rewards import RuleReward, Scored
from autorule.rewards.templated_text import openrlhf_answer, openrlhf_items, response_of, split_whole_text, turns_of
from autorule.serving.batching import Batcher, FullError, Item
from autorule.serving.metrics import Metrics

MAX_BATCH = 1024
RETRY_AFTER = {"Retry-After": "1"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Turn(_Body):
    role: Role
    content: str | None = None


Text = str | Annotated[list[Turn], Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MAX_BATCH)]
Strings = Annotated[list[str], Field(min_length=1, max_length=MAX_BATCH)]


class ScoreRequest(_Body):
    prompts: Texts
    completions: Texts
    columns: dict[str, list[Any]] = Field(
        {}, description="further values of each prompt, such as `rules`: ids of those that apply to it"
    )


class ScoreReply(BaseModel):
    rewards: list[float | None]
    """null: unscored, `reasons` says why."""
    reasons: list[str | None]
    fractions: list[float | None]
    aspects: list[dict[str, float | None]]
    verdicts: list[dict[str, str | None]]
    """Rule id -> yes, no, not_applicable; null: no verdict."""


class OpenRLHFRequest(_Body):
    query: Strings
    prompts: Strings
    labels: list[Any] = []


class OpenRLHFReply(BaseModel):
    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


class SlimeRequest(_Body):
    prompt: Text
    response: str
    label: Any = None


class LlamaFactoryRequest(_Body):
    messages: Strings


def make_app(reward: RuleReward, batcher: Batcher, metrics: Metrics) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = FastAPI(title="autorule reward server", version=__version__, lifespan=lifespan, redirect_slashes=False)

    async def score(items: list[Item]) -> list[Scored]:
        scored = await batcher.score(items)
        metrics.count(scored)
        return scored

    @app.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        begun, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
            return response
        finally:
            dialect = getattr(request.scope.get("route"), "path", "other")
            metrics.requests.labels(dialect, status).inc()
            metrics.latency.labels(dialect).observe(time.perf_counter() - begun)

    @app.exception_handler(AutoruleError)
    async def refuse(_: Request, error: AutoruleError) -> JSONResponse:
        if isinstance(error, BackendError) or (isinstance(error, UnscoredError) and not error.final):
            return JSONResponse({"detail": str(error)}, 503, RETRY_AFTER)
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(FullError)
    async def push_back(_: Request, error: FullError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 429, RETRY_AFTER)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """The server is up. It asks nothing of the verifier."""
        return {"status": "ok", "version": __version__, "rules": len(reward.rules), "waiting": batcher.n_waiting}

    @app.get("/metrics", response_class=Response)
    async def show_metrics() -> Response:
        """For Prometheus."""
        metrics.waiting.set(batcher.n_waiting)
        metrics.count_calls(reward.counts)
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    @app.post("/score")
    async def plain(body: ScoreRequest) -> ScoreReply:
        """Prompts and completions (text or messages), with everything that is known of each reward."""
        n = len(body.prompts)
        lengths = {name: len(values) for name, values in {"completions": body.completions, **body.columns}.items()}
        if wrong := [name for name, length in lengths.items() if length != n]:
            raise HTTPException(422, f"{n} prompts, but {lengths[wrong[0]]} values of {wrong[0]}")
        rows = [{name: values[row] for name, values in body.columns.items()} for row in range(n)]
        items = [Item(_plain(p), _plain(c), r) for p, c, r in zip(body.prompts, body.completions, rows, strict=True)]
        scored = await score(items)
        return ScoreReply(
            rewards=[one.reward for one in scored],
            reasons=[one.reason for one in scored],
            fractions=[one.rules.fraction for one in scored],
            aspects=[one.aspects for one in scored],
            verdicts=[{verdict.rule_id: verdict.verdict for verdict in one.verdicts} for one in scored],
        )

    @app.post("/get_reward", response_model=OpenRLHFReply)
    async def openrlhf(body: OpenRLHFRequest) -> Response:
        """OpenRLHF: whole texts, templated prompts, labels.

        It needs the same names under `extra_logs` in every answer: a rule without a verdict is NaN, as Python's json
        writes it, and reads it in OpenRLHF.
        """
        items = [Item(*parts) for parts in openrlhf_items(body.query, body.prompts, body.labels)]
        scored = await score(items)
        answer = openrlhf_answer(reward, scored)
        answer["rewards"] = [reward.number(one) for one in scored]
        return Response(json.dumps(answer), media_type="application/json")

    @app.post("/slime")
    async def slime(body: SlimeRequest) -> dict[str, Any]:
        """slime and miles: one sample. Use `--reward-key score`."""
        columns = body.label if isinstance(body.label, dict) else {}
        prompt = turns_of(body.prompt) if isinstance(body.prompt, str) else _plain(body.prompt)
        [one] = await score([Item(prompt, response_of(body.response), columns)])
        return {"score": reward.number(one), "fraction": one.rules.fraction}

    @app.post("/llama_factory")
    async def llama_factory(body: LlamaFactoryRequest) -> dict[str, list[float]]:
        """LLaMA-Factory's PPO: whole templated texts."""
        scored = await score([Item(*split_whole_text(text)) for text in body.messages])
        return {"scores": [reward.number(one) for one in scored]}

    return app


def _plain(text: str | list[Turn]) -> Any:
    return text if isinstance(text, str) else [turn.model_dump() for turn in text]
