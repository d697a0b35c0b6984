"""Settings. One model per flow: it is the flow's parameter, and it is written whole into the run's manifest.

A config holds the *name* of the environment variable with an API key, never the key: Prefect and the manifest
store configs in clear.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from autorule.errors import ConfigError
from autorule.preferences.sampling import Strategy

EMBEDDED = "embedded"
"""Name of the small model that comes from a package and shows the machinery without any download."""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Sampling(Config):
    """How an answer is drawn. The same settings, seed and request give the same answer on a local back end."""

    max_tokens: int = Field(4096, ge=1)
    temperature: float = Field(0.0, ge=0, le=2, description="0 is greedy decoding")
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, ge=1, le=2, description="sent to a server only when it is not 1")
    stop: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = Field((), description="never generated; a leading space counts")
    seed: int = 0


class InterpretationSampling(Sampling):
    max_tokens: int = Field(8192, ge=1)
    temperature: float = Field(0.6, ge=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)


class SynthesisSampling(Sampling):
    max_tokens: int = Field(8192, ge=1)


class ModelConfig(Config):
    """Which model answers, and how it is reached."""

    backend: Literal["transformers_local", "openai_compatible", "scripted"] = "transformers_local"
    model: str = Field(EMBEDDED, description="name on the server, folder or hub name, `embedded`, or a script")
    revision: str | None = None
    base_url: str | None = Field(None, description="OpenAI-compatible server, such as http://127.0.0.1:8000/v1")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    concurrency: int = Field(64, ge=1, description="requests in flight at one server")
    timeout_s: float = Field(600, gt=0, description="for one request")
    max_retries: int = Field(5, ge=0, description="after 429, 5xx, timeouts and broken connections")
    retry_wait_s: float = Field(1.0, gt=0, description="before the first retry; it doubles from then on")
    extra_body: dict[str, JsonValue] = Field({}, description="further fields of every request to a server")
    batch_size: int = Field(8, ge=1, description="sequences at once on a local model")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = Field("auto", description="bfloat16 on CUDA, float32 on the CPU")

    @field_validator("base_url")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise ValueError(
                "base_url holds a user name or password; put the key into an environment variable "
                "and name that variable in api_key_env"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url {url!r} is no http(s) address, such as http://127.0.0.1:8000/v1")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _server_has_an_address(self) -> Self:
        if self.backend == "openai_compatible" and not self.base_url:
            raise ValueError("backend openai_compatible needs base_url, such as http://127.0.0.1:8000/v1")
        if self.backend == "openai_compatible" and self.model == EMBEDDED:
            raise ValueError("backend openai_compatible needs model: the name under which the server serves it")
        return self


class CacheConfig(Config):
    enabled: bool = True
    path: Path = Path("outputs/cache/answers.sqlite")
    max_gb: float = Field(20, gt=0, description="least recently used answers go when the file grows beyond this")


class InterpretationConfig(Config):
    prompt: str = "interpretation"
    n_chains: int = Field(1, ge=1, le=64, description="chains per pair and order")
    both_orders: bool = Field(False, description="ask twice, each response once as A")
    max_response_chars: int = Field(24_000, ge=200, description="of each response; the middle of the rest is left out")
    sampling: InterpretationSampling = InterpretationSampling()


class MiningConfig(Config):
    prompt: str = "mining"
    extract_from: Literal["chain", "answer", "both"] = "chain"
    max_rules: int = Field(8, ge=1, le=50, description="rules asked for from one chain")
    max_rule_chars: int = Field(300, ge=20, description="longer candidates are set aside")
    max_chain_chars: int = Field(60_000, ge=200)
    asks: int = Field(2, ge=1, le=5, description="how often one chain may be asked before it fails")
    sampling: Sampling = Sampling()


class SynthesisConfig(Config):
    prompt: str = "synthesis"
    max_rules: int = Field(25, ge=1, description="size of the rule set")
    fold_similarity: float = Field(0.9, gt=0, le=1, description="cosine from which two candidates count as one")
    merge_similarity: float = Field(0.35, gt=0, le=1, description="cosine from which rules are merged together")
    max_merge_rules: int = Field(60, ge=2, description="rules in one merge call")
    merge_rounds: int = Field(3, ge=0, description="0 only folds; 1 merges clusters; more merge the merged lists")
    asks: int = Field(2, ge=1, le=5)
    sampling: SynthesisSampling = SynthesisSampling()


class VerificationConfig(Config):
    """How a verdict is reached. It is written into the rule set: who measures and who rewards must agree."""

    prompt: str = "verification"
    threshold: float = Field(0.5, ge=0, le=1, description="P(yes) from which a rule counts as satisfied")
    mass_floor: float = Field(0.05, ge=0, le=1, description="below this probability of all choices: unscored")
    na_policy: Literal["excluded", "satisfied", "unsatisfied"] = "excluded"
    choices: tuple[str, ...] = ("Yes", "No")
    max_conversation_chars: int = Field(40_000, ge=200)

    @field_validator("choices")
    @classmethod
    def _known_choices(cls, choices: tuple[str, ...]) -> tuple[str, ...]:
        if choices not in (("Yes", "No"), ("Yes", "No", "N/A")):
            raise ValueError(f"choices {choices!r}: use ['Yes', 'No'] or ['Yes', 'No', 'N/A']")
        return choices


class RewardConfig(Config):
    fraction: Literal["hard", "soft"] = Field("hard", description="mean of satisfied, or of P(yes)")
    min_scored: float = Field(0.8, ge=0, le=1, description="share of the weight below which a reward is unscored")
    scale: float = Field(1.0, description="reward = scale * (fraction - centre); 10 in the released AutoRule code")
    centre: float = Field(0.0, description="0.75 in the released AutoRule code")


class RunConfig(Config):
    """What every flow has: the model, where results go, how work is cut into shards."""

    model: ModelConfig = ModelConfig()
    outputs: Path = Path("outputs")
    run_id: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="made up when left out")
    cache: CacheConfig = CacheConfig()
    columns: dict[str, str] = Field({}, description="our column name -> the file's column name")


class ExtractConfig(RunConfig):
    """Parameters of extract_rules: preference pairs in, a rule set out."""

    pairs: Path
    winner_values: dict[str, str] = Field({}, description="a, b and tie -> the value in the winner column")
    limit: int | None = Field(None, ge=1, description="pairs drawn by seed; all valid ones when left out")
    draw: Strategy = Field("random", description="how `limit` pairs are drawn; stratified goes by the column `stratum`")
    held_out: Path | None = Field(None, description="pairs to score with the finished rule set")
    seed: int = 0
    extractor: ModelConfig | None = Field(None, description="model for mining; `model` when left out")
    merger: ModelConfig | None = Field(None, description="model for synthesis; `model` when left out")
    verifier: ModelConfig | None = Field(None, description="model for held-out pairs; `model` when left out")
    interpretation: InterpretationConfig = InterpretationConfig()
    mining: MiningConfig = MiningConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    verification: VerificationConfig = VerificationConfig()
    reward: RewardConfig = RewardConfig()
    shard_size: int = Field(64, ge=1, description="pairs in one task")

    @model_validator(mode="after")
    def _strata_have_a_column(self) -> Self:
        if self.draw == "stratified" and "stratum" not in self.columns:
            raise ValueError("draw stratified needs the column to go by: columns.stratum, or --columns stratum=NAME")
        if self.draw != "random" and self.limit is None:
            raise ValueError(f"draw {self.draw} needs a limit: how many pairs to draw")
        return self

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

    completions: Path
    rules: Path = Field(description="a rule set file, 03_rule_set.json of a run")
    shard_size: int = Field(2000, ge=1, description="completions in one task")


ConfigType = TypeVar("ConfigType", bound=Config)


def build_config(kind: type[ConfigType], *layers: dict[str, Any]) -> ConfigType:
    """A config from nested dicts, later ones over earlier ones. Raises ConfigError with one line per problem."""
    merged: dict[str, Any] = {}
    for layer in layers:
        _merge_into(merged, layer)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'config'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise ConfigError(problems) from error


def _merge_into(target: dict[str, Any], layer: dict[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge_into(target[key], value)
        elif isinstance(value, dict):
            target[key] = {}
            _merge_into(target[key], value)
        else:
            target[key] = value


def load_settings(path: Path) -> dict[str, Any]:
    """The settings of a TOML file. Raises ConfigError when it can't be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config file {str(path)!r}: {error}") from error


def load_preset(name: str) -> dict[str, Any]:
    """The settings of a preset that ships with autorule."""
    entry = resources.files("autorule.presets") / f"{name}.toml"
    return tomllib.loads(entry.read_text(encoding="utf-8"))
