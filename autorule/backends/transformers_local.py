"""A transformers model in this process, on the CPU or one GPU.

Generation runs in left-padded batches of fixed composition; sampling draws from a generator per row, so that an
answer depends on its request and seed, not on chance. For P(choice) the conversation is read once
(prefix_scoring.py).
"""

import threading
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from autorule.backends.base import (
    Answer,
    ChoiceAnswer,
    ChoiceProbabilities,
    ChoiceRequest,
    GenerateRequest,
    choice_result,
    output_from_text,
)
from autorule.backends.chat_tokens import ChatTokens, FittedPrompt
from autorule.backends.embedded import embedded_weights
from autorule.backends.model_identity import model_identity
from autorule.backends.prefix_scoring import PrefixScorer
from autorule.backends.row_sampling import row_sampler
from autorule.config.models import EMBEDDED, ModelConfig
from autorule.errors import BackendError, MissingExtraError, first_line
from autorule.records import Failure, FinishReason, ModelOutput, Usage


class _Loaded(NamedTuple):
    model: Any
    tokenizer: Any
    tokens: ChatTokens
    scorer: PrefixScorer
    context: int
    """Tokens that prompt and answer may have together."""
    eos_ids: list[int]


class TransformersLocalBackend:
    def __init__(self, config: ModelConfig) -> None:
        """Cheap: the first request loads the model. Raises MissingExtraError without torch and transformers."""
        try:
            import torch
            import transformers  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(error.name or "torch", "local", "backend transformers_local") from error
        self._torch = torch
        self._config = config
        self.batch_size = config.batch_size
        self._device = config.device if config.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        on_cpu = self._device == "cpu"
        self._dtype = config.dtype if config.dtype != "auto" else ("float32" if on_cpu else "bfloat16")
        self.identity = f"transformers_local:{model_identity(config)}:{self._dtype}"
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def generate(self, requests: Iterable[GenerateRequest]) -> Iterator[Answer]:
        loaded = self._load()
        prompts = [(request, loaded.tokens.encode_messages(request.conversation)) for request in requests]
        fitting = []
        for request, prompt in prompts:
            if len(prompt) + request.sampling.max_tokens > loaded.context:
                yield Answer(request, _too_long(request, len(prompt), request.sampling.max_tokens, loaded.context))
            else:
                fitting.append((request, prompt))
        for _, same_sampling in groupby(fitting, key=lambda item: item[0].sampling):
            group = list(same_sampling)
            for start in range(0, len(group), self.batch_size):
                batch = group[start : start + self.batch_size]
                with self._lock:
                    outputs = self._generate_batch(loaded, batch)
                yield from (Answer(request, output) for (request, _), output in zip(batch, outputs, strict=True))

    def score_choices(self, requests: Iterable[ChoiceRequest]) -> Iterator[ChoiceAnswer]:
        loaded = self._load()
        for request in requests:
            fitted = loaded.tokens.encode_fitting(request, loaded.context)
            results: list[ChoiceProbabilities | Failure]
            if isinstance(fitted, Failure):
                results = [fitted] * len(request.questions)
            else:
                with self._lock:
                    results = self._score_shared(loaded, fitted, request)
            for question, result in zip(request.questions, results, strict=True):
                yield ChoiceAnswer(request, question, result)

    def check(self) -> str:
        n_parameters = sum(parameter.numel() for parameter in self._load().model.parameters())
        return f"{self.identity} on {self._device}: {n_parameters / 1e6:.0f}M parameters"

    def close(self) -> None:
        with self._lock:
            self._loaded = None

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load_model(self._config, self._device, getattr(self._torch, self._dtype))
            return self._loaded

    def _generate_batch(self, loaded: _Loaded, batch: list[tuple[GenerateRequest, list[int]]]) -> list[ModelOutput]:
        """Answers to requests of one sampling, from one left-padded batch."""
        torch = self._torch
        sampling = batch[0][0].sampling
        width = max(len(prompt) for _, prompt in batch)
        pad = loaded.eos_ids[0]
        input_ids = torch.tensor([[pad] * (width - len(p)) + p for _, p in batch], device=self._device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for _, p in batch], device=self._device)
        bad_words = [loaded.tokens.encode_data(word) for word in sampling.bad_words]
        processors = []
        if any(request.temperature > 0 for request, _ in batch):
            processors.append(row_sampler(sampling, [request for request, _ in batch]))
        with torch.inference_mode():
            sequences = loaded.model.generate(
                input_ids=input_ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=sampling.max_tokens,
                repetition_penalty=sampling.repetition_penalty,
                pad_token_id=pad,
                eos_token_id=loaded.eos_ids,
                logits_processor=processors,
                stop_strings=list(sampling.stop) or None,
                tokenizer=loaded.tokenizer,
                bad_words_ids=bad_words or None,
                temperature=None,
                top_p=None,
                top_k=None,
            )
        return [
            self._read_answer(loaded, request, len(prompt), row[width:].tolist())
            for (request, prompt), row in zip(batch, sequences, strict=True)
        ]

    def _read_answer(self, loaded: _Loaded, request: GenerateRequest, n_prompt: int, ids: list[int]) -> ModelOutput:
        ends = [position for position, token in enumerate(ids) if token in loaded.eos_ids]
        finish_reason: FinishReason = "stop" if ends else "length"
        answer_ids = ids[: ends[0]] if ends else ids
        text = loaded.tokenizer.decode(answer_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        for stop in request.sampling.stop:
            if stop in text:
                text, finish_reason = text.partition(stop)[0], "stop"
        usage = Usage(prompt_tokens=n_prompt, completion_tokens=len(answer_ids))
        return output_from_text(text, finish_reason, usage, self.identity)

    def _score_shared(
        self, loaded: _Loaded, fitted: FittedPrompt, request: ChoiceRequest
    ) -> list[ChoiceProbabilities | Failure]:
        """P(choice) of each suffix; the prefix is read once."""
        prompt, choices = fitted.prompt, request.choices
        sums = loaded.scorer.last_probabilities(prompt, list(loaded.tokens.choice_ids(choices).values()))
        results: list[ChoiceProbabilities | Failure] = []
        for suffix, values in zip(prompt.suffixes, sums, strict=True):
            # The prefix was read once: its tokens count for the first question only.
            usage = Usage(prompt_tokens=len(suffix) + (0 if results else len(prompt.prefix)))
            probabilities = dict(zip(choices, values, strict=True))
            results.append(choice_result(request, probabilities, trimmed=fitted.trimmed, usage=usage))
        return results


def _too_long(request: GenerateRequest, n_prompt: int, n_answer: int, context: int) -> Failure:
    message = (
        f"the prompt has {n_prompt} tokens and the answer up to {n_answer}, but the model takes {context}; lower "
        "the max_..._chars or max_tokens settings"
    )
    return Failure(stage=request.stage, kind="provider", message=message, item_id=request.request_id)


def _load_model(config: ModelConfig, device: str, dtype: Any) -> _Loaded:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    source: dict[str, Any] = {"pretrained_model_name_or_path": config.model, "revision": config.revision or "main"}
    if config.model == EMBEDDED:
        weights = embedded_weights()
        source = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
        model = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=dtype).to(device).eval()
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise BackendError(
            f"can't load model {config.model!r}: {first_line(error)}; give a folder or hub name of a transformers model"
        ) from error
    eos = model.generation_config.eos_token_id
    eos_ids = {tokenizer.eos_token_id, *(eos if isinstance(eos, list) else [eos])} - {None}
    context = int(getattr(model.config, "max_position_embeddings", 1 << 30))
    scorer = PrefixScorer(model, device, config.kv_budget_gb)
    return _Loaded(model, tokenizer, ChatTokens(tokenizer), scorer, context, sorted(eos_ids))
