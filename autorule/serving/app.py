"""The reward server's interface: one dialect for each trainer, and a plain one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from autorule import __version__
from autorule.errors import AutoruleError, BackendError, UnscoredError
from autorule.records import Role
from autorule.rewards import Scored
from autorule.rewards.templated_text import openrlhf_answer, openrlhf_items, response_of, split_whole_text, turns_of
from autorule.serving.batching import FullError, Item
from autorule.serving.following import Followed, follow
from autorule.serving.live import Live, Serving
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


async def _accepted_under(request: Request) -> Serving:
    return request.state.serving  # type: ignore[no-any-return]


Own = Annotated[Serving, Depends(_accepted_under)]


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

    async def score(own: Serving, items: list[Item]) -> list[Scored]:
        scored = await own.batcher.score(items)
        metrics.count(scored)
        return scored

    @app.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
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
        """The server is up, and by which rule set it rewards. It asks nothing of the verifier."""
        now = live.now
        return {
            "status": "ok",
            "version": __version__,
            "rules": len(now.reward.rules),
            "waiting": live.n_waiting,
            "rule_set": {"name": live.name, "version": now.version, "sha256": now.sha256},
            "refused": None if live.refused is None else live.refused._asdict(),
        }

    @app.get("/metrics", response_class=Response)
    async def show_metrics() -> Response:
        """For Prometheus."""
        metrics.waiting.set(live.n_waiting)
        metrics.count_calls(live.counts)
        metrics.show_rule_set(live)
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    @app.post("/score")
    async def plain(body: ScoreRequest, own: Own) -> ScoreReply:
        """Prompts and completions (text or messages), with everything that is known of each reward."""
        n = len(body.prompts)
        lengths = {name: len(values) for name, values in {"completions": body.completions, **body.columns}.items()}
        if wrong := [name for name, length in lengths.items() if length != n]:
            raise HTTPException(422, f"{n} prompts, but {lengths[wrong[0]]} values of {wrong[0]}")
        rows = [{name: values[row] for name, values in body.columns.items()} for row in range(n)]
        items = [Item(_plain(p), _plain(c), r) for p, c, r in zip(body.prompts, body.completions, rows, strict=True)]
        scored = await score(own, items)
        return ScoreReply(
            rewards=[one.reward for one in scored],
            reasons=[one.reason for one in scored],
            fractions=[one.rules.fraction for one in scored],
            aspects=[one.aspects for one in scored],
            verdicts=[{verdict.rule_id: verdict.verdict for verdict in one.verdicts} for one in scored],
        )

    @app.post("/get_reward", response_model=OpenRLHFReply)
    async def openrlhf(body: OpenRLHFRequest, own: Own) -> Response:
        """OpenRLHF: whole texts, templated prompts, labels.

        It needs the same names under `extra_logs` in every answer: a rule without a verdict is NaN, as Python's json
        writes it, and reads it in OpenRLHF.
        """
        items = [Item(*parts) for parts in openrlhf_items(body.query, body.prompts, body.labels)]
        scored = await score(own, items)
        answer = openrlhf_answer(own.reward, scored)
        answer["rewards"] = [own.reward.number(one) for one in scored]
        return Response(json.dumps(answer), media_type="application/json")

    @app.post("/slime")
    async def slime(body: SlimeRequest, own: Own) -> dict[str, Any]:
        """slime and miles: one sample. Use `--reward-key score`."""
        columns = body.label if isinstance(body.label, dict) else {}
        prompt = turns_of(body.prompt) if isinstance(body.prompt, str) else _plain(body.prompt)
        [one] = await score(own, [Item(prompt, response_of(body.response), columns)])
        return {"score": own.reward.number(one), "fraction": one.rules.fraction}

    @app.post("/llama_factory")
    async def llama_factory(body: LlamaFactoryRequest, own: Own) -> dict[str, list[float]]:
        """LLaMA-Factory's PPO: whole templated texts."""
        scored = await score(own, [Item(*split_whole_text(text)) for text in body.messages])
        return {"scores": [own.reward.number(one) for one in scored]}

    return app


def _plain(text: str | list[Turn]) -> Any:
    return text if isinstance(text, str) else [turn.model_dump() for turn in text]
