"""What a chat request says besides its messages."""

from typing import Any

from autorule.backends.base import GenerateRequest
from autorule.records import content_id


def sampling_fields(request: GenerateRequest) -> dict[str, Any]:
    """The fields of a request that its sampling fixes; the seed is its own in every sample and repeat."""
    sampling = request.sampling
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": request.temperature,
        "top_p": sampling.top_p,
    }
    if request.temperature > 0:
        seed = content_id("seed", sampling.seed, request.sample_index, request.repeats)
        fields["seed"] = int(seed[:7], 16)
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.bad_words:
        fields["bad_words"] = list(sampling.bad_words)
    if sampling.repetition_penalty != 1:
        fields["repetition_penalty"] = sampling.repetition_penalty
    return fields
