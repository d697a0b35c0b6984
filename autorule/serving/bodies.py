"""What the reward server is sent, and what it answers, in the dialect of each trainer."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_BATCH = 1024


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


Text = str | dict[str, Any] | Annotated[list[dict[str, Any] | str], Field(min_length=1)]
"""Text, or one message or several, which are read as those of files and trainers."""
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
