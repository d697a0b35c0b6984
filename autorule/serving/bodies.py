"""What the reward server is sent, and what it answers, in the dialect of each trainer."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from autorule.records import Role

MAX_BATCH = 1024


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


def plain_turns(text: Text) -> Any:
    """Text as it is, turns as plain dicts."""
    return text if isinstance(text, str) else [turn.model_dump() for turn in text]
