"""Settings of a run. One model per flow: it is the flow's parameter, and it is written whole into the run's manifest.

A config holds the *name* of the environment variable with an API key, never the key: Prefect and the manifest
store configs in clear.
"""

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from autorule.config.models import BudgetConfig, CacheConfig, ModelConfig
from autorule.config.runner import RunnerConfig
from autorule.config.stages import (
    Config,
    InterpretationConfig,
    MiningConfig,
    RewardConfig,
    SynthesisConfig,
    VerificationConfig,
)
from autorule.config.values import Count, Seed
from autorule.storage import Folder

Strategy = Literal["random", "stratified", "diverse", "contrastive"]
"""How pairs are drawn: `draw` of an extraction."""


RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"


class RunConfig(Config):
    """What every flow has: the model, where results go, how work is cut into shards."""

    model: ModelConfig = Field(ModelConfig(), description="the model that is asked, and how it is reached")
    outputs: Folder = Field(
        Path("outputs"), description="folder, or URL such as s3://bucket/outputs, in which each run gets its own"
    )
    run_id: str | None = Field(
        None,
        pattern=RUN_ID,
        description="name of the run's folder, under which a run that was stopped goes on; made up when left out",
    )
    cache: CacheConfig = Field(CacheConfig(), description="where answers are kept for the next run")
    budget: BudgetConfig = Field(BudgetConfig(), description="what the run may use up before it stops")
    runner: RunnerConfig = Field(RunnerConfig(), description="what works on the shards")
    columns: dict[str, str] = Field({}, description="our column name -> the file's column name")

    @field_validator("run_id", mode="before")
    @classmethod
    def _names_a_folder(cls, run_id: Any) -> Any:
        if isinstance(run_id, str) and not re.fullmatch(RUN_ID.strip("^$"), run_id):
            raise ValueError(
                f"{run_id[:60]!r} can't name a run folder: give a letter or digit, then up to 199 of letters, digits, "
                "dots, - and _"
            )
        return run_id

    @property
    def models(self) -> dict[str, ModelConfig]:
        """Stage -> the model that it asks."""
        return {"verification": self.model}

    @model_validator(mode="after")
    def _cost_has_prices(self) -> Self:
        for stage, model in self.models.items():
            if self.budget.max_cost is not None and (model.price_in is None or model.price_out is None):
                raise ValueError(
                    f"max_cost needs the prices of the model for {stage}: model.price_in and model.price_out, "
                    "per million tokens"
                )
        return self


class ExtractConfig(RunConfig):
    """Parameters of extract_rules: preference pairs in, a rule set out."""

    pairs: Path = Field(
        description="file with the preference pairs (JSONL, JSON, CSV or Parquet), or a pattern such as data/*.jsonl"
    )
    winner_values: dict[str, str] = Field({}, description="a, b and tie -> the value in the winner column")
    limit: Count | None = Field(None, ge=1, description="pairs drawn by seed; all valid ones when left out")
    draw: Strategy = Field("random", description="how `limit` pairs are drawn; stratified goes by the column `stratum`")
    repeats: int = Field(1, ge=1, le=20, description="extract so often, each with a seed of its own, and compare")
    keep_ties: bool = Field(False, description="mine ties too, as a negative control: they yield no rule")
    held_out: Path | None = Field(None, description="pairs to score with the finished rule set")
    seed: Seed = Field(0, description="of the draw of pairs and of every sampling that names none of its own")
    extractor: ModelConfig | None = Field(None, description="model for mining; `model` when left out")
    merger: ModelConfig | None = Field(None, description="model for synthesis; `model` when left out")
    verifier: ModelConfig | None = Field(None, description="model for held-out pairs; `model` when left out")
    interpretation: InterpretationConfig = Field(InterpretationConfig(), description="stage 1: reasons for each pair")
    mining: MiningConfig = Field(MiningConfig(), description="stage 2: candidate rules from the reasons")
    synthesis: SynthesisConfig = Field(SynthesisConfig(), description="stage 3: one rule set from all candidates")
    verification: VerificationConfig = Field(VerificationConfig(), description="how the rules will be checked")
    reward: RewardConfig = Field(RewardConfig(), description="how the rules will be turned into a reward")
    shard_size: Count = Field(64, ge=1, description="pairs in one task")

    @model_validator(mode="after")
    def _strata_have_a_column(self) -> Self:
        if self.draw == "stratified" and "stratum" not in self.columns:
            raise ValueError("draw stratified needs the column to go by: columns.stratum, or --columns stratum=NAME")
        if self.draw != "random" and self.limit is None:
            raise ValueError(f"draw {self.draw} needs a limit: how many pairs to draw")
        return self

    @property
    def models(self) -> dict[str, ModelConfig]:
        """Stage -> the model that it asks."""
        chosen = {
            "interpretation": self.model,
            "mining": self.extractor or self.model,
            "synthesis": self.merger or self.model,
        }
        return {**chosen, "verification": self.verifier or self.model} if self.held_out else chosen

    def with_seed(self, seed: int, run_id: str) -> "ExtractConfig":
        """The same extraction under another seed, also in the sampling of the stages that had the run's seed."""
        changes: dict[str, Any] = {"seed": seed, "run_id": run_id, "repeats": 1}
        for name in ("interpretation", "mining", "synthesis"):
            stage = getattr(self, name)
            if stage.sampling.seed == self.seed:
                sampling = stage.sampling.model_copy(update={"seed": seed})
                changes[name] = stage.model_copy(update={"sampling": sampling})
        return self.model_copy(update=changes)

    @model_validator(mode="before")
    @classmethod
    def _seed_of_the_run(cls, settings: Any) -> Any:
        """The seed of the run is that of each stage's sampling, unless a stage names its own."""
        if not isinstance(settings, dict) or "seed" not in settings:
            return settings
        stages = {}
        for name in ("interpretation", "mining", "synthesis"):
            stage = settings.get(name, {})
            if isinstance(stage, dict) and isinstance(sampling := stage.get("sampling", {}), dict):
                stages[name] = {**stage, "sampling": {"seed": settings["seed"], **sampling}}
        return {**settings, **stages}


class ScoreConfig(RunConfig):
    """Parameters of score_completions: completions and a rule set in, verdicts and rewards out."""

    completions: Path = Field(description="file with prompts and the completions to score, or a pattern of such files")
    rules: Path = Field(description="rule set file, such as 03_rule_set.json of a run")
    shard_size: Count = Field(2000, ge=1, description="completions in one task")
