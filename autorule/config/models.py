"""Settings of models: which one answers, how it is reached, where its answers are kept, what may be spent on it."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from autorule.code_checks import MOST, MOST_WHOLE, JsonObject
from autorule.config.cache_place import default_cache_file
from autorule.config.stages import Config, server_address
from autorule.config.values import MOST_SECONDS, Count
from autorule.errors import in_words

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
    concurrency: int = Field(64, ge=1, le=100_000, description="requests in flight at each server")
    timeout_s: float = Field(600, gt=0, le=MOST_SECONDS, description="for one request, until its answer is there")
    max_retries: int = Field(5, ge=0, le=1000, description="after HTTP 429, 5xx, timeouts and broken connections")
    retry_wait_s: float = Field(
        1.0, gt=0, le=MOST_SECONDS, description="before the first retry; it doubles from then on"
    )
    server_wait_s: float = Field(
        300, ge=0, le=MOST_SECONDS, description="how long a request waits for a server that is away"
    )
    extra_body: JsonObject = Field({}, description="further fields of every request to a server; null: none")
    omit_fields: tuple[str, ...] = Field(
        (), description="fields that a server does not take, such as seed; most are learnt when it refuses them"
    )
    batch_size: Count = Field(8, ge=1, description="sequences at once on a local model")
    kv_budget_gb: float | None = Field(
        None,
        gt=0,
        le=MOST,
        description="memory for the key-value caches of questions; a quarter of what is free if left out",
    )
    tensor_parallel: int = Field(1, ge=1, le=10_000, description="GPUs that one vLLM engine spreads a model over")
    max_model_len: Count | None = Field(None, ge=128, description="tokens of prompt and answer on a vLLM engine")
    engine_args: JsonObject = Field(
        {}, description="further arguments of vllm.LLM, such as gpu_memory_utilization or quantization"
    )
    price_in: float | None = Field(None, ge=0, le=MOST, description="per million input tokens, in any currency")
    price_out: float | None = Field(None, ge=0, le=MOST, description="per million output tokens")
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
    path: Path | None = Field(
        None, description="the file; answers.sqlite in ~/.cache/autorule (or $XDG_CACHE_HOME/autorule) when left out"
    )
    max_gb: float = Field(
        20, gt=0, le=MOST, description="least recently used answers go when the file grows beyond this"
    )

    @field_validator("path")
    @classmethod
    def _same_from_everywhere(cls, path: Path | None) -> Path | None:
        """Absolute, so that it stays the same file for a worker or a trainer that stands in another folder."""
        if path is None:
            return None
        try:
            return path.expanduser().absolute()
        except (RuntimeError, OSError) as error:
            raise ValueError(f"{path} leads nowhere ({in_words(error)}): give the whole path") from error

    @property
    def file(self) -> Path:
        """Where answers are kept. Raises ConfigError where nobody says and there is no home folder."""
        return self.path or default_cache_file()


class BudgetConfig(Config):
    """Limits on the calls that a run sends; what the cache answers is free."""

    max_tokens_total: int | None = Field(None, ge=1, le=MOST_WHOLE, description="input and output tokens of all stages")
    max_cost: float | None = Field(None, gt=0, le=MOST, description="needs price_in and price_out of every model")
