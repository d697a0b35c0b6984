"""Follows the current version of a name in the registry. What can't be put in use is refused, and tried again."""

import asyncio
import logging
from typing import NamedTuple

from autorule.errors import AutoruleError, printable
from autorule.registry import RuleSetRegistry
from autorule.registry.history import Pointer
from autorule.rewards import RuleReward
from autorule.serving.live import Live, Refused

log = logging.getLogger(__name__)


class Followed(NamedTuple):
    """A name in the registry, and the version that the server begins with."""

    registry: RuleSetRegistry
    first: Pointer
    poll_s: float
    """Seconds between two looks at current.json."""


async def follow(followed: Followed, live: Live) -> None:
    """Looks every `poll_s` seconds, until it is cancelled. Files are read on a thread, so that no request waits."""
    in_use = followed.first
    while True:
        await asyncio.sleep(followed.poll_s)
        pointer = None
        try:
            pointer = await asyncio.to_thread(followed.registry.known_current)
            if pointer != in_use:
                reward = await asyncio.to_thread(_load, followed.registry, pointer, live.now.reward)
                live.switch(reward, pointer.version)
                in_use = pointer
                log.warning("rewards are now those of %s %s", live.name, pointer.version)
            live.refused = None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a new version, the old one goes on
            _refuse(live, None if pointer is None else pointer.version, error)


def _load(registry: RuleSetRegistry, pointer: Pointer, before: RuleReward) -> RuleReward:
    return before.with_rule_set(registry.pointed(pointer))


def _refuse(live: Live, version: str | None, error: Exception) -> None:
    """Noted until it is mended; told once, not at each look."""
    reason = printable(str(error) if isinstance(error, AutoruleError) else repr(error))
    refused = Refused(version, reason)
    if refused != live.refused:
        log.warning(
            "%s %s is refused, %s stays in use: %s", live.name, version or "as it is now", live.now.version, reason
        )
    live.refused = refused
