"""Ends the calls of this process, because its run was cancelled: what waits for an answer stops waiting.

Answers that were committed are in the cache; a run that is started again asks for the others.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autorule.errors import AutoruleError


class StoppedError(AutoruleError):
    """The run is being cancelled."""


_stopping = threading.Event()
_lock = threading.Lock()
_waiting: set[Callable[[StoppedError], None]] = set()


def stop() -> None:
    """Wakes whoever waits for answers with a StoppedError, and lets nobody begin to."""
    _stopping.set()
    with _lock:
        for wake in _waiting:
            wake(StoppedError("stopped: the run was cancelled"))


def begin() -> None:
    """A new run in this process is not stopped."""
    _stopping.clear()


def check() -> None:
    """Raises StoppedError once the run is being cancelled."""
    if _stopping.is_set():
        raise StoppedError("stopped: the run was cancelled")


@contextmanager
def woken_by(wake: Callable[[StoppedError], None]) -> Iterator[None]:
    """While inside, `wake` is called when the run is cancelled. Raises StoppedError when it is already."""
    with _lock:
        check()
        _waiting.add(wake)
    try:
        yield
    finally:
        with _lock:
            _waiting.discard(wake)
