"""What a server tells about itself: the models it serves, vLLM's key-value blocks, and its interfaces that take token
ids."""

import asyncio
import fnmatch
import json
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from autorule.backends.chat_tokens import load_chat_tokens
from autorule.backends.generative_scoring import GenerativeScoring
from autorule.backends.retrying import exchange
from autorule.backends.servers import Server
from autorule.backends.token_scoring import TokenScoring
from autorule.config.models import ModelConfig
from autorule.errors import BackendError, MissingExtraError

log = logging.getLogger(__name__)
METRICS_PATH = "/metrics"
BLOCK_SIZE = re.compile(r"[1-9][0-9]{0,5}")
TIMEOUT_S = 20.0

Scoring = TokenScoring | GenerativeScoring


async def find_scoring(
    session: aiohttp.ClientSession,
    server: Server,
    config: ModelConfig,
    align: int,
    adapted: Callable[[dict[str, Any]], dict[str, Any]],
) -> Scoring | None:
    """The best way to ask the server for verdicts in token ids; None where it has none, or no tokenizer is here.

    `adapted`: a body as the server takes it. Warns of what its key-value blocks cost conversations filled up to `align`
    tokens. Raises aiohttp.ClientError, TimeoutError or FailedExchangeError when the server can't be asked, BackendError
    for a tokenizer of the settings that can't be used.
    """
    status, metrics = await get(session, server.at(METRICS_PATH))
    settings = cache_settings(metrics.decode(errors="replace")) if status == 200 else None
    if settings and (lost := lost_by_blocks(*settings, align)):
        log.warning("%s: %s", server.base_url, lost)
    status, content = await get(session, server.at("models"))
    served = served_models(content).get(config.model, {}) if status == 200 else {}
    name = config.tokenizer or _folder_with_tokenizer(served.get("root"))
    if name is None:
        return None
    try:
        tokens = await asyncio.to_thread(load_chat_tokens, name)
    except (MissingExtraError, BackendError) as error:
        if config.tokenizer and isinstance(error, BackendError):
            raise
        log.warning("verdicts are asked for as text, not in token ids: %s", error)
        return None
    context = served.get("max_model_len")
    context = context if type(context) is int and context > 0 else 1 << 30
    ways: list[Scoring] = [GenerativeScoring(tokens, config.model, context)]
    if config.scoring == "auto":
        ways.insert(0, TokenScoring(tokens, config.model, context))
    for way in ways:
        if way.understands(await post(session, server.at(way.path), adapted({**way.probe(), **config.extra_body}))):
            return way
    return None


def _folder_with_tokenizer(root: Any) -> str | None:
    """Where the server says that the model lies, if that is a folder here with a tokenizer."""
    try:
        return root if isinstance(root, str) and Path(root, "tokenizer_config.json").is_file() else None
    except (OSError, ValueError):  # no name that a folder could have
        return None


def served_models(content: bytes) -> dict[str, dict[str, Any]]:
    """Name -> what the server tells of the model."""
    try:
        return {str(model["id"]): model for model in json.loads(content)["data"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def is_listed(model: str, served: Iterable[str]) -> bool:
    """Whether a list of models has this one, under this name or as servers vary it: with a tag, behind the name of a
    folder or an owner, or by a pattern."""
    return any(
        listed == model
        or listed.partition(":")[0] == model
        or listed.endswith(f"/{model}")
        or model.endswith(f"/{listed}")
        or fnmatch.fnmatchcase(model, listed)
        for listed in served
    )


def lost_by_blocks(block_size: int, prefix_caching: bool, align: int) -> str | None:
    """What the server's key-value cache costs, as a warning; None when it is set up well for shared prefixes."""
    if not prefix_caching:
        return (
            "prefix caching is off, so every rule computes the whole conversation again: start it with prefix caching"
        )
    if align % block_size == 0:
        return None
    return (
        f"its key-value blocks hold {block_size} tokens and a conversation is filled up to a multiple of {align}, so "
        f"every rule computes about {block_size // 2} tokens of the conversation again: start it with --block-size 16 "
        "(32 on a CPU)"
    )


def cache_settings(metrics: str) -> tuple[int, bool] | None:
    """(block size, whether prefixes are cached) from the metrics that vLLM publishes; None where they don't tell."""
    found = re.search(r"^vllm:cache_config_info\{(?P<labels>.*)\}", metrics, re.MULTILINE)
    labels = dict(re.findall(r'\b(\w++)="([^"]*)"', found["labels"])) if found else {}
    block_size = labels.get("block_size", "")
    return (
        (int(block_size), labels.get("enable_prefix_caching") == "True") if BLOCK_SIZE.fullmatch(block_size) else None
    )


async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    """(status, content). Raises FailedExchangeError."""
    response, content = await exchange(session, "GET", url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
    return response.status, content


async def post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Any:
    """The reply; None when it is no success or no JSON. Raises FailedExchangeError."""
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    response, content = await exchange(session, "POST", url, json=body, timeout=limit)
    try:
        return json.loads(content) if response.status == 200 else None
    except (ValueError, RecursionError):
        return None
