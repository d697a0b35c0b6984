"""The settings of a reward, as a file that travels beside a rule set: verifier, reward model, shaping, in order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from autorule.config.models import CacheConfig, ModelConfig
from autorule.config.stages import Config, server_address
from autorule.config.values import MOST_POINTS, Count, Points, Seed
from autorule.errors import ConfigError
from autorule.rewards import shaping


class Row(NamedTuple):
    """What shaping may look at beside the reward."""

    n_tokens: int
    """Of the completion: the trainer's token ids where it gives them, else an estimate of four bytes a token."""
    columns: Mapping[str, Any]
    """The row of the training data."""

    def value(self, column: str, purpose: str) -> Any:
        """Raises ConfigError when the data has no such column."""
        if column not in self.columns:
            known = ", ".join(sorted(self.columns)) or "none"
            raise ConfigError(
                f"{purpose} reads the column {column!r}, which the trainer does not give; it gives {known}"
            )
        return self.columns[column]


KIND = "which step this is"


class PaperLengthPenalty(Config):
    """AutoRule's length control: nothing is taken off up to 300 tokens, 0.5 at 600."""

    kind: Literal["paper_length_penalty"] = Field("paper_length_penalty", description=KIND)

    def apply(self, reward: float, row: Row) -> float:
        return reward - shaping.paper_length_penalty(row.n_tokens)

    def describe(self) -> str:
        return (
            "Take off relu(0.5 · tokens / 300 − 0.5), AutoRule's length control: nothing up to 300 tokens, 0.5 at 600."
        )


class LengthPenalty(Config):
    """Takes off more the longer a response is, between two lengths."""

    kind: Literal["length_penalty"] = Field("length_penalty", description=KIND)
    free: Count = Field(ge=0, description="tokens that cost nothing")
    full: Count = Field(ge=1, description="tokens from which the whole penalty is taken")
    most: float = Field(1.0, ge=0, le=MOST_POINTS, description="the whole penalty")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.free >= self.full:
            raise ValueError(f"free {self.free} must be less than full {self.full}")
        return self

    def apply(self, reward: float, row: Row) -> float:
        return reward - shaping.length_penalty(row.n_tokens, self.free, self.full, self.most)

    def describe(self) -> str:
        return f"Take off up to {self.most:g}, rising evenly from {self.free} to {self.full} tokens."


class Conciseness(Config):
    """Adds more the shorter a response is, where it is good."""

    kind: Literal["conciseness"] = Field("conciseness", description=KIND)
    weight: float = Field(gt=0, le=MOST_POINTS, description="what the shortest good response gains")
    longest: Count = Field(ge=1, description="tokens from which nothing is gained")
    outcome_column: str | None = Field(None, description="0 to 1, or true and false: was the response good?")
    outcome_threshold: Points | None = Field(None, description="reward from which a response counts as good")

    @model_validator(mode="after")
    def _has_one_outcome(self) -> Self:
        if (self.outcome_column is None) == (self.outcome_threshold is None):
            raise ValueError(
                "conciseness needs an outcome, or it would reward empty answers: give outcome_column or "
                "outcome_threshold, one of them"
            )
        return self

    def apply(self, reward: float, row: Row) -> float:
        if self.outcome_column is None:
            outcome = float(reward >= (self.outcome_threshold or 0.0))
        else:
            value = row.value(self.outcome_column, "conciseness")
            if not isinstance(value, (bool, int, float)) or not 0 <= value <= 1:
                raise ConfigError(f"conciseness: {self.outcome_column} is {value!r}; an outcome goes from 0 to 1")
            outcome = float(value)
        return reward + shaping.gated_conciseness(outcome, shaping.conciseness(row.n_tokens, self.longest), self.weight)

    def describe(self) -> str:
        gate = (
            f"the column {self.outcome_column!r}"
            if self.outcome_column is not None
            else f"1 where the reward so far is at least {self.outcome_threshold:g}, else 0"
        )
        return f"Add {self.weight:g} · outcome · (1 − tokens / {self.longest}); the outcome is {gate}."


class StepRewards(Config):
    """Clipped step rewards (shaping.clip_steps), summed. The sum of deltas would be the first step's reward alone:
    shaping.delta_steps is for trainers that take a reward for each step."""

    kind: Literal["step_rewards"] = Field("step_rewards", description=KIND)
    column: str = Field("step_rewards", description="the rewards of the reasoning steps, a list in each row")
    eta: Points = Field(0.0, description="taken off each step, before what is above 0 is cut off")
    weight: Points = Field(1.0, description="by which their sum is multiplied")

    def apply(self, reward: float, row: Row) -> float:
        steps = row.value(self.column, "step_rewards")
        if not isinstance(steps, (list, tuple)) or not all(isinstance(s, (int, float)) for s in steps):
            raise ConfigError(f"step_rewards: {self.column} is {steps!r:.100}; give a list of numbers")
        return reward + self.weight * sum(shaping.clip_steps(steps, self.eta))

    def describe(self) -> str:
        return (
            f"Add {self.weight:g} · the sum over the steps in the column {self.column!r} of min(r − {self.eta:g}, 0)."
        )


class Bounds(Config):
    """Keeps the reward within bounds."""

    kind: Literal["bounds"] = Field("bounds", description=KIND)
    least: Points | None = Field(None, description="lower rewards become this; none if left out")
    most: Points | None = Field(None, description="higher rewards become this; none if left out")

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.least is None and self.most is None:
            raise ValueError("bounds needs least, most, or both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least {self.least:g} is more than most {self.most:g}")
        return self

    def apply(self, reward: float, row: Row) -> float:
        return shaping.bound(reward, self.least, self.most)

    def describe(self) -> str:
        parts = [] if self.least is None else [f"not below {self.least:g}"]
        parts += [] if self.most is None else [f"not above {self.most:g}"]
        return f"Keep it {' and '.join(parts)}."


ShapingStep = Annotated[
    PaperLengthPenalty | LengthPenalty | Conciseness | StepRewards | Bounds, Field(discriminator="kind")
]


class RewardModelConfig(Config):
    """A learned reward model and what its score counts for."""

    model: str = Field(description="folder or hub name of a sequence-classification model, or its name on the server")
    base_url: str | None = Field(None, description="server with vLLM's /classify, such as http://127.0.0.1:8001")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    revision: str | None = Field(None, description="commit or tag on the hub; the newest when left out")
    weight: Points = Field(1.0, description="by which its score is multiplied before it is added")
    normalise: Literal["z", "par", "none"] = Field(
        "z", description="z: by mean and std; par: preference as reward against reference responses; none: as it is"
    )
    mean: Points | None = Field(None, description="of a calibration set, for z")
    std: float | None = Field(None, ge=1e-9, le=MOST_POINTS, description="of a calibration set, for z")
    references_column: str = Field("references", description="reference responses to each prompt, for par")
    batch_size: Count = Field(8, ge=1, description="conversations at once on a local model")
    max_tokens: Count = Field(
        4096, ge=16, description="of a local model; the middle of longer conversations is left out"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="of a local model: auto takes CUDA if there")
    dtype: Literal["auto", "float32", "bfloat16"] = Field("auto", description="bfloat16 on CUDA, float32 on the CPU")

    @field_validator("base_url")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        return url if url is None else server_address(url)

    @model_validator(mode="after")
    def _z_is_calibrated(self) -> Self:
        if self.normalise == "z" and (self.mean is None or self.std is None):
            raise ValueError(
                "normalise z needs mean and std: `autorule reward calibrate` measures them; or choose par or none"
            )
        return self

    def describe(self) -> str:
        where = f" at {self.base_url}" if self.base_url else ""
        how = {
            "z": f"minus its mean {self.mean or 0:g}, by its standard deviation {self.std or 1:g}",
            "par": f"as its mean chance to beat the responses in the column {self.references_column!r} (PAR)",
            "none": "as it is",
        }[self.normalise]
        return f"{self.weight:g} · the score of the reward model {self.model}{where}, {how}."


class RewardSettings(Config):
    """A reward ready to train with."""

    rules: Path = Field(Path("rule_set.json"), description="rule set; a relative path goes from the settings file")
    model: ModelConfig = Field(ModelConfig(), description="the verifier, and how it is reached")
    cache: CacheConfig = Field(CacheConfig(), description="where verdicts are kept")
    name: str = Field("rule_reward", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="in the trainer's metrics")
    aspect: str | None = Field(None, description="only the rules of this aspect")
    rule_weight: Points = Field(1.0, description="by which the rule reward is multiplied")
    rule_dropout: float = Field(0.0, ge=0, lt=1, description="share of the rules left out at random in each step")
    dropout_seed: Seed = Field(0, description="of the draw of the rules that are left out")
    reward_model: RewardModelConfig | None = Field(None, description="learned reward model whose score is added")
    shaping: tuple[ShapingStep, ...] = Field((), description="steps on the reward after that, in their order")
    on_unscored: Literal["none", "error"] | Points = Field(
        "none", description="what an unscored completion gets: none where the trainer has it, an error, or a number"
    )
    rules_column: str = Field("rules", description="column with the ids of the rules that apply to a prompt, if any")

    def describe(self) -> list[str]:
        """The steps from completion to reward, in words; the rule set describes its own part."""
        lines = [f"The reward is {self.rule_weight:g} · the rule reward."]
        if self.rule_dropout:
            lines.append(
                f"Of the rules, a random {self.rule_dropout:.0%} are left out in each training step (seed "
                f"{self.dropout_seed}); pinned ones stay."
            )
        if self.reward_model is not None:
            lines.append("To it comes " + self.reward_model.describe())
        lines += [step.describe() for step in self.shaping]
        fate = {"none": "is passed over by the trainer", "error": "is an error"}
        return [*lines, f"A completion without a score {fate.get(str(self.on_unscored), f'gets {self.on_unscored}')}."]
