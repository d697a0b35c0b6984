"""Scores of a learned reward model: any sequence-classification model of transformers, or one that vLLM serves."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autorule.backends.in_flight import InFlight
from autorule.backends.keys import quoted, read_key, without_keys
from autorule.backends.markers import Markers
from autorule.backends.retrying import FailedExchangeError, Patience, new_session, post_json
from autorule.backends.servers import Route, Servers
from autorule.backends.vllm_server import post
from autorule.errors import BackendError, ConfigError, MissingExtraError, first_line
from autorule.prompting import trim_middle
from autorule.records import Completion, Message, Messages
from autorule.rewards.settings import RewardModelConfig
from autorule.rewards.shaping import preference_as_reward

CONCURRENCY = 32
TIMEOUT_S = 120.0
MIN_CHARS = 100


class RewardModel:
    """Loads, or connects, at the first call. Raises MissingExtraError without torch where the model is local."""

    def __init__(self, config: RewardModelConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._markers = Markers(config.model)
        self._local: _LocalModel | None = None

    def check(self) -> None:
        """Raises BackendError when the model is not there: one that is served is asked once, one that is local is
        looked for, without its weights. MissingExtraError without transformers."""
        if self._config.base_url is not None:
            shown = (Message(role="user", content="Hello"), Message(role="assistant", content="Hello"))
            [score] = _served_scores(self._config, self._config.base_url, self._markers, [shown])
            if isinstance(score, str):
                raise BackendError(score)
            return
        try:
            import transformers
        except ImportError as error:
            raise MissingExtraError("transformers", "local", "a reward model in this process") from error
        try:
            transformers.AutoConfig.from_pretrained(self._config.model, revision=self._config.revision or "main")
        except (OSError, ValueError) as error:
            raise BackendError(_not_there(self._config, error)) from error

    def scores(self, conversations: Sequence[Messages]) -> list[float | str]:
        """The raw score (a logit) of each conversation, which ends with the response; or why it has none.

        Raises BackendError when the model can't be loaded.
        """
        if self._config.base_url is not None:
            return list(_served_scores(self._config, self._config.base_url, self._markers, conversations))
        with self._lock:
            if self._local is None:
                self._local = _load(self._config)
            return _local_scores(self._local, self._config, conversations)


def reward_of_model(
    model: RewardModel,
    config: RewardModelConfig,
    completions: Sequence[Completion],
    columns: Mapping[str, Sequence[Any]],
) -> list[float | str]:
    """The normalised score of each completion, or why it has none.

    Raises ConfigError when PAR finds no reference responses in the columns.
    """
    raw = model.scores([completion.prompt + completion.completion for completion in completions])
    if config.normalise == "none":
        return raw
    if config.normalise == "z":
        assert config.mean is not None and config.std is not None
        return [(score - config.mean) / config.std if isinstance(score, float) else score for score in raw]
    references = _references(config, columns, completions)
    distinct = list(
        dict.fromkeys((c.prompt, text) for c, own in zip(completions, references, strict=True) for text in own)
    )
    scored = model.scores([(*prompt, Message(role="assistant", content=text)) for prompt, text in distinct])
    by_reference = dict(zip(distinct, scored, strict=True))
    results: list[float | str] = []
    for completion, own, score in zip(completions, references, raw, strict=True):
        logits = [by_reference[completion.prompt, text] for text in own]
        failed = next((logit for logit in (score, *logits) if isinstance(logit, str)), None)
        known = [logit for logit in logits if isinstance(logit, float)]
        results.append(failed if failed is not None else preference_as_reward(float(score), known))
    return results


def _references(
    config: RewardModelConfig, columns: Mapping[str, Sequence[Any]], completions: Sequence[Completion]
) -> list[list[str]]:
    if config.references_column not in columns:
        known = ", ".join(sorted(columns)) or "none"
        raise ConfigError(f"par reads the column {config.references_column!r}; the trainer gives {known}")
    found = list(columns[config.references_column])
    for own in found:
        if not isinstance(own, (list, tuple)) or not own or not all(isinstance(text, str) for text in own):
            raise ConfigError(f"column {config.references_column}: {own!r:.80} is no list of responses")
    assert len(found) == len(completions)
    return [list(own) for own in found]


class _LocalModel(NamedTuple):
    model: Any
    tokens: Any
    device: str
    max_tokens: int


def _not_there(config: RewardModelConfig, error: Exception) -> str:
    return (
        f"can't load the reward model {config.model!r}: {first_line(error)}; give the folder or hub name of a "
        "sequence-classification model"
    )


def _load(config: RewardModelConfig) -> _LocalModel:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "local", "a reward model in this process") from error
    from autorule.backends.chat_tokens import ChatTokens

    device = config.device if config.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = config.dtype if config.dtype != "auto" else ("float32" if device == "cpu" else "bfloat16")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(config.model, revision=config.revision or "main")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            config.model, revision=config.revision or "main", dtype=getattr(torch, dtype)
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise BackendError(_not_there(config, error)) from error
    if model.config.num_labels != 1:
        raise BackendError(
            f"reward model {config.model!r} has {model.config.num_labels} labels; a reward model has one"
        )
    context = int(getattr(model.config, "max_position_embeddings", config.max_tokens))
    return _LocalModel(model.to(device).eval(), ChatTokens(tokenizer), device, min(context, config.max_tokens))


def _local_scores(
    local: _LocalModel, config: RewardModelConfig, conversations: Sequence[Messages]
) -> list[float | str]:
    import torch

    fitted = [_fitting_ids(local, messages) for messages in conversations]
    encoded = {index: ids for index, ids in enumerate(fitted) if isinstance(ids, list)}
    order = sorted(encoded, key=lambda index: len(encoded[index]))
    scores: list[float | str] = [reason if isinstance(reason, str) else "" for reason in fitted]
    for start in range(0, len(order), config.batch_size):
        batch = order[start : start + config.batch_size]
        width = max(len(encoded[index]) for index in batch)
        # The model takes the last token that is not padding: padding must not be what a row ends with.
        used = {token for index in batch for token in encoded[index]}
        pad = next(token for token in range(len(used) + 1) if token not in used)
        local.model.config.get_text_config().pad_token_id = local.model.config.pad_token_id = pad
        rows = [encoded[index] + [pad] * (width - len(encoded[index])) for index in batch]
        mask = [[1] * len(encoded[index]) + [0] * (width - len(encoded[index])) for index in batch]
        with torch.inference_mode():
            logits = local.model(
                input_ids=torch.tensor(rows, device=local.device),
                attention_mask=torch.tensor(mask, device=local.device),
            ).logits
        for index, logit in zip(batch, logits[:, 0].float().tolist(), strict=True):
            scores[index] = logit if math.isfinite(logit) else f"the reward model returned {logit}"
    return scores


def _fitting_ids(local: _LocalModel, messages: Messages) -> list[int] | str:
    """The conversation as token ids, the middle of its longest turns left out until it fits; or why not."""
    max_chars = max(len(message.content) for message in messages)
    while True:
        shown = tuple(m.model_copy(update={"content": trim_middle(m.content, max_chars).text}) for m in messages)
        try:
            ids: list[int] = local.tokens.encode_messages(shown, finished=True)
        except BackendError as error:
            return str(error)
        if len(ids) <= local.max_tokens:
            return ids
        if max_chars < MIN_CHARS:
            return f"a conversation of {len(messages)} turns does not fit into {local.max_tokens} tokens"
        max_chars = min(int(0.9 * max_chars * local.max_tokens / len(ids)), max_chars - 1)


def _finite(logit: Any) -> float:
    """Raises ValueError for what is no score: a text, a boolean, NaN, infinite."""
    if isinstance(logit, bool) or not isinstance(logit, (int, float)) or not math.isfinite(logit):
        raise ValueError
    return float(logit)


def _served_scores(
    config: RewardModelConfig, base_url: str, markers: Markers, conversations: Sequence[Messages]
) -> Iterator[float | str]:
    """vLLM's /classify, one conversation a request, without the activation: the raw logit."""
    key = read_key(config.api_key_env)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    in_flight = InFlight(CONCURRENCY)
    servers = Servers((base_url,))
    patience = Patience(5, first_wait_s=1.0, server_wait_s=60.0)

    async def classify(job: tuple[int, Messages]) -> tuple[int, float | str]:
        number, messages = job
        async with new_session(TIMEOUT_S, headers) as session:

            async def ask(body: dict[str, Any]) -> Any:
                return await post(session, next(iter(servers)).at("/tokenize"), body)

            turns = await markers.broken_up(messages, ask)
            body = {"model": config.model, "messages": turns, "add_generation_prompt": False, "use_activation": False}
            try:
                reply = await post_json(session, servers, Route(), "classify", body, patience)
            except FailedExchangeError as error:
                return number, f"reward model at {base_url}: {without_keys(str(error))}"
            try:
                [entry] = reply["data"]
                [logit] = entry["probs"]
                return number, _finite(logit)
            except (LookupError, TypeError, ValueError, OverflowError):
                message = f"the reply is not that of a reward model with one label: {quoted(reply, 200)}"
            return number, f"reward model at {base_url}: {without_keys(message)}"

    try:
        found = dict(in_flight.run(classify, list(enumerate(conversations))))
    finally:
        in_flight.close()
    yield from (found[number] for number in range(len(conversations)))
