"""A vLLM engine in this process: on GPUs, or on the CPU with vLLM's CPU build.

Prompts go in as token ids, with the text of messages as data. The questions about a conversation go in next to each
other: the engine computes their shared prefix once and finds its blocks in the cache for the others.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from autorule.backends.base import (
    Answer,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    GenerateRequest,
    Question,
    choice_result,
    output_from_text,
    probability_of,
)
from autorule.backends.chat_tokens import ChatTokens
from autorule.backends.embedded import embedded_folder
from autorule.backends.model_identity import model_identity
from autorule.backends.vllm_server import lost_by_blocks
from autorule.config.models import EMBEDDED, ModelConfig
from autorule.errors import BackendError, MissingExtraError, first_line, with_kind
from autorule.records import Failure, FinishReason, ModelOutput, Usage, content_id

Item = TypeVar("Item")
log = logging.getLogger(__name__)
QUESTIONS_AT_ONCE = 1024
"""Handed to the engine together, and committed together; it schedules them as its memory allows."""
ANSWERS_AT_ONCE = 256
CPU_BLOCK_SIZE = 32
"""The smallest that the CPU build takes; its default of 128 computes much of each prefix again."""


class _Loaded(NamedTuple):
    llm: Any
    tokens: ChatTokens
    context: int


class _Asked(NamedTuple):
    request: ChoiceRequest
    question: Question
    prompt: list[int]
    n_new: int
    """Tokens that no earlier question of the conversation has."""
    trimmed: bool


class VllmEngineBackend:
    batch_size = None

    def __init__(self, config: ModelConfig) -> None:
        """Cheap: the first request starts the engine. Raises MissingExtraError without vLLM."""
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        try:
            import vllm  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("vllm", "vllm", "backend vllm_engine") from error
        self._config = config
        self._dtype = config.dtype if config.dtype != "auto" else "bfloat16"
        self.identity = f"vllm_engine:{model_identity(config)}:{self._dtype}"
        if config.engine_args:
            self.identity += f"+{content_id(config.engine_args)}"
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        self._warned = False

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        loaded = self._load()
        for group in _groups(requests, ANSWERS_AT_ONCE):
            prompts = [loaded.tokens.encode_messages(request.conversation) for request in group]
            fitting = []
            for request, prompt in zip(group, prompts, strict=True):
                if len(prompt) + request.sampling.max_tokens > loaded.context:
                    yield Answer(request, _too_long(request, len(prompt), loaded.context))
                else:
                    fitting.append((request, prompt))
            outputs = self._run(loaded, [p for _, p in fitting], [self._sampling_of(r) for r, _ in fitting])
            for (request, prompt), output in zip(fitting, outputs, strict=True):
                yield Answer(request, self._read_output(output, len(prompt)))

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        from vllm import SamplingParams

        loaded = self._load()
        failed: list[ChoiceAnswer] = []
        for group in _groups(self._asked(loaded, requests, failed), QUESTIONS_AT_ONCE):
            sampling = []
            for asked in group:
                ids = [i for group_ids in loaded.tokens.choice_ids(asked.request.choices).values() for i in group_ids]
                sampling.append(
                    SamplingParams(
                        max_tokens=1, temperature=0, logprobs=len(ids), logprob_token_ids=ids, detokenize=False
                    )
                )
            outputs = self._run(loaded, [asked.prompt for asked in group], sampling)
            for asked, output in zip(group, outputs, strict=True):
                yield ChoiceAnswer(asked.request, asked.question, self._read_choices(loaded, asked, output))
            yield from failed
            failed.clear()
        yield from failed

    def check(self) -> str:
        loaded = self._load()
        block_size, _ = _cache_settings(loaded.llm)
        return f"{self.identity}: {loaded.context} tokens of context, key-value blocks of {block_size}"

    def close(self) -> None:
        with self._lock:
            if self._loaded is not None:
                self._loaded.llm.llm_engine.engine_core.shutdown()
            self._loaded = None

    def _asked(
        self, loaded: _Loaded, requests: Iterable[ChoiceRequest], failed: list[ChoiceAnswer]
    ) -> Iterator[_Asked]:
        """Every question with its prompt; questions about a conversation that can't fit go to `failed`."""
        for request in requests:
            self._warn_of_blocks(loaded, request.align)
            fitted = loaded.tokens.encode_fitting(request, loaded.context)
            if isinstance(fitted, Failure):
                failed += [ChoiceAnswer(request, question, fitted) for question in request.questions]
                continue
            prefix = fitted.prompt.prefix
            for index, (question, suffix) in enumerate(zip(request.questions, fitted.prompt.suffixes, strict=True)):
                n_new = len(suffix) + (0 if index else len(prefix))
                yield _Asked(request, question, prefix + suffix, n_new, fitted.trimmed)

    def _run(self, loaded: _Loaded, prompts: list[list[int]], sampling: list[Any]) -> list[Any]:
        """The engine's outputs, in order. Raises BackendError when the engine died."""
        if not prompts:
            return []
        with self._lock:
            try:
                return list(loaded.llm.generate([{"prompt_token_ids": p} for p in prompts], sampling, use_tqdm=False))
            except Exception as error:
                raise BackendError(f"the vLLM engine failed: {with_kind(error)}") from error

    def _read_choices(self, loaded: _Loaded, asked: _Asked, output: Any) -> ChoiceProbabilities | Failure:
        logprobs = output.outputs[0].logprobs if output.outputs else None
        ids = loaded.tokens.choice_ids(asked.request.choices)
        try:
            top: Any = logprobs[0] if logprobs else None
            sums = {choice: sum(probability_of(top[i].logprob) for i in group) for choice, group in ids.items()}
        except (TypeError, LookupError, ValueError) as error:
            message = f"the engine returned no log-probabilities of the choices: {with_kind(error)}"
            return Failure(
                stage=asked.request.stage, kind="provider", message=message, item_id=asked.request.request_id
            )
        usage = Usage(prompt_tokens=asked.n_new)
        return choice_result(asked.request, sums, trimmed=asked.trimmed, usage=usage)

    def _sampling_of(self, request: GenerateRequest) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        sampling = request.sampling
        seed = content_id("seed", sampling.seed, request.sample_index, request.repeats)
        schema = request.json_schema
        return SamplingParams(
            max_tokens=sampling.max_tokens,
            temperature=request.temperature,
            top_p=sampling.top_p,
            repetition_penalty=sampling.repetition_penalty,
            stop=list(sampling.stop) or None,
            bad_words=list(sampling.bad_words) or None,
            seed=int(seed[:7], 16) if request.temperature > 0 else None,
            structured_outputs=StructuredOutputsParams(json=schema) if schema is not None else None,
            skip_special_tokens=False,
        )

    def _read_output(self, output: Any, n_prompt: int) -> ModelOutput:
        answer = output.outputs[0]
        finish_reason: FinishReason = answer.finish_reason if answer.finish_reason in ("stop", "length") else "unknown"
        usage = Usage(prompt_tokens=n_prompt, completion_tokens=len(answer.token_ids))
        return output_from_text(answer.text, finish_reason, usage, self.identity)

    def _warn_of_blocks(self, loaded: _Loaded, align: int) -> None:
        if not self._warned:
            self._warned = True
            if lost := lost_by_blocks(*_cache_settings(loaded.llm), align):
                log.warning("vLLM engine: %s", lost)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _start(self._config, self._dtype)
            return self._loaded


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group


def _start(config: ModelConfig, dtype: str) -> _Loaded:
    import vllm
    from vllm.platforms import current_platform

    arguments: dict[str, Any] = {
        "model": str(embedded_folder()) if config.model == EMBEDDED else config.model,
        "revision": config.revision,
        "dtype": dtype,
        "tensor_parallel_size": config.tensor_parallel,
        "max_model_len": config.max_model_len,
        "enable_prefix_caching": True,
    }
    if current_platform.is_cpu():
        arguments["block_size"] = CPU_BLOCK_SIZE
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    try:
        llm = vllm.LLM(**{**arguments, **config.engine_args})
    except Exception as error:
        raise BackendError(f"the vLLM engine can't start with model {config.model!r}: {first_line(error)}") from error
    return _Loaded(llm, ChatTokens(llm.get_tokenizer()), int(llm.llm_engine.model_config.max_model_len))


def _cache_settings(llm: Any) -> tuple[int, bool]:
    """Tokens in a block of the key-value cache, and whether prefixes are cached."""
    cache = llm.llm_engine.vllm_config.cache_config
    return int(cache.block_size), bool(cache.enable_prefix_caching)


def _too_long(request: GenerateRequest, n_prompt: int, context: int) -> Failure:
    message = (
        f"the prompt has {n_prompt} tokens and the answer up to {request.sampling.max_tokens}, but the engine takes "
        f"{context}; lower the max_..._chars or max_tokens settings, or raise model.max_model_len"
    )
    return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)
