"""Under which key an answer is kept: a hash of everything that fixes it, and of nothing else."""

import hashlib
import json

from autorule.backends.base import ChoiceRequest, GenerateRequest, Question
from autorule.records import Messages


def generation_key(identity: str, request: GenerateRequest) -> bytes:
    return _hash(
        [
            "generate",
            identity,
            _plain(request.messages),
            request.sampling.model_dump(),
            request.json_schema,
            request.sample_index,
            request.prompt_sha256,
        ]
    )


def choice_keys(identity: str, request: ChoiceRequest) -> dict[Question, bytes]:
    """The key of each question. The conversation is hashed once for all of them."""
    shared = _hash(["choices", identity, _plain(request.messages), list(request.choices), request.prompt_sha256])
    return {question: hashlib.sha256(shared + question.text.encode()).digest() for question in request.questions}


def _plain(messages: Messages) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


def _hash(parts: list[object]) -> bytes:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()
