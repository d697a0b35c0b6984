"""Settings of an evaluation."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from autorule.config.runs import RunConfig
from autorule.config.values import Count, Seed
from autorule.rewards.settings import RewardModelConfig


class EvaluateConfig(RunConfig):
    """Parameters of evaluate_rules: held-out pairs and a rule set in, statistics out."""

    pairs: Path = Field(description="file with held-out preference pairs, whose prompts no rule was mined from")
    rules: Path = Field(description="rule set file, such as 03_rule_set.json of a run")
    winner_values: dict[str, str] = Field({}, description="a, b and tie -> the value in the winner column")
    slices: tuple[str, ...] = Field((), description="columns of the file: accuracy is told for each of their values")
    allow_leakage: bool = Field(False, description="count pairs whose prompts rules were mined from or chosen by")
    leave_out_leaked: bool = Field(False, description="leave such pairs out instead of refusing the file")
    limit: Count | None = Field(None, ge=1, description="pairs drawn by seed; all that are usable when left out")
    one_call: bool = Field(True, description="ask the verifier also which response is preferred, as a baseline")
    reward_model: RewardModelConfig | None = Field(None, description="a reward model, as a baseline")
    flip_sample: Count = Field(100, ge=0, description="completions asked about again in other words; 0 for none")
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=1, description="share of wrong ones that is accepted among the rules that are said to agree"
    )
    bootstrap_rounds: int = Field(
        2000, ge=100, le=1_000_000, description="resamples behind each interval; more are steadier"
    )
    max_unscored: float = Field(
        0.1, ge=0, le=1, description="share of pairs without a reward, because the verifier failed, that is too many"
    )
    seed: Seed = Field(0, description="of the draw of pairs, the split into dev and test, the folds and the bootstrap")
    shard_size: Count = Field(1000, ge=1, description="pairs in one task")

    @model_validator(mode="after")
    def _leaked_pairs_go_one_way(self) -> Self:
        if self.allow_leakage and self.leave_out_leaked:
            raise ValueError(
                "allow_leakage counts the pairs that leave_out_leaked leaves out: give one of --allow-leakage and "
                "--leave-out-leaked"
            )
        return self
