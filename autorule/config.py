"""Settings of a run. One model per flow: it is the flow's parameter, and it is written whole into the run's manifest.

A config holds the *name* of the environment variable with an API key, never the key: Prefect and the manifest
store configs in clear.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from autorule.preferences.sampling import Strategy
from autorule.runner_config import RunnerConfig
from autorule.stage_config import (
    Config,
    InterpretationConfig,
    MiningConfig,
    RewardConfig,
    SynthesisConfig,
    VerificationConfig,
    server_address,
)
from autorule.storage import Folder

EMBEDDED = "embedded"
"""Name of the small model that comes from a package and shows the machinery without any download."""


class ModelConfig(Config):
    """Which model answers, and how it is reached."""

    backend: Literal["transformers_local", "vllm_engine", "openai_compatible", "scripted"] = Field(
        "transformers_local",
        description="transformers_local and vllm_engine: in this process; openai_compatible: a server, your own "
        "or a hosted one; scripted: answers from a file or a function, for tests",
    )
    model: str = Field(
        EMBEDDED, description="name on the server, folder or hub name; embedded is a tiny model that comes along"
    )
    revision: str | None = Field(None, description="commit or tag on the hub; the newest when left out")
    base_url: tuple[str, ...] = Field(
        (), description="OpenAI-compatible servers of one model, such as http://127.0.0.1:8000/v1"
    )
    tokenizer: str | None = Field(
        None,
        description="folder or hub name of the served model's tokenizer: verdicts are then asked for in token ids, "
        "where the server can; found out from the server when it names a folder that is here",
    )
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    scoring: Literal["auto", "generative_scoring", "chat"] = Field(
        "auto", description="how a server is asked for verdicts: auto finds out whether it takes token ids (vLLM does)"
    )
    concurrency: int = Field(64, ge=1, description="requests in flight at each server")
    timeout_s: float = Field(600, gt=0, description="for one request, until its answer is there")
    max_retries: int = Field(5, ge=0, description="after HTTP 429, 5xx, timeouts and broken connections")
    retry_wait_s: float = Field(1.0, gt=0, description="before the first retry; it doubles from then on")
    server_wait_s: float = Field(300, ge=0, description="how long a request waits for a server that is away")
    extra_body: dict[str, JsonValue] = Field({}, description="further fields of every request to a server")
    batch_size: int = Field(8, ge=1, description="sequences at once on a local model")
    kv_budget_gb: float | None = Field(
        None, gt=0, description="memory for the key-value caches of questions; a quarter of what is free if left out"
    )
    tensor_parallel: int = Field(1, ge=1, description="GPUs that one vLLM engine spreads a model over")
    max_model_len: int | None = Field(None, ge=128, description="tokens of prompt and answer on a vLLM engine")
    engine_args: dict[str, JsonValue] = Field(
        {}, description="further arguments of vllm.LLM, such as gpu_memory_utilization or quantization"
    )
    price_in: float | None = Field(None, ge=0, description="per million input tokens, in any currency")
    price_out: float | None = Field(None, ge=0, description="per million output tokens")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="of a local model: auto takes CUDA if there")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on CUDA and in vLLM, else float32"
    )

    @field_validator("base_url", mode="before")
    @classmethod
    def _one_or_several(cls, urls: Any) -> Any:
        return (urls,) if isinstance(urls, str) else urls or ()

    @field_validator("base_url")
    @classmethod
    def _no_secret_in_url(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(server_address(url) for url in urls))

    @model_validator(mode="after")
    def _server_has_an_address(self) -> Self:
        if self.backend == "openai_compatible" and not self.base_url:
            raise ValueError("backend openai_compatible needs base_url, such as http://127.0.0.1:8000/v1")
        if self.backend == "openai_compatible" and self.model == EMBEDDED:
            raise ValueError("backend openai_compatible needs model: the name under which the server serves it")
        if self.backend == "scripted" and self.model == EMBEDDED:
            raise ValueError("backend scripted needs model: a .jsonl file of answers, or package.module:factory")
        return self


class CacheConfig(Config):
    """Where answers are kept, so that nothing is asked, and paid for, twice."""

    enabled: bool = Field(True, description="keep answers, and use those that were kept")
    path: Path = Field(Path("outputs/cache/answers.sqlite"), description="the file; made when it is not there")
    max_gb: float = Field(20, gt=0, description="least recently used answers go when the file grows beyond this")


class BudgetConfig(Config):
    """Limits on the calls that a run sends; what the cache answers is free."""

    max_tokens_total: int | None = Field(None, ge=1, description="input and output tokens of all stages")
    max_cost: float | None = Field(None, gt=0, description="needs price_in and price_out of every model")


class RunConfig(Config):
    """What every flow has: the model, where results go, how work is cut into shards."""

    model: ModelConfig = Field(ModelConfig(), description="the model that is asked, and how it is reached")
    outputs: Folder = Field(
        Path("outputs"), description="folder, or URL such as s3://bucket/outputs, in which each run gets its own"
    )
    run_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="name of the run's folder, under which a run that was stopped goes on; made up when left out",
    )
    cache: CacheConfig = Field(CacheConfig(), description="where answers are kept for the next run")
    budget: BudgetConfig = Field(BudgetConfig(), description="what the run may use up before it stops")
    runner: RunnerConfig = Field(RunnerConfig(), description="what works on the shards")
    columns: dict[str, str] = Field({}, description="our column name -> the file's column name")

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

    pairs: Path = Field(description="file with the preference pairs: JSONL, JSON, CSV or Parquet")
    winner_values: dict[str, str] = Field({}, description="a, b and tie -> the value in the winner column")
    limit: int | None = Field(None, ge=1, description="pairs drawn by seed; all valid ones when left out")
    draw: Strategy = Field("random", description="how `limit` pairs are drawn; stratified goes by the column `stratum`")
    repeats: int = Field(1, ge=1, le=20, description="extract so often, each with a seed of its own, and compare")
    keep_ties: bool = Field(False, description="mine ties too, as a negative control: they yield no rule")
    held_out: Path | None = Field(None, description="pairs to score with the finished rule set")
    seed: int = Field(0, ge=0, description="of the draw of pairs and of every sampling that names none of its own")
    extractor: ModelConfig | None = Field(None, description="model for mining; `model` when left out")
    merger: ModelConfig | None = Field(None, description="model for synthesis; `model` when left out")
    verifier: ModelConfig | None = Field(None, description="model for held-out pairs; `model` when left out")
    interpretation: InterpretationConfig = Field(InterpretationConfig(), description="stage 1: reasons for each pair")
    mining: MiningConfig = Field(MiningConfig(), description="stage 2: candidate rules from the reasons")
    synthesis: SynthesisConfig = Field(SynthesisConfig(), description="stage 3: one rule set from all candidates")
    verification: VerificationConfig = Field(VerificationConfig(), description="how the rules will be checked")
    reward: RewardConfig = Field(RewardConfig(), description="how the rules will be turned into a reward")
    shard_size: int = Field(64, ge=1, description="pairs in one task")

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

    completions: Path = Field(description="file with prompts and the completions to score")
    rules: Path = Field(description="rule set file, such as 03_rule_set.json of a run")
    shard_size: int = Field(2000, ge=1, description="completions in one task")
