"""Text that a server's tokenizer would take for markers of its chat template, broken up before it is sent.

Markers of the common families are known by their looks (prompting.neutralise_special_tokens). Of whatever else looks
like one, a server that has a tokenizer interface (vLLM, SGLang, llama.cpp: /tokenize) is asked whether it becomes one
token.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp

from autorule.backends.keys import without_keys
from autorule.backends.retrying import FailedExchangeError
from autorule.errors import in_words
from autorule.prompting import neutralise_special_tokens
from autorule.records import Messages

BREAK = "\u200b"
"""A zero-width space: what it stands in is shown as before and is no marker."""
SUSPECT = re.compile(r"[<\[\]](?!\d+\])(?=([^\s<>\[\]\u200b]{1,40}[>\[\]]))")
"""What stands between brackets without a space; the number of a reference ([12]) is none. One may begin in another."""
MOST_ASKED = 2000
"""Of different texts; what comes after is broken up unasked."""
PROBE = "a"

Ask = Callable[[dict[str, Any]], Awaitable[Any]]
"""Posts a body to the tokenizer interface; the reply, None where it is no success. Raises aiohttp.ClientError,
TimeoutError and FailedExchangeError."""

log = logging.getLogger(__name__)


class Markers:
    """What one model's server takes for one token, as far as it was asked."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._is_one_token: dict[str, bool] = {}
        self._n_of_probe: int | None = None
        """Tokens of one letter: more than 1 where the server adds some to each, 0 where it has no such interface."""
        self._told = False

    async def broken_up(self, messages: Messages, ask: Ask) -> list[dict[str, str]]:
        """The turns as a chat request has them, without a marker in any of them."""
        texts = [neutralise_special_tokens(message.content) for message in messages]
        unknown = {found for text in texts for found in _suspects(text)} - self._is_one_token.keys()
        if unknown and await self._can_be_asked(ask):
            await self._learn(sorted(unknown), ask)
        if self._n_of_probe:
            texts = [self._without_markers(text) for text in texts]
        return [{"role": message.role, "content": text} for message, text in zip(messages, texts, strict=True)]

    def _without_markers(self, text: str) -> str:
        return SUSPECT.sub(lambda found: found[0] + BREAK * self._is_one_token.get(found[0] + found[1], True), text)

    async def _learn(self, suspects: Iterable[str], ask: Ask) -> None:
        """What can't be learnt now stays unknown, which is taken for a marker."""
        for suspect in suspects:
            if len(self._is_one_token) >= MOST_ASKED:
                return
            if (n_tokens := await self._n_tokens(suspect, ask)) is None:
                return
            self._is_one_token[suspect] = n_tokens == self._n_of_probe

    async def _can_be_asked(self, ask: Ask) -> bool:
        """Whether there is such an interface; asked again as long as there is no answer at all."""
        if self._n_of_probe is None:
            self._n_of_probe = await self._n_tokens(PROBE, ask)
        return bool(self._n_of_probe)

    async def _n_tokens(self, text: str, ask: Ask) -> int | None:
        """Of the text, as a prompt has it; 0 where no reply tells, None where there is no reply."""
        own = {"prompt": text, "add_special_tokens": False}  # vLLM, SGLang
        own |= {"content": text, "add_special": False, "parse_special": True}  # llama.cpp
        try:
            reply = await ask({"model": self._model, **own})
        except (aiohttp.ClientError, TimeoutError, FailedExchangeError) as error:
            if not self._told:
                log.warning("the server can't be asked what its markers are: %s", without_keys(in_words(error)))
            self._told = True
            return None
        if reply is None and self._n_of_probe:
            return None  # it has the interface, and fails for once
        tokens = reply.get("tokens") if isinstance(reply, dict) else None
        return len(tokens) if isinstance(tokens, list) else 0


def _suspects(text: str) -> set[str]:
    return {found[0] + found[1] for found in SUSPECT.finditer(text)}
