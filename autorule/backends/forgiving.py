"""A cache that never ends what asks it: a training step is worth more than its cache."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from autorule.backends.answer_store import AnswerStore, NewGeneration, StoredGeneration
from autorule.errors import ConfigError, with_kind

Found = TypeVar("Found")
log = logging.getLogger(__name__)
_told: set[Path] = set()


class ForgivingStore:
    """The store until its first fault; from then on it knows nothing and keeps nothing, which is said once."""

    def __init__(self, store: AnswerStore) -> None:
        self._store = store

    def generations(self, keys: Sequence[bytes]) -> dict[bytes, list[StoredGeneration]]:
        return self._unless_broken(lambda: self._store.generations(keys), {})

    def choices(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return self._unless_broken(lambda: self._store.choices(keys), {})

    def put_generations(self, rows: Iterable[NewGeneration]) -> None:
        self._unless_broken(lambda: self._store.put_generations(rows), None)

    def put_choices(self, rows: Iterable[tuple[bytes, str]]) -> None:
        self._unless_broken(lambda: self._store.put_choices(rows), None)

    def _unless_broken(self, ask: Callable[[], Found], nothing: Found) -> Found:
        if self._store.path in _told:
            return nothing
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - whatever a broken file does to it
            tell_once(self._store.path, error)
            return nothing


def tell_once(path: Path, error: Exception) -> None:
    """Warns that a cache is gone on without."""
    if path not in _told:
        _told.add(path)
        told = str(error) if isinstance(error, ConfigError) else f"{path}: {with_kind(error)}"
        log.warning("going on without the cache: %s", told)


@cache
def say_once(told: str) -> None:
    log.warning("%s", told)
