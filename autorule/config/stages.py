"""Settings of the four stages: how each asks, and what it keeps."""

import re
from typing import Any, Literal, Self
from urllib.parse import unquote_plus, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from autorule.config.answer_budget import list_budget
from autorule.config.forms import as_form, title_of
from autorule.config.values import Choices, Count, Points, Seed, check_meant

CompletionView = Literal["final", "full"]
VerificationMode = Literal["direct", "reasoned", "joint"]
VERIFICATION_PROMPTS = {
    "direct": "verification",
    "reasoned": "verification_reasoned",
    "joint": "verification_joint",
}


class Config(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        field_title_generator=lambda name, _: title_of(name),
        json_schema_extra=as_form,
    )

    @model_validator(mode="before")
    @classmethod
    def _values_can_be_meant(cls, settings: Any) -> Any:
        if isinstance(settings, dict):
            for name, field in cls.model_fields.items():
                check_meant(name, settings.get(name), field.annotation)
        return settings


NAME_OF_SECRET = re.compile(
    r"(?<![a-z])(?:[a-z]*(?:key|token|secret|password|passwd|signature|credentials?)|sig|code|pwd?|auth|authorization)"
    r"(?![a-z])",
    re.IGNORECASE,
)
"""Of a field in the query of an address; `api-version` is none."""
PLACE_OF_KEYS = "which would be kept and shown; put it into an environment variable and name that in api_key_env"


def server_address(url: str) -> str:
    """The base URL of a server, without a slash at its end. Raises ValueError for one with a password or key in it,
    which would be kept in manifests and shown in errors, and for what is no http(s) address."""
    base, _, query = url.partition("?")
    fields = [unquote_plus(field.partition("=")[0]) for field in re.split("[?&;#]", query)]
    if secret := next(filter(NAME_OF_SECRET.search, fields), None):
        raise ValueError(f"base_url holds {secret[:40]!r} in its query, {PLACE_OF_KEYS} (--api-key-env)")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_user = "@" in parts.netloc or (not is_address and "@" in url)
    except ValueError:  # brackets or a port that are none
        is_address, has_user = False, "@" in url
    if has_user:
        raise ValueError(f"base_url holds a user name or password, {PLACE_OF_KEYS}")
    if not is_address:
        raise ValueError(f"base_url {base!r} is no http(s) address, such as http://127.0.0.1:8000/v1")
    return url.rstrip("/")


MAX_RULE_CHARS = 300
MAX_TOKENS = "most tokens of one answer, thinking included; a longer one is cut off and fails"
TEMPERATURE = "0 takes the likeliest word each time; higher values draw more varied ones"
TOP_P = "draws only among the likeliest words that together have this probability; 1 is all of them"


class Sampling(Config):
    """How an answer is drawn. The same settings, seed and request give the same answer on a local back end."""

    max_tokens: Count = Field(4096, ge=1, description=MAX_TOKENS)
    temperature: float = Field(0.0, ge=0, le=2, description=TEMPERATURE)
    top_p: float = Field(1.0, gt=0, le=1, description=TOP_P)
    repetition_penalty: float = Field(
        1.0, ge=1, le=2, description="above 1, words that were said already get less likely; 1 changes nothing"
    )
    stop: tuple[str, ...] = Field((), description="texts that end an answer when they are generated")
    bad_words: tuple[str, ...] = Field((), description="words that are never generated; a leading space counts")
    seed: Seed = Field(0, description="of the draws; for the same answer again, where the server keeps to seeds")


class InterpretationSampling(Sampling):
    """How a chain of reasons is drawn."""

    max_tokens: Count = Field(8192, ge=1, description=MAX_TOKENS)
    temperature: float = Field(0.6, ge=0, le=2, description=TEMPERATURE)
    top_p: float = Field(0.95, gt=0, le=1, description=TOP_P)


class SynthesisSampling(Sampling):
    """How a merged list of rules is drawn. The lists that are merged in one call are cut to half of `max_tokens`
    (list_room in extraction/synthesis.py): an answer that repeats its list fits, and as much thinking."""

    max_tokens: Count = Field(8192, ge=1, description=MAX_TOKENS)


class VerificationSampling(Sampling):
    """Of written verdicts; a verdict from probabilities draws nothing."""

    max_tokens: Count = Field(2048, ge=1, description=MAX_TOKENS)


class InterpretationConfig(Config):
    """Stage 1: the model reasons why the chosen response of each pair was preferred."""

    prompt: str = Field("interpretation", description="name of the prompt's file in prompts/, without .txt")
    n_chains: int = Field(1, ge=1, le=64, description="chains of reasons that are asked for, for each pair and order")
    both_orders: bool = Field(False, description="ask twice about each pair, each response once as A")
    check_chains: Literal["off", "mark", "leave_out"] = Field(
        "off",
        description="ask for the winner from the chain alone: mark chains that do not lead to it, or leave them out",
    )
    check_prompt: str = Field("chain_check", description="name of the prompt that checks chains")
    max_response_chars: Count = Field(
        24_000, ge=200, description="characters of each response that are shown; of longer ones the middle is left out"
    )
    sampling: InterpretationSampling = Field(InterpretationSampling(), description="how chains are drawn")


class MiningConfig(Config):
    """Stage 2: candidate rules are taken from each chain of reasons."""

    prompt: str = Field("mining", description="name of the prompt's file in prompts/, without .txt")
    extract_from: Literal["chain", "answer", "both"] = Field(
        "chain", description="chain: the model's thinking; answer: what it says after it; both: one after the other"
    )
    max_rules: int = Field(8, ge=1, le=50, description="most rules that are asked for from one chain")
    max_rule_chars: int = Field(
        MAX_RULE_CHARS,
        ge=20,
        le=1_000_000,
        description="characters of a rule, a Chinese one is three; longer ones are set aside",
    )
    max_chain_chars: Count = Field(
        60_000, ge=200, description="characters of a chain that are shown; of longer ones the middle is left out"
    )
    asks: int = Field(2, ge=1, le=5, description="how often one chain may be asked about before it fails")
    sampling: Sampling = Field(Sampling(), validate_default=True, description="how lists of candidates are drawn")

    @field_validator("sampling")
    @classmethod
    def _budget_fits_the_list(cls, sampling: Sampling, info: ValidationInfo) -> Sampling:
        if "max_tokens" in sampling.model_fields_set or not {"max_rules", "max_rule_chars"} <= info.data.keys():
            return sampling
        budget = list_budget(info.data["max_rules"], info.data["max_rule_chars"])
        return sampling.model_copy(update={"max_tokens": budget})


class SimilarityConfig(Config):
    """How alike two rules are: by their words, or by vectors of a model."""

    method: Literal["tfidf", "endpoint", "sentence_transformers"] = Field(
        "tfidf", description="tfidf: shared words; endpoint: vectors from a server; sentence_transformers: vectors here"
    )
    model: str | None = Field(None, description="name on the server; folder or hub name for sentence_transformers")
    base_url: str | None = Field(None, description="server with /embeddings, such as http://127.0.0.1:8001/v1")
    api_key_env: str | None = Field(None, description="name of the environment variable that holds the key")
    batch_size: Count = Field(128, ge=1, description="texts in one request")

    @field_validator("base_url")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        return url if url is None else server_address(url)

    @model_validator(mode="after")
    def _a_model_is_named(self) -> Self:
        if self.method != "tfidf" and not self.model:
            raise ValueError(f"similarity method {self.method} needs a model")
        if self.method == "endpoint" and not self.base_url:
            raise ValueError("similarity method endpoint needs base_url, such as http://127.0.0.1:8001/v1")
        return self


class SynthesisConfig(Config):
    """Stage 3: the candidates are folded and merged into one rule set."""

    prompt: str = Field("synthesis", description="name of the prompt's file in prompts/, without .txt")
    review_prompt: str = Field("synthesis_review", description="name of the prompt that looks over a merge")
    split_prompt: str = Field("synthesis_split", description="name of the prompt that splits compound rules")
    contradiction_prompt: str = Field(
        "synthesis_contradictions", description="name of the prompt that looks for contradictions"
    )
    max_rules: Count | None = Field(50, ge=1, description="most rules of the rule set; no bound when left out")
    min_support_share: float = Field(
        0.005,
        ge=0,
        le=1,
        description="share of the pairs that must stand behind a rule, rounded up to a number of pairs",
    )
    single_merge: bool = Field(False, description="one call with every distinct candidate, as in the AutoRule paper")
    similarity: SimilarityConfig = Field(SimilarityConfig(), description="how alike two rules are said to be")
    fold_similarity: float = Field(0.9, gt=0, le=1, description="cosine from which two candidates count as one")
    merge_similarity: float = Field(0.35, gt=0, le=1, description="cosine from which rules are merged together")
    max_merge_rules: Count = Field(100, ge=2, description="rules in one merge call")
    context_tokens: Count = Field(
        32_768, ge=512, description="context of the merging model: prompt, thinking and answer"
    )
    merge_rounds: int = Field(
        4,
        ge=0,
        le=100,
        description="0 only folds; 1 merges clusters; each further one wider clusters, and then one list",
    )
    review: bool = Field(True, description="ask once more where a merge forgot a rule or joined unlike ones")
    split_compound: bool = Field(True, description="ask to split rules that ask for several things")
    find_contradictions: bool = Field(True, description="ask which similar rules contradict each other")
    contradiction_similarity: float = Field(0.25, gt=0, le=1, description="cosine from which two rules are compared")
    asks: int = Field(2, ge=1, le=5, description="how often one call may be asked before it fails")
    sampling: SynthesisSampling = Field(SynthesisSampling(), description="how merged lists are drawn")


class VerificationConfig(Config):
    """How a verdict is reached. It is written into the rule set: who measures and who rewards must agree."""

    mode: VerificationMode = Field(
        "direct",
        description="direct: P(yes) of the first token; reasoned: a verdict after reasons; joint: all rules at once",
    )
    prompt: str | None = Field(
        None, description="that of the mode when left out; verification_concise also asks for conciseness"
    )
    completion_view: CompletionView = Field(
        "final", description="final: the answer after a <think> block is judged; full: the thinking too"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="P(yes) from which a rule counts as satisfied")
    mass_floor: float = Field(0.05, ge=0, le=1, description="below this probability of all choices: unscored")
    na_policy: Literal["excluded", "satisfied", "unsatisfied"] = Field(
        "excluded", description="what a rule that does not apply counts for in the reward, where N/A is a choice"
    )
    choices: Choices = Field(
        ("Yes", "No"), description="answers that the verifier chooses from: Yes and No, or Yes, No and N/A"
    )
    max_conversation_chars: Count = Field(
        40_000, ge=200, description="characters of a conversation that are shown; of longer ones the middle is left out"
    )
    prefix_block: int = Field(
        32,
        ge=1,
        le=256,
        description="blank lines before the conversation fill it up to a multiple of so many tokens, where it is sent "
        "as tokens: paged key-value caches share whole blocks only; 1: none",
    )
    asks: int = Field(2, ge=1, le=5, description="how often a written verdict may be asked for before it fails")
    sampling: VerificationSampling = Field(VerificationSampling(), description="how written verdicts are drawn")

    @property
    def prompt_name(self) -> str:
        return self.prompt or VERIFICATION_PROMPTS[self.mode]


class RewardConfig(Config):
    """How verdicts become one number: scale * (share of the rules that are satisfied - centre)."""

    fraction: Literal["hard", "soft"] = Field(
        "hard", description="hard: the share of the rules that are satisfied; soft: the mean probability that they are"
    )
    min_scored: float = Field(
        0.8, ge=0, le=1, description="share of the rules' weight that needs a verdict; below it there is no reward"
    )
    scale: Points = Field(
        1.0,
        description="reward = scale * (fraction - centre); 10 in the released AutoRule code",
    )
    centre: float = Field(
        0.0, ge=0, le=1, description="share that gives a reward of 0; 0.75 in the released AutoRule code"
    )
