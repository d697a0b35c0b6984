"""Sampling with a random generator for each row of a batch.

transformers draws a whole batch from one global generator, so that an answer depends on its neighbours and on what
ran before. Here each row adds Gumbel noise from its own generator to its logits; greedy decoding of the sum is an
exact draw from the softmax (the Gumbel-max trick), and repeats for the same request and seed.
"""

from typing import TYPE_CHECKING, Any

from autorule.backends.base import GenerateRequest
from autorule.config.stages import Sampling
from autorule.records import content_id

if TYPE_CHECKING:
    import torch


def row_sampler(sampling: Sampling, requests: list[GenerateRequest]) -> Any:
    """A logits processor for greedy `generate` that draws row i by the seed of request i."""
    import torch

    temperatures = torch.tensor([[request.temperature] for request in requests])
    generators = [torch.Generator().manual_seed(_row_seed(sampling, request)) for request in requests]

    def processor(_: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        kept = _nucleus(logits.float() / temperatures.to(logits.device).clamp(min=1e-6), sampling.top_p)
        noise = torch.stack([torch.rand(logits.shape[-1], generator=g) for g in generators]).to(logits.device)
        gumbel = -torch.log(-torch.log(noise.clamp(min=1e-20, max=1 - 1e-7)))
        drawn = (temperatures > 0).to(logits.device)
        return torch.where(drawn, kept + gumbel, logits.float())

    return processor


def _nucleus(logits: "torch.Tensor", top_p: float) -> "torch.Tensor":
    """The logits (rows × vocabulary) with all outside the smallest set of probability `top_p` at minus infinity."""
    if top_p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
    dropped = (before >= top_p).scatter(-1, order, before >= top_p)
    return logits.masked_fill(dropped, float("-inf"))


def _row_seed(sampling: Sampling, request: GenerateRequest) -> int:
    shown = [(message.role, message.content) for message in request.conversation]
    return int(content_id("row", sampling.seed, shown, request.sample_index, request.repeats)[:15], 16)
