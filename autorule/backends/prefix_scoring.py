"""P(choice) of many questions about one conversation, which a transformers model reads once.

The questions run packed: one sequence behind the conversation's key-value cache, with a mask that hides them from each
other, so that nothing is padded and the cache is never copied. Models whose attention takes no such mask (sliding
windows, state spaces) get a batch of questions instead, each behind a copy of the cache.

How many questions run at once is bounded by `budget_bytes` of keys, values and masks; when memory runs out all the
same, the number is halved, and that is said.
"""

import copy
import logging
import os
from collections.abc import Sequence
from typing import Any

from autorule.backends.chat_tokens import SharedPrompt

log = logging.getLogger(__name__)
FREE_MEMORY_SHARE = 0.25
PACKED_TOKENS = {"cpu": 256, "cuda": 1024}
"""Of questions in one sequence: attention to what the mask hides is computed too, and grows with the square. The
figure for the CPU is measured; a GPU needs more tokens at once to be busy."""


class PrefixScorer:
    def __init__(self, model: Any, device: str, budget_gb: float | None = None, packed: bool | None = None) -> None:
        """`packed`: None takes the faster way that the model allows."""
        self._model = model
        self._device = device
        self._budget_gb = budget_gb
        self.packed = attends_anywhere(model.config) if packed is None else packed
        self._bytes_per_token = _cache_bytes_per_token(model)
        self.most_questions: int | None = None
        """Questions at once that memory was found to allow."""

    def last_probabilities(self, prompt: SharedPrompt, ids: Sequence[Sequence[int]]) -> list[list[float]]:
        """For each question the summed probability of each group of token ids, after the last token of the prompt."""
        import torch

        with torch.inference_mode():
            prefix = torch.tensor([prompt.prefix], device=self._device)
            cache = self._model(input_ids=prefix, use_cache=True, logits_to_keep=1).past_key_values
            sums: list[list[float]] = []
            while len(sums) < len(prompt.suffixes):
                at_once = self._at_once(prompt, len(sums))
                suffixes = prompt.suffixes[len(sums) : len(sums) + at_once]
                try:
                    run = self._packed_logits if self.packed else self._repeated_logits
                    logits = run(cache, len(prompt.prefix), suffixes)
                except torch.OutOfMemoryError:
                    if at_once == 1:
                        raise
                    self.most_questions = at_once // 2
                    log.warning("memory ran out at %d questions at once; going on with %d", at_once, at_once // 2)
                    torch.cuda.empty_cache()
                    continue
                probabilities = torch.softmax(logits.float(), dim=-1)
                groups = [probabilities[:, list(group)].sum(dim=-1) for group in ids]
                sums += torch.stack(groups, dim=-1).tolist()
        return sums

    def _at_once(self, prompt: SharedPrompt, start: int) -> int:
        """How many of the questions from `start` on fit the budget, at least one."""
        budget = self._budget_gb * 1e9 if self._budget_gb else FREE_MEMORY_SHARE * _free_bytes(self._device)
        n_prefix, n_tokens, width, fitting = len(prompt.prefix), 0, 0, 0
        for suffix in prompt.suffixes[start:]:
            n_tokens, width = n_tokens + len(suffix), max(width, len(suffix))
            if self.packed:
                needed = n_tokens * self._bytes_per_token + 4 * n_tokens * (n_prefix + n_tokens)
                too_many = needed > budget or n_tokens > PACKED_TOKENS[self._device.partition(":")[0]]
            else:
                too_many = (fitting + 1) * (n_prefix + width) * self._bytes_per_token > budget
            if fitting and (too_many or fitting == self.most_questions):
                break
            fitting += 1
        return fitting

    def _packed_logits(self, cache: Any, n_prefix: int, suffixes: list[list[int]]) -> Any:
        """Logits (suffixes × vocabulary). The cache is left as it was."""
        import torch

        lengths = torch.tensor([len(suffix) for suffix in suffixes])
        owner = torch.repeat_interleave(torch.arange(len(suffixes)), lengths)
        starts = lengths.cumsum(0) - lengths
        offsets = torch.arange(len(owner)) - starts[owner]
        own = (owner[:, None] == owner[None, :]) & (offsets[:, None] >= offsets[None, :])
        seen = torch.cat([torch.ones(len(owner), n_prefix, dtype=torch.bool), own], dim=1)
        mask = torch.zeros(seen.shape, dtype=self._model.dtype).masked_fill(~seen, torch.finfo(self._model.dtype).min)
        output = self._model(
            input_ids=torch.tensor([[i for suffix in suffixes for i in suffix]], device=self._device),
            attention_mask=mask[None, None].to(self._device),
            position_ids=(n_prefix + offsets)[None].to(self._device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=(lengths.cumsum(0) - 1).to(self._device),
        )
        cache.crop(n_prefix)
        return output.logits[0]

    def _repeated_logits(self, cache: Any, n_prefix: int, suffixes: list[list[int]]) -> Any:
        """Logits (suffixes × vocabulary), from a batch behind copies of the cache.

        Suffixes are padded on the left, between prefix and suffix, so that every row ends at the last position;
        masked padding and explicit positions make that the same as no padding.
        """
        import torch

        width = max(map(len, suffixes))
        pads = [width - len(suffix) for suffix in suffixes]
        input_ids = torch.tensor([[0] * n + s for n, s in zip(pads, suffixes, strict=True)], device=self._device)
        mask = torch.tensor([[1] * n_prefix + [0] * n + [1] * (width - n) for n in pads], device=self._device)
        repeated = copy.deepcopy(cache)
        repeated.batch_repeat_interleave(len(suffixes))
        output = self._model(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0)[:, n_prefix:],
            past_key_values=repeated,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]


def attends_anywhere(config: Any) -> bool:
    """Whether every layer attends to all earlier tokens, so that a mask of our own decides what it sees."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    kinds = getattr(text_config, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"}
    uses_window = getattr(text_config, "use_sliding_window", True) and getattr(text_config, "sliding_window", None)
    return not uses_window and getattr(text_config, "num_attention_heads", None) is not None


def _cache_bytes_per_token(model: Any) -> int:
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)


def _free_bytes(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 4_000_000_000
