"""What a run would ask, before it asks: calls, tokens and cost by stage."""

from collections.abc import Iterable, Sequence

from autorule.config.models import ModelConfig
from autorule.records import CallCounts, Record, Stage
from autorule.runs.budget import cost_of


class StageForecast(Record):
    stage: Stage
    calls: int
    """Calls that would be sent."""
    cached: int | None
    """Calls that the cache answers; None where it was not looked into."""
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    """At the prices of the stage's model; None when it has none."""
    basis: str
    """Where the figures come from: what was counted and what was assumed."""


class Tally:
    """Counts the calls of one stage. Calls that the cache answers tell how long the others' answers will be."""

    def __init__(self, stage: Stage, model: ModelConfig, assumed_completion_tokens: int) -> None:
        self.stage, self._model, self._assumed = stage, model, assumed_completion_tokens
        self._calls = self._cached = self._prompt_tokens = self._known_tokens = 0

    def add_known(self, completion_tokens: int) -> None:
        self._cached += 1
        self._known_tokens += completion_tokens

    def add_calls(self, prompt_tokens: int, n: int = 1) -> None:
        """`n` calls with so many prompt tokens in all."""
        self._calls += n
        self._prompt_tokens += prompt_tokens

    @property
    def completion_tokens_per_call(self) -> int:
        return round(self._known_tokens / self._cached) if self._known_tokens else self._assumed

    def forecast(self, remark: str = "") -> StageForecast:
        per_call = self.completion_tokens_per_call
        source = f"the mean of {self._cached} answers in the cache" if self._known_tokens else "assumed"
        counts = CallCounts(
            sent=self._calls, prompt_tokens=self._prompt_tokens, completion_tokens=self._calls * per_call
        )
        return StageForecast(
            stage=self.stage,
            calls=self._calls,
            cached=self._cached,
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
            cost=cost_of(counts, self._model),
            basis=f"{per_call:,} tokens an answer, {source}" + (f"; {remark}" if remark else ""),
        )


def sum_of(forecasts: Sequence[StageForecast]) -> StageForecast:
    """The same stage of several runs as one figure."""
    first = forecasts[0]
    if len(forecasts) == 1:
        return first
    total = total_of(forecasts)
    costs = [forecast.cost for forecast in forecasts if forecast.cost is not None]
    return StageForecast(
        stage=first.stage,
        calls=total.sent,
        cached=total.cached,
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        cost=sum(costs) if costs else None,
        basis=f"{len(forecasts)} repeats; of the first: {first.basis}",
    )


def total_of(forecasts: Iterable[StageForecast]) -> CallCounts:
    return sum(
        (
            CallCounts(
                sent=f.calls, cached=f.cached or 0, prompt_tokens=f.prompt_tokens, completion_tokens=f.completion_tokens
            )
            for f in forecasts
        ),
        CallCounts(),
    )
